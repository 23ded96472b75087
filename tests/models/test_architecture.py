"""Sizes, and the FLOPs that follow from them, against torch's own count."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode

from dlm_length.models import Architecture, MaskPredictor, load_architecture, load_model
from dlm_length.models.backbone import Attend

LLADA_8B = Architecture(
    layers=32, width=4096, heads=32, head_size=128, kv_width=4096, mlp_width=12288, vocabulary=126464, max_length=4096
)


def counted(work: Callable[[], object]) -> int:
    """FLOPs of `work`, without the rotary table: some versions of transformers compute it by a matrix product."""
    with FlopCounterMode(display=False) as counter:
        work()
    modules = counter.get_flop_counts()
    rotary = {name: sum(by.values()) for name, by in modules.items() if name.endswith("rotary_emb")}
    return counter.get_total_flops() - sum(rotary.values())


@pytest.mark.parametrize("length", [1, 2, 17, 64, 200])
@pytest.mark.parametrize(
    "config",
    [{}, {"n_kv_heads": 2}, {"n_kv_heads": 1, "mlp_hidden_size": 80}, {"n_layers": 3, "n_heads": 2, "n_kv_heads": 2}],
)
def test_flops_are_those_that_torch_counts(
    write_checkpoint: Callable[..., Path], attend: Attend, config: Mapping[str, int], length: int
) -> None:
    """Exactly. FlopCounterMode ignores the CPU's flash kernel, so attention is computed by plain products here."""
    model = load_model(str(write_checkpoint(config={"max_sequence_length": 256, **config})), device="cpu")
    check_flops(model, attend, length)


@pytest.mark.parametrize("length", [1, 31, 128])
def test_flops_of_the_tiny_model(tiny_model: MaskPredictor, attend: Attend, length: int) -> None:
    check_flops(tiny_model, attend, length)


def check_flops(model: MaskPredictor, attend: Attend, length: int) -> None:
    ids, positions = torch.zeros(length, dtype=torch.long), torch.arange(length)
    assert counted(lambda: model.hidden(ids, positions, attend)) == model.architecture.forward_flops(length)
    rows = torch.zeros(length, model.architecture.width)
    assert counted(lambda: model.logits(rows)) == model.architecture.head_flops(length)


def test_flops_by_hand() -> None:
    """docs/methods.md section 6: n (2Ld(2d + 2d_kv) + 6Ldf + 4L^2hk), and 2RdV for the head."""
    sizes = Architecture(
        layers=3, width=10, heads=2, head_size=5, kv_width=4, mlp_width=7, vocabulary=11, max_length=99
    )
    assert sizes.forward_flops(6) == 3 * (2 * 6 * 10 * (2 * 10 + 2 * 4) + 6 * 6 * 10 * 7 + 4 * 36 * 2 * 5)
    assert sizes.head_flops(8) == 2 * 8 * 10 * 11
    assert (sizes.forward_flops(0), sizes.head_flops(0)) == (0, 0)


def test_llada_8b_is_8_billion() -> None:
    """The published count of GSAI-ML/LLaDA-8B-Instruct: 8,015,581,184 weights."""
    assert LLADA_8B.parameters == 8_015_581_184
    assert LLADA_8B.head_flops(1) / (LLADA_8B.forward_flops(1) + LLADA_8B.head_flops(1)) == pytest.approx(
        0.07, abs=0.01
    )


@pytest.mark.parametrize("config", [{}, {"n_kv_heads": 2}, {"weight_tying": True}, {"n_layers": 1, "d_model": 24}])
def test_parameters_is_the_number_of_weights_loaded(
    write_checkpoint: Callable[..., Path], config: Mapping[str, Any]
) -> None:
    folder = write_checkpoint(config=config)
    stored = sum(weight.numel() for weight in load_file(folder / "model.safetensors").values())
    model = load_model(str(folder), device="cpu")  # refuses what has no place
    assert model.architecture.parameters == stored
    assert load_architecture(str(folder)) == model.architecture


def test_sizes_come_from_config_json_alone(write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint(config={"n_kv_heads": 2, "embedding_size": 832})
    for file in folder.iterdir():
        if file.name != "config.json":
            file.unlink()
    assert load_architecture(str(folder)) == Architecture(
        layers=2, width=32, heads=4, head_size=8, kv_width=16, mlp_width=48, vocabulary=832, max_length=128
    )


@pytest.mark.parametrize(("given", "kv_width"), [(..., 32), (None, 32), (4, 32), (1, 8)])
def test_key_value_heads_are_by_default_as_many_as_heads(
    write_checkpoint: Callable[..., Path], given: object, kv_width: int
) -> None:
    assert load_architecture(str(write_checkpoint(config={"n_kv_heads": given}))).kv_width == kv_width


def test_the_shipped_sizes_of_llada_8b_are_those_tested_here() -> None:
    from dlm_length.config import load_config

    assert load_config("gsm8k_fixed").model.architecture == LLADA_8B
    assert json.loads(LLADA_8B.model_dump_json())["tied"] is False
