"""Kernels for variable-length flash attention on CUDA: of torch, or of the installed package flash-attn."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int, int, float], Tensor]
"""Arguments: query, key and value, (tokens, heads, head size); cumulative lengths of the samples' queries and keys,
(samples + 1,) int32; the largest number of queries and of keys; the scale. Returns (tokens, heads, head size)."""

_TOLERANCE = 8
"""Largest difference from the plain computation, in units of the dtype's epsilon; a wrong layout differs far more."""


class Ragged(NamedTuple):
    """A kernel that was found to be correct on the device."""

    name: str
    """Its source, for records."""
    kernel: Kernel


def without_cudnn(device: torch.device) -> AbstractContextManager[object]:
    """A context without cuDNN's attention, on a GPU SDPA's first choice in half precision on Hopper and Blackwell.

    cuDNN builds a plan for every new pair of numbers of queries and keys, which can take a second; samples have many.
    """
    if device.type != "cuda":
        return nullcontext()
    return sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH])


@cache
def ragged_kernel(device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> Ragged | None:
    """The first kernel that is correct for this layout on this device; None if there is none.

    Each is run on two samples of different lengths and compared with a plain computation, as no version number tells
    which arguments a version of torch accepts and whether its kernel supports the device.
    """
    for name, kernel in _candidates():
        for adapted in (kernel, _with_repeated_heads(kernel)):
            if _is_correct(adapted, device, dtype, heads, kv_heads, size):
                return Ragged(name, adapted)
            if heads == kv_heads:
                break
    return None


def _candidates() -> Iterator[tuple[str, Kernel]]:
    try:
        from torch.nn.attention import varlen
    except ImportError:  # torch 2.9 does not have it
        pass
    else:
        yield "torch.varlen_attn", _varlen_attn(varlen.varlen_attn)
    if hasattr(torch.ops.aten, "_flash_attention_forward"):
        yield "torch._flash_attention_forward", _flash_operator
    try:
        from flash_attn import flash_attn_varlen_func
    except ImportError:
        return
    yield "flash-attn", _flash_attn(flash_attn_varlen_func)


def _varlen_attn(function: Callable[..., Any]) -> Kernel:
    """Torch's public function, called with those newer arguments that this version has."""
    known = inspect.signature(function).parameters
    # A single split: with more, the division of the keys would depend on the batch's longest sample.
    fixed: dict[str, Any] = {"num_splits": 1} if "num_splits" in known else {}

    def kernel(
        query: Tensor, key: Tensor, value: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int,
        scale: float,
    ) -> Tensor:  # fmt: skip
        more = {"enable_gqa": True} if "enable_gqa" in known and query.shape[1] != key.shape[1] else {}
        attended = function(query, key, value, ends_q, ends_k, longest_q, longest_k, scale=scale, **fixed, **more)
        assert isinstance(attended, Tensor), "no auxiliary output was requested"
        return attended

    return kernel


def _flash_operator(
    query: Tensor, key: Tensor, value: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int,
    scale: float,
) -> Tensor:  # fmt: skip
    attended: Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, ends_q, ends_k, longest_q, longest_k, 0.0, False, False, scale=scale
    )[0]
    return attended


def _flash_attn(function: Callable[..., Any]) -> Kernel:
    def kernel(
        query: Tensor, key: Tensor, value: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int,
        scale: float,
    ) -> Tensor:  # fmt: skip
        attended: Tensor = function(
            query, key, value, ends_q, ends_k, longest_q, longest_k, dropout_p=0.0, softmax_scale=scale, causal=False
        )
        return attended

    return kernel


def _with_repeated_heads(kernel: Kernel) -> Kernel:
    """The kernel with each key and value head repeated for all of its query heads, for kernels without GQA."""

    def repeated(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Tensor:
        times = query.shape[1] // key.shape[1]
        return kernel(query, key.repeat_interleave(times, 1), value.repeat_interleave(times, 1), *rest)

    return repeated


def _is_correct(kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> bool:
    """Whether it is correct for full forwards, and for partial ones, with fewer queries than keys."""
    return all(
        _matches_plain_attention(kernel, device, dtype, heads, kv_heads, size, queries) for queries in ([3, 5], [2, 1])
    )


def _matches_plain_attention(
    kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int, queries: list[int]
) -> bool:
    """Whether it equals plain attention on two samples, of 3 and 5 keys. `queries`: number of queries of each."""
    keys = [3, 5]
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(sum(lengths), h, size, generator=generator).to(device, dtype)
        for lengths, h in ((queries, heads), (keys, kv_heads), (keys, kv_heads))
    )
    ends, ends_k = (
        torch.tensor([0, *lengths], device=device).cumsum(0, dtype=torch.int32) for lengths in (queries, keys)
    )
    scale = size**-0.5
    try:
        with without_cudnn(device):
            found = kernel(query, key, value, ends, ends_k, max(queries), max(keys), scale).float()
    except (RuntimeError, TypeError, ValueError, NotImplementedError):
        return False
    times = heads // kv_heads
    parts = []
    samples = zip(
        torch.split(query.float(), queries), *(torch.split(x.float(), keys) for x in (key, value)), strict=True
    )
    for q, *own in samples:
        k, v = (x.repeat_interleave(times, 1) for x in own)
        weights = (torch.einsum("qhs,khs->hqk", q, k) * scale).softmax(-1)
        parts.append(torch.einsum("hqk,khs->qhs", weights, v))
    expected = torch.cat(parts)
    return bool((found - expected).abs().max() <= _TOLERANCE * torch.finfo(dtype).eps * value.abs().max())
