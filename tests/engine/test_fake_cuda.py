"""The engine on tensors that claim to be on a CUDA device and hold no data. It needs torch's CUDA build, and no GPU.

This finds tensors that are left on the CPU, and results read during a forward, for which the host would wait.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from golden.families import FOLDER
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.engine import attention, counter_rng, engine, forward, head
from dlm_length.engine.ragged import Ragged, _varlen_attn
from dlm_length.engine.transfer import Stopwatch
from dlm_length.models import fused
from dlm_length.models.fixed_rows import fixed_rows_linear
from dlm_length.models.fused import FusedBackbone

pytestmark = pytest.mark.skipif(torch.version.cuda is None, reason="needs torch's CUDA build")
CUDA = torch.device("cuda", 0)
ONE_LAYER = {"n_layers": 1}
EXPERTS = ("llada_moe", "llada2_mini")
"""Families with experts, which wait for the device to count the tokens of each."""
PROMPTS = [[4, 5, 6], [7] * 9]
CACHES = [{"cache": "prefix"}, {"cache": "dual"}, {"cache": "dkv", "refresh_interval": 3}]
POLICIES: list[tuple[str, Mapping[str, Any]]] = [
    *(("fixed", {"length": 8, "block_length": 4, "tokens_per_step": 2, **cache}) for cache in CACHES),
    ("fixed", {"length": 4, "temperature": 0.7, "remasking": "entropy", "tokens_per_step": 2}),
    ("fixed", {"length": 4, "preset": "dream", "temperature": 0.2, "top_p": 0.95, "steps": 2}),
    ("fixed", {"length": 4, "top_k": 5, "temperature": 0.5, "tokens_per_step": 2}),
    ("smartcrop", {"length": 8, "tau": 0.5, "tokens_per_step": 4}),
    ("daedal", {"initial_length": 4, "max_length": 8, "block_length": 4}),
    ("carve", {"initial_length": 4, "max_length": 6, "insert": 2, "window": 4}),
]
"""Every kind of forward and of statistics."""


class Arrived:
    """In place of `Fetch`: statistics that were on the device, all of them 0, each token 9 (a word in every family)."""

    def __init__(self, parts: Mapping[str, Tensor]) -> None:
        assert all(values.is_cuda and values.ndim == 1 for values in parts.values())
        self._shapes = {name: (values.shape[0], values.dtype) for name, values in parts.items()}

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            name: np.full(rows, 9 if dtype == torch.int64 else 0, dtype=str(dtype).removeprefix("torch."))
            for name, (rows, dtype) in self._shapes.items()
        }


def row_statistics(logits: Tensor, *, more: bool) -> tuple[Tensor, ...]:
    """In place of the Triton kernel, which reads the rows one after the other."""
    assert logits.is_cuda
    assert logits.is_contiguous()
    token, highest = logits.new_empty(len(logits), dtype=torch.int64), logits.new_empty(len(logits), dtype=torch.float)
    return token, *(torch.empty_like(highest) for _ in range(4))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[Any]:
    """A context whose tensors are fake, in place of copies to a GPU and of its clocks."""

    def on_device(host: Tensor, where: torch.device) -> Tensor:
        assert host.device.type == "cpu"
        assert where.type == "cuda"
        return torch.empty(host.shape, dtype=host.dtype, device=where)

    for module in (attention, counter_rng, engine, forward):
        monkeypatch.setattr(module, "on_device", on_device)
    monkeypatch.setattr(engine, "Stopwatch", lambda _device: Stopwatch(torch.device("cpu")))
    monkeypatch.setattr(head, "Fetch", Arrived)
    monkeypatch.setattr(head, "triton_kernels", lambda _device: SimpleNamespace(row_statistics=row_statistics))
    monkeypatch.setattr(fused, "triton_kernels", lambda _device: None)
    return FakeTensorMode(allow_non_fake_inputs=True)


@pytest.fixture
def varlen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's kernel for variable lengths, whose check on the device needs the device."""
    kernels = pytest.importorskip("torch.nn.attention.varlen")
    monkeypatch.setattr(attention, "ragged_kernel", lambda *_layout: Ragged("torch", _varlen_attn(kernels.varlen_attn)))


def moved(model: MaskPredictor) -> MaskPredictor:
    """The model with fake weights; called within the mode."""

    def fake(values: Tensor) -> Tensor:
        return torch.empty(values.shape, dtype=values.dtype, device=CUDA)

    for module in model.backbone.modules():
        for name, values in module.named_parameters(recurse=False):
            module.register_parameter(name, nn.Parameter(fake(values), requires_grad=False))
        for name, values in module.named_buffers(recurse=False):
            module.register_buffer(name, fake(values))
    return replace(model, head_weight=fake(model.head_weight))


def run(model: MaskPredictor, policy: Any, **how: Any) -> None:
    done = list(Engine(model, 40, turns=2, cache_bytes=10**9, **how).generate(PROMPTS, policy))
    assert [g.error for g in done] == [None] * len(PROMPTS)
    assert not any(g.ran_uncached for g in done)


@pytest.mark.parametrize(("name", "parameters"), POLICIES, ids=lambda part: part if isinstance(part, str) else "")
@pytest.mark.parametrize(("kind", "dtype"), [("grouped", "float32"), ("varlen", "bfloat16")])
@pytest.mark.usefixtures("varlen")
def test_no_tensor_of_a_policy_is_left_on_the_cpu(
    device: AbstractContextManager[Any],
    write_checkpoint: Callable[..., Any],
    name: str,
    parameters: Any,
    kind: Any,
    dtype: str,
) -> None:
    """The fused backbone and the head that reads each row once; varlen in batch-invariant mode."""
    model = load_model(str(write_checkpoint(config=ONE_LAYER)), device="cpu", dtype=dtype)
    linear = fixed_rows_linear if kind == "varlen" else model.linear
    with device:
        fake = moved(model)
        fake = replace(fake, fused=FusedBackbone(fake.backbone, linear=linear), linear=linear)
        run(fake, build_policy(name, **parameters), attention=kind)


@pytest.mark.parametrize(("dtype", "invariant"), [("float32", True), ("bfloat16", False)])
@pytest.mark.parametrize("family", sorted(path.name for path in FOLDER.iterdir() if path.name not in EXPERTS))
def test_no_tensor_of_a_family_is_left_on_the_cpu(
    device: AbstractContextManager[Any], monkeypatch: pytest.MonkeyPatch, family: str, dtype: str, invariant: bool
) -> None:
    """transformers' own modules, and the head without Triton."""
    model = load_model(str(FOLDER / family / "checkpoint"), device="cpu", dtype=dtype, batch_invariant=invariant)
    monkeypatch.setattr(head, "triton_kernels", lambda _device: None)
    kind = "block_causal" if model.block_causal else "fixed"
    with device:
        run(moved(model), build_policy(kind, length=8, block_length=4), attention="single" if invariant else "grouped")


def test_a_tensor_left_on_the_cpu_is_found(
    device: AbstractContextManager[Any], monkeypatch: pytest.MonkeyPatch, write_checkpoint: Callable[..., Any]
) -> None:
    model = load_model(str(write_checkpoint(config=ONE_LAYER)), device="cpu")
    monkeypatch.setattr(forward, "on_device", lambda host, _device: host)
    with device, pytest.raises(Exception, match=r"cuda.*cpu|cpu.*cuda"), warnings.catch_warnings(action="ignore"):
        run(moved(model), build_policy("fixed", length=4), attention="grouped")
