"""A fused backbone computes the same network as the backbone."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import dlm_length.models
from dlm_length.engine.attention import ATTENTIONS
from dlm_length.models import MaskPredictor, load_model
from dlm_length.models.fixed_rows import fixed_rows_linear
from dlm_length.models.fused import FusedBackbone, kernels_for, triton_kernels

IDS = torch.arange(4, 60)
LENGTHS = [20, 36]


def states(model: MaskPredictor) -> torch.Tensor:
    positions = torch.cat([torch.arange(length) for length in LENGTHS])
    return model.hidden(IDS, positions, ATTENTIONS["grouped"](LENGTHS, torch.device("cpu")))


@pytest.mark.parametrize("config", [{}, {"n_kv_heads": 2}, {"n_kv_heads": 1, "weight_tying": True}])
def test_hidden_states_are_those_of_the_backbone(write_checkpoint: Callable[..., Path], config: dict) -> None:
    model = load_model(str(write_checkpoint(config=config)), device="cpu")
    plain = states(model)
    torch.testing.assert_close(states(fused(model)), plain, atol=1e-5, rtol=0)
    assert torch.equal(states(model), plain), "the backbone still has its weights"


def test_half_precision_rounds_no_worse_than_the_backbone(write_checkpoint: Callable[..., Path]) -> None:
    folder = str(write_checkpoint())
    exact, half = states(load_model(folder, device="cpu")), load_model(folder, device="cpu", dtype="bfloat16")
    plain, joined = states(half), states(fused(half))
    assert joined.dtype == torch.bfloat16
    assert (joined - exact).abs().mean() < 1.2 * (plain - exact).abs().mean()


def fused(model: MaskPredictor) -> MaskPredictor:
    return replace(model, fused=FusedBackbone(model.backbone))


def test_weights_are_held_once(write_checkpoint: Callable[..., Path]) -> None:
    backbone = load_model(str(write_checkpoint()), device="cpu").backbone
    FusedBackbone(backbone)
    for attention, mlp in ((layer.self_attn, layer.mlp) for layer in backbone.layers):
        joined = {p.weight.untyped_storage().data_ptr() for p in (attention.q_proj, attention.k_proj, attention.v_proj)}
        assert len(joined) == 1
        assert mlp.gate_proj.weight.untyped_storage().data_ptr() == mlp.up_proj.weight.untyped_storage().data_ptr()


def test_other_matrix_products_take_the_place_of_torchs(write_checkpoint: Callable[..., Path]) -> None:
    model = load_model(str(write_checkpoint()), device="cpu")
    called: list[tuple[int, ...]] = []

    def counted(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        called.append(tuple(weight.shape))
        return fixed_rows_linear(x, weight, bias)

    joined = FusedBackbone(model.backbone)
    other = replace(model, fused=joined.with_linear(counted))
    torch.testing.assert_close(states(other), states(replace(model, fused=joined)))
    assert len(called) == 4 * len(model.backbone.layers)


def test_a_backbone_of_another_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="no fused form of Linear"):
        FusedBackbone(nn.Linear(2, 2))


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """In place of `models._kernels`, which needs Triton; its tensors are on the CPU."""
    module = ModuleType("dlm_length.models._kernels")
    module.add_rms_norm = module.rotate_ = module.silu_mul = lambda *_: None
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(dlm_length.models, "_kernels", module, raising=False)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *shape, **_: ones(*shape))
    triton_kernels.cache_clear()
    yield module
    triton_kernels.cache_clear()


def test_triton_is_used_where_it_works(kernels: ModuleType) -> None:
    assert triton_kernels(torch.device("cuda")) is kernels
    assert kernels_for(torch.device("cuda")).silu_mul is kernels.silu_mul
    assert triton_kernels(torch.device("cpu")) is None


def test_torch_takes_over_with_a_warning_where_triton_cannot_compile(kernels: ModuleType) -> None:
    def failing(*_: object) -> None:
        raise RuntimeError("Failed to find C compiler. Please specify via CC environment variable.")

    kernels.silu_mul = failing
    device = torch.device("cuda")
    with pytest.warns(UserWarning, match="Failed to find C compiler.*which are slower"):
        assert triton_kernels(device) is None
    assert kernels_for(device) is kernels_for(torch.device("cpu"))


def test_lack_of_memory_is_no_reason_to_do_without_triton(kernels: ModuleType) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    kernels.silu_mul = full
    with pytest.raises(torch.OutOfMemoryError):
        triton_kernels(torch.device("cuda"))
