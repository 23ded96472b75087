"""Attention over concatenated samples: no token attends to another sample or to padding."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from dlm_length.engine.ragged import Ragged, ragged_kernel
from dlm_length.engine.transfer import on_device
from dlm_length.models import MaskPredictor
from dlm_length.models.backbone import Attend

AttentionKind = Literal["grouped", "varlen", "single", "padded"]
AttendCached = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor], float], Tensor]
"""As `Attend`, but keys and values are one tensor per sample, (its tokens, kv heads, head size)."""


class Prepare(Protocol):
    """Builds the attention function of one forward over samples of `lengths` tokens."""

    def __call__(self, lengths: Sequence[int], device: torch.device, /) -> Attend: ...


def best_attention(model: MaskPredictor) -> AttentionKind:
    """The fastest kind for a model: varlen if a flash kernel supports its device (from Ampere on), dtype and heads.

    Else grouped, or in batch-invariant mode single, as the size of a group may change which kernel runs.
    """
    half = model.dtype in (torch.float16, torch.bfloat16)
    flash = model.device.type == "cuda" and half and torch.cuda.get_device_capability(model.device) >= (8, 0)
    if flash and _kernel(model):
        return "varlen"
    return "single" if model.batch_invariant else "grouped"


def attention_name(model: MaskPredictor, kind: AttentionKind) -> str:
    """Name of an attention for records: its kind and, for varlen, the source of its kernel."""
    ragged = _kernel(model) if kind == "varlen" else None
    return f"varlen ({ragged.name})" if ragged else kind


def _kernel(model: MaskPredictor) -> Ragged | None:
    sizes = model.architecture
    kv_heads = sizes.kv_width // sizes.head_size
    return ragged_kernel(model.device, model.dtype, sizes.heads, kv_heads, sizes.head_size)


def grouped(lengths: Sequence[int], _device: torch.device) -> Attend:
    """One SDPA call for each run of adjacent samples of equal length, on views; sorted samples make long runs."""
    return _by_runs([(length, len(list(run))) for length, run in groupby(lengths)])


def single(lengths: Sequence[int], _device: torch.device) -> Attend:
    """One SDPA call for each sample."""
    return _by_runs([(length, 1) for length in lengths])


def _by_runs(runs: Sequence[tuple[int, int]]) -> Attend:
    """One SDPA call for each run; `runs`: the (length in tokens, number of samples) of each."""

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        start = 0
        for length, count in runs:
            end = start + count * length
            q, k, v = (x[start:end].view(count, length, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
            attended = _sdpa(q, k, v, scale)
            out[start:end].view(count, length, *out.shape[1:]).copy_(attended.transpose(1, 2))
            start = end
        return out

    return attend


def _sdpa(query: Tensor, key: Tensor, value: Tensor, scale: float, mask: Tensor | None = None) -> Tensor:
    """SDPA of (samples, heads, tokens, size); keys and values may have fewer heads."""
    grouped_heads = query.shape[1] != key.shape[1]
    if grouped_heads and query.is_cuda and (mask is not None or query.dtype == torch.float32):
        # On a GPU, float32 and masks have one kernel that does not store all scores, and it takes equal heads alone.
        key, value = (x.repeat_interleave(query.shape[1] // x.shape[1], dim=1) for x in (key, value))
        grouped_heads = False
    return sdpa(query, key, value, attn_mask=mask, scale=scale, enable_gqa=grouped_heads)


def varlen(lengths: Sequence[int], device: torch.device, keys: Sequence[int] | None = None) -> Attend:
    """Variable-length flash attention on CUDA: one call for all samples.

    `keys`: number of keys of each sample; None: `lengths`.
    """
    ends = on_device(_ends(lengths), device)
    ends_k = ends if keys is None else on_device(_ends(keys), device)
    # At most one query per sample would select a decoding kernel, which divides the keys by the size of the batch. The
    # longest only bounds the number of blocks.
    longest, longest_k = max(2, *lengths), max(keys or lengths)

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        ragged = ragged_kernel(query.device, query.dtype, query.shape[1], key.shape[1], query.shape[2])
        assert ragged is not None, "varlen is chosen only where a kernel was found"
        return ragged.kernel(query, key, value, ends, ends_k, longest, longest_k, scale)

    return attend


def _ends(lengths: Sequence[int]) -> Tensor:
    """Cumulative lengths, (samples + 1,) int32, on the CPU also where torch's default device is another."""
    return torch.tensor([0, *lengths], device="cpu").cumsum(0, dtype=torch.int32)


def padded(lengths: Sequence[int], device: torch.device, keys: Sequence[int] | None = None) -> Attend:
    """Every sample padded to the longest, the padding masked: slow, and the reference for the other kinds in tests.

    `keys`: number of keys of each sample; None: `lengths`.
    """

    def within(each: Sequence[int]) -> Tensor:
        return torch.arange(max(each), device=device) < torch.tensor(each, device=device)[:, None]

    real = within(lengths)
    real_k = real if keys is None else within(keys)

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        def pad(x: Tensor, real: Tensor) -> Tensor:
            full = x.new_zeros(*real.shape, *x.shape[1:])
            full[real] = x
            return full.transpose(1, 2)

        q, k, v = pad(query, real), pad(key, real_k), pad(value, real_k)
        mask = real_k[:, None, None, :]
        attended = sdpa(q, k, v, attn_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
        return attended.transpose(1, 2)[real]

    return attend


def masked_attention(
    lengths: Sequence[int], visible: Sequence[NDArray[np.bool_] | None], device: torch.device
) -> Attend:
    """One SDPA call per sample, with an attention mask where not every token attends to every other.

    `visible`: for each sample whether a query (row) attends to a key (column), (length, length); None: always.
    """
    each = _one_by_one(lengths, visible, device)

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        return each(query, torch.split(key, list(lengths)), torch.split(value, list(lengths)), scale)

    return attend


def cached_attention(
    kind: AttentionKind,
    lengths: Sequence[int],
    keys: Sequence[int],
    visible: Sequence[NDArray[np.bool_] | None],
    device: torch.device,
) -> AttendCached:
    """Attention of some tokens of each sample to all of its cached keys and values.

    `lengths`: number of queries of each sample. `keys`: number of keys of each sample. `visible`: for each sample
    whether a query attends to a key, (queries, keys); None: always. The kernels for ragged samples need keys and values
    concatenated; SDPA reads them from the caches without a copy.
    """
    if kind not in _RAGGED or any(mask is not None for mask in visible):
        return _one_by_one(lengths, visible, device)
    inner = _RAGGED[kind](lengths, device, keys)

    def attend(query: Tensor, key: Sequence[Tensor], value: Sequence[Tensor], scale: float) -> Tensor:
        return inner(query, torch.cat(list(key)), torch.cat(list(value)), scale)

    return attend


def _one_by_one(
    lengths: Sequence[int], visible: Sequence[NDArray[np.bool_] | None], device: torch.device
) -> AttendCached:
    """One SDPA call per sample; `lengths`, `visible`: as in `cached_attention`."""
    masks = [None if mask is None else on_device(torch.from_numpy(mask), device) for mask in visible]

    def attend(query: Tensor, key: Sequence[Tensor], value: Sequence[Tensor], scale: float) -> Tensor:
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        start = 0
        for length, mask, *own in zip(lengths, masks, key, value, strict=True):
            q, k, v = (x.transpose(0, 1).unsqueeze(0) for x in (query[start : start + length], *own))
            attended = _sdpa(q, k, v, scale, mask)
            out[start : start + length] = attended[0].transpose(0, 1)
            start += length
        return out

    return attend


_RAGGED = {"varlen": varlen, "padded": padded}

ATTENTIONS: dict[AttentionKind, Prepare] = {
    "grouped": grouped,
    "varlen": varlen,
    "single": single,
    "padded": padded,
}
