"""Ragged flash attention on CUDA: the best kernel that this torch, or an installed package, has."""

import inspect
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

Kernel = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int, int, float], Tensor]
"""query, key, value (tokens, heads, size), ends of the samples among queries and among keys (samples + 1,) int32,
longest of either, scale; to (tokens, heads, size)."""

_TOLERANCE = 8
"""Rounding of a few products, in units of the dtype's precision: a wrong layout is off by the values themselves."""


class Ragged(NamedTuple):
    """A kernel that was tried on the device."""

    name: str
    """For records: where it comes from."""
    kernel: Kernel


@cache
def ragged_kernel(device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> Ragged | None:
    """The first kernel that computes attention of this layout on this device; None where none does.

    Tried on two samples of unequal length and compared with a plain computation: what a version of torch accepts, and
    whether its kernel suits the device, shows in no version number.
    """
    for name, kernel in _candidates():
        for adapted in (kernel, _with_repeated_heads(kernel)):
            if _works(adapted, device, dtype, heads, kv_heads, size):
                return Ragged(name, adapted)
            if heads == kv_heads:
                break
    return None


def _candidates() -> Iterator[tuple[str, Kernel]]:
    try:
        from torch.nn.attention import varlen
    except ImportError:  # torch 2.9 has none
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
    """Torch's public function, with those of its later arguments that this version has."""
    known = inspect.signature(function).parameters
    # One split: with more, how the keys are divided would depend on the longest sample of the batch.
    fixed: dict[str, Any] = {"num_splits": 1} if "num_splits" in known else {}

    def kernel(
        query: Tensor, key: Tensor, value: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int,
        scale: float,
    ) -> Tensor:  # fmt: skip
        more = {"enable_gqa": True} if "enable_gqa" in known and query.shape[1] != key.shape[1] else {}
        answer = function(query, key, value, ends_q, ends_k, longest_q, longest_k, scale=scale, **fixed, **more)
        assert isinstance(answer, Tensor), "no auxiliary output was requested"
        return answer

    return kernel


def _flash_operator(
    query: Tensor, key: Tensor, value: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int,
    scale: float,
) -> Tensor:  # fmt: skip
    answer: Tensor = torch.ops.aten._flash_attention_forward(
        query, key, value, ends_q, ends_k, longest_q, longest_k, 0.0, False, False, scale=scale
    )[0]
    return answer


def _flash_attn(function: Callable[..., Any]) -> Kernel:
    def kernel(
        query: Tensor, key: Tensor, value: Tensor, ends_q: Tensor, ends_k: Tensor, longest_q: int, longest_k: int,
        scale: float,
    ) -> Tensor:  # fmt: skip
        answer: Tensor = function(
            query, key, value, ends_q, ends_k, longest_q, longest_k, dropout_p=0.0, softmax_scale=scale, causal=False
        )
        return answer

    return kernel


def _with_repeated_heads(kernel: Kernel) -> Kernel:
    """The kernel, given every key/value head as often as query heads read it."""

    def repeated(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Tensor:
        times = query.shape[1] // key.shape[1]
        return kernel(query, key.repeat_interleave(times, 1), value.repeat_interleave(times, 1), *rest)

    return repeated


def _works(kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int) -> bool:
    """Whether it computes attention over samples' own tokens, and of a few of them over all, as partial forwards do."""
    return all(_right(kernel, device, dtype, heads, kv_heads, size, queries) for queries in ([3, 5], [2, 1]))


def _right(
    kernel: Kernel, device: torch.device, dtype: torch.dtype, heads: int, kv_heads: int, size: int, queries: list[int]
) -> bool:
    """On two samples, of 3 and 5 keys."""
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
