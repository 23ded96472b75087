"""Attention over concatenated samples in which no token sees another sample, and no padding is ever attended."""

from collections.abc import Sequence
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


class Prepare(Protocol):
    """Makes the attention of one forward."""

    def __call__(self, lengths: Sequence[int], device: torch.device, keys: Sequence[int] | None = None, /) -> Attend:
        """`lengths`: queries of each sample; `keys`: tokens they attend to, None: as many."""


def best_attention(model: MaskPredictor) -> AttentionKind:
    """Varlen where a flash kernel takes the model's device (CUDA, Ampere on), dtype and heads, else groups.

    In the batch-invariant mode each sample by itself instead of groups: how many there are may choose the kernel.
    """
    half = model.dtype in (torch.float16, torch.bfloat16)
    flash = model.device.type == "cuda" and half and torch.cuda.get_device_capability(model.device) >= (8, 0)
    if flash and _kernel(model):
        return "varlen"
    return "single" if model.batch_invariant else "grouped"


def attention_name(model: MaskPredictor, kind: AttentionKind) -> str:
    """The attention in a record: its kind, and where its kernel comes from."""
    ragged = _kernel(model) if kind == "varlen" else None
    return f"varlen ({ragged.name})" if ragged else kind


def _kernel(model: MaskPredictor) -> Ragged | None:
    sizes = model.architecture
    kv_heads = sizes.kv_width // sizes.head_size
    return ragged_kernel(model.device, model.dtype, sizes.heads, kv_heads, sizes.head_size)


def grouped(lengths: Sequence[int], _device: torch.device, keys: Sequence[int] | None = None) -> Attend:
    """One SDPA call for each run of equal lengths: views, no copies. Sort samples by length to make the runs long."""
    pairs = zip(lengths, keys or lengths, strict=True)
    return _by_runs([(*pair, len(list(run))) for pair, run in groupby(pairs)])


def single(lengths: Sequence[int], _device: torch.device, keys: Sequence[int] | None = None) -> Attend:
    """One SDPA call for each sample."""
    return _by_runs([(length, seen, 1) for length, seen in zip(lengths, keys or lengths, strict=True)])


def _by_runs(runs: Sequence[tuple[int, int, int]]) -> Attend:
    """One SDPA call for each (queries, keys, samples of these)."""

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        start = start_k = 0
        for length, seen, count in runs:
            end, end_k = start + count * length, start_k + count * seen
            q = query[start:end].view(count, length, *query.shape[1:]).transpose(1, 2)
            k, v = (x[start_k:end_k].view(count, seen, *x.shape[1:]).transpose(1, 2) for x in (key, value))
            answer = sdpa(q, k, v, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
            out[start:end].view(count, length, *out.shape[1:]).copy_(answer.transpose(1, 2))
            start, start_k = end, end_k
        return out

    return attend


def varlen(lengths: Sequence[int], device: torch.device, keys: Sequence[int] | None = None) -> Attend:
    """CUDA's ragged flash attention, one call for all samples."""
    ends = on_device(torch.tensor([0, *lengths]).cumsum(0, dtype=torch.int32), device)
    ends_k = ends if keys is None else on_device(torch.tensor([0, *keys]).cumsum(0, dtype=torch.int32), device)
    longest, longest_k = max(lengths), max(keys or lengths)

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        ragged = ragged_kernel(query.device, query.dtype, query.shape[1], key.shape[1], query.shape[2])
        assert ragged is not None, "varlen is chosen only where a kernel was found"
        return ragged.kernel(query, key, value, ends, ends_k, longest, longest_k, scale)

    return attend


def padded(lengths: Sequence[int], device: torch.device, keys: Sequence[int] | None = None) -> Attend:
    """Every sample padded to the longest, the padding masked: the fallback, and the oracle of the tests."""

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
        answer = sdpa(q, k, v, attn_mask=real_k[:, None, None, :], scale=scale, enable_gqa=q.shape[1] != k.shape[1])
        return answer.transpose(1, 2)[real]

    return attend


def partial_sight(
    lengths: Sequence[int],
    visible: Sequence[NDArray[np.bool_] | None],
    device: torch.device,
    keys: Sequence[int] | None = None,
) -> Attend:
    """One SDPA call a sample, for samples whose tokens do not all see each other.

    `visible`: of each sample which query sees which key, (queries, keys); None: all see all.
    """
    masks = [None if seen is None else on_device(torch.from_numpy(seen), device) for seen in visible]

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        start = start_k = 0
        for length, seen, mask in zip(lengths, keys or lengths, masks, strict=True):
            q = query[start : start + length].transpose(0, 1).unsqueeze(0)
            k, v = (x[start_k : start_k + seen].transpose(0, 1).unsqueeze(0) for x in (key, value))
            answer = sdpa(q, k, v, attn_mask=mask, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
            out[start : start + length] = answer[0].transpose(0, 1)
            start, start_k = start + length, start_k + seen
        return out

    return attend


ATTENTIONS: dict[AttentionKind, Prepare] = {
    "grouped": grouped,
    "varlen": varlen,
    "single": single,
    "padded": padded,
}
