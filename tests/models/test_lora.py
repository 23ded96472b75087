"""LoRA adapters in peft's format: merged as the formula says, and refused by name where they are something else."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from dlm_length.models import CheckpointError, check_adapter, load_model, lora
from dlm_length.models.loading import checkpoint_digest

QUERY, MLP = "model.transformer.blocks.0.q_proj", "model.transformer.blocks.1.ff_out"
Tensors = dict[str, torch.Tensor]
WriteAdapter = Callable[..., Path]


def factors(folder: Path, module: str, rank: int, seed: int = 0) -> Tensors:
    """Random lora_A and lora_B for a weight of the checkpoint."""
    out, into = load_file(folder / "model.safetensors")[f"{module}.weight"].shape
    draw = torch.Generator().manual_seed(seed)
    return {
        f"base_model.model.{module}.lora_A.weight": torch.randn(rank, into, generator=draw),
        f"base_model.model.{module}.lora_B.weight": torch.randn(out, rank, generator=draw),
    }


@pytest.fixture
def write_adapter(tmp_path: Path) -> WriteAdapter:
    def write(tensors: Tensors, **config: Any) -> Path:
        folder = tmp_path / "adapter"
        folder.mkdir(exist_ok=True)
        fields = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", **config}
        (folder / "adapter_config.json").write_text(json.dumps(fields))
        save_file(tensors, folder / "adapter_model.safetensors")
        return folder

    return write


def weights(folder: Path, adapter: Path | None = None, dtype: str = "float32") -> Mapping[str, torch.Tensor]:
    model = load_model(str(folder), device="cpu", dtype=dtype, adapter=adapter and str(adapter))
    return dict(model.backbone.named_parameters())


@pytest.mark.parametrize(
    ("config", "scale"),
    [
        ({}, 8 / 4),
        ({"use_rslora": True}, 8 / math.sqrt(4)),
        ({"alpha_pattern": {"q_proj": 2}}, 2 / 4),
        ({"alpha_pattern": {"k_proj": 2}}, 8 / 4),
        ({"r": 16, "rank_pattern": {"q_proj": 4}}, 8 / 4),
    ],
)
def test_the_change_is_scaled_as_the_adapters_config_says(
    write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter, config: dict[str, Any], scale: float
) -> None:
    folder = write_checkpoint()
    tensors = factors(folder, QUERY, 4)
    before, after = weights(folder), weights(folder, write_adapter(tensors, **config))
    a, b = tensors.values()
    changed = [name for name in before if not torch.equal(before[name], after[name])]
    assert changed == ["layers.0.self_attn.q_proj.weight"]
    torch.testing.assert_close(after[changed[0]], before[changed[0]] + scale * (b @ a))


def test_an_adapter_equals_the_checkpoint_that_it_was_merged_into(
    write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter
) -> None:
    """In half precision too: the sum is rounded once, as when a checkpoint merged in float32 is loaded."""
    folder = write_checkpoint()
    tensors = factors(folder, QUERY, 4) | factors(folder, MLP, 4, seed=1)
    merged = write_checkpoint()
    whole = load_file(merged / "model.safetensors")
    for module in (QUERY, MLP):
        a, b = (tensors[f"base_model.model.{module}.lora_{half}.weight"] for half in "AB")
        whole[f"{module}.weight"] += (b @ a) * 2
    save_file(whole, merged / "model.safetensors")
    adapter = write_adapter(tensors)
    for dtype in ("float32", "bfloat16"):
        ours, theirs = weights(folder, adapter, dtype), weights(merged, dtype=dtype)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_whole_modules_are_replaced(write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter) -> None:
    folder = write_checkpoint()
    name = "model.transformer.ln_f.weight"
    own = torch.full_like(load_file(folder / "model.safetensors")[name], 0.5)
    tensors = factors(folder, QUERY, 4) | {f"base_model.model.{name}": own}
    assert torch.equal(weights(folder, write_adapter(tensors, modules_to_save=["ln_f"]))["norm.weight"], own)


def test_names_without_the_outer_model_are_recognised(
    write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter
) -> None:
    folder = write_checkpoint()
    tensors = factors(folder, QUERY, 4)
    shorter = {name.replace(".model.transformer", ".transformer"): tensor for name, tensor in tensors.items()}
    with_prefix, without = weights(folder, write_adapter(tensors)), weights(folder, write_adapter(shorter))
    assert all(torch.equal(with_prefix[name], without[name]) for name in with_prefix)


def _renamed(tensors: Tensors, old: str, new: str) -> Tensors:
    return {name.replace(old, new): tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize(
    ("edit", "config", "message"),
    [
        (lambda t: _renamed(t, "blocks.0", "blocks.99"), {}, "blocks.99.q_proj.weight, which the checkpoint does not"),
        (lambda t: _renamed(t, "base_model.model.", ""), {}, "expected are names that begin with base_model.model."),
        (lambda t: dict([next(iter(t.items()))]), {}, "q_proj has only lora_A; expected lora_A and lora_B"),
        (lambda t: {n: x[:, :3] if "lora_A" in n else x for n, x in t.items()}, {}, "was it trained on another model"),
        (lambda t: {n: x[:3] if "lora_A" in n else x for n, x in t.items()}, {}, r"expected \(rank, in\)"),
        (lambda t: {n: x * float("nan") for n, x in t.items()}, {}, "holds NaN or infinity"),
        (lambda t: _renamed(t, "lora_A.weight", "lora_embedding_A"), {}, "supported are changes of linear layers"),
        (lambda t: t, {"peft_type": "IA3"}, "peft_type is 'IA3'; supported is LORA"),
        (lambda t: t, {"use_dora": True}, r"use_dora is set \(DoRA\)"),
        (lambda t: t, {"bias": "all"}, "bias is 'all'; supported is none"),
        (lambda t: t, {"lora_alpha": "8"}, "lora_alpha is '8'; expected a number"),
        (lambda t: t, {"lora_alpha": None}, "lora_alpha is None"),
    ],
)
def test_another_kind_of_adapter_is_refused_by_name(
    write_checkpoint: Callable[..., Path],
    write_adapter: WriteAdapter,
    edit: Callable[[Tensors], Tensors],
    config: dict[str, Any],
    message: str,
) -> None:
    folder = write_checkpoint()
    tensors = {name: tensor.contiguous() for name, tensor in edit(factors(folder, QUERY, 4)).items()}
    with pytest.raises(CheckpointError, match=f"(?i){message}"):
        weights(folder, write_adapter(tensors, **config))


@pytest.mark.parametrize(
    ("dtype", "factor", "config", "remedy"),
    [
        ("float32", 1e30, {}, r"Is it damaged\?"),
        ("float32", 1.0, {"lora_alpha": 1e300}, r"Is it damaged\?"),
        ("float16", 100.0, {}, r"Choose hardware\.dtype=float32"),
    ],
)
def test_a_change_that_overflows_is_the_adapters_fault(
    write_checkpoint: Callable[..., Path],
    write_adapter: WriteAdapter,
    dtype: str,
    factor: float,
    config: dict[str, Any],
    remedy: str,
) -> None:
    folder = write_checkpoint()
    tensors = {name: torch.full_like(tensor, factor) for name, tensor in factors(folder, QUERY, 4).items()}
    adapter = write_adapter(tensors, **config)
    sentence = rf"^adapter .*: changes {QUERY}\.weight to numbers that {dtype} cannot hold\. {remedy}"
    with pytest.raises(CheckpointError, match=sentence):
        weights(folder, adapter, dtype)


def test_a_check_reads_no_tensor(
    write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adapter's tensors are read once, by the loading that merges them."""
    read: list[Path] = []

    def counted(file: Path) -> Tensors:
        read.append(file)
        return load_file(file)

    monkeypatch.setattr(lora, "load_file", counted)
    folder = write_checkpoint()
    path = write_adapter(factors(folder, QUERY, 4))
    check_adapter(str(path))
    assert not read
    weights(folder, path)
    assert read == [path / "adapter_model.safetensors"]


@pytest.mark.parametrize("tensors", [{}, {"lora_A": 4}])
def test_a_check_refuses_what_loading_would(write_adapter: WriteAdapter, tensors: dict[str, int]) -> None:
    halves = {f"base_model.model.{QUERY}.{half}.weight": torch.zeros(rank, 8) for half, rank in tensors.items()}
    path = write_adapter(halves, peft_type="LORA" if halves else "IA3")
    with pytest.raises(CheckpointError, match="has only lora_A" if halves else "peft_type is 'IA3'"):
        check_adapter(str(path))


@pytest.mark.parametrize(
    ("dtype", "rank", "config", "sentence"),
    [
        (torch.float8_e4m3fn, 4, {}, r"lora_A\.weight is stored as F8_E4M3; supported are F64, F32, F16 or BF16"),
        (torch.int8, 4, {}, r"is stored as I8; .*quantised"),
        (torch.complex64, 4, {}, r"is stored as C64; "),
        (torch.float32, 0, {}, r"lora_A is \(0, 32\), .*rank of 1 or more"),
        (torch.float32, 4, {"lora_alpha": 10**400}, r"lora_alpha is 1000.*; expected a number"),
        (torch.float32, 4, {"alpha_pattern": ["q_proj"]}, r"alpha_pattern is .*expected an object from regular"),
        (torch.float32, 4, {"alpha_pattern": {"q_proj(": 2}}, r"alpha_pattern is .*unterminated subpattern"),
    ],
)
def test_numbers_that_mean_no_change_are_refused_from_the_header(
    write_adapter: WriteAdapter, dtype: torch.dtype, rank: int, config: dict[str, Any], sentence: str
) -> None:
    pair = {"A": torch.ones(rank, 32).to(dtype), "B": torch.ones(32, rank).to(dtype)}
    folder = write_adapter(
        {f"base_model.model.{QUERY}.lora_{half}.weight": each for half, each in pair.items()}, **config
    )
    with pytest.raises(CheckpointError, match=sentence):
        check_adapter(str(folder))


def test_an_adapter_without_tensors_is_refused(write_adapter: WriteAdapter) -> None:
    with pytest.raises(CheckpointError, match=r"holds no tensor"):
        check_adapter(str(write_adapter({})))


def test_missing_and_truncated_files_are_named(
    write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter, tmp_path: Path
) -> None:
    folder = write_checkpoint()
    with pytest.raises(CheckpointError, match="no such folder"):
        weights(folder, tmp_path / "nowhere")
    adapter = write_adapter(factors(folder, QUERY, 4))
    file = adapter / "adapter_model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:50])
    with pytest.raises(CheckpointError, match=r"adapter_model\.safetensors: truncated or not safetensors"):
        weights(folder, adapter)
    file.unlink()
    with pytest.raises(CheckpointError, match=r"no adapter_model\.safetensors; found adapter_config\.json"):
        weights(folder, adapter)
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(CheckpointError, match=r"no adapter_config\.json"):
        weights(folder, adapter)


def test_the_digest_distinguishes_adapters(write_checkpoint: Callable[..., Path], write_adapter: WriteAdapter) -> None:
    folder = write_checkpoint()
    plain = checkpoint_digest(str(folder))
    first = checkpoint_digest(str(folder), adapter=str(write_adapter(factors(folder, QUERY, 4))))
    second = checkpoint_digest(str(folder), adapter=str(write_adapter(factors(folder, QUERY, 4, seed=1))))
    assert len({plain, first, second}) == 3
