"""Attention over concatenated samples in which no token sees another sample, and no padding is ever attended."""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from dlm_length.models.backbone import Attend

AttentionKind = Literal["grouped", "varlen", "padded"]
Prepare = Callable[[Sequence[int], torch.device], Attend]


def best_attention(device: torch.device, dtype: torch.dtype) -> AttentionKind:
    """Varlen where flash kernels take the device (CUDA, Ampere on) and the number format, else groups."""
    half = dtype in (torch.float16, torch.bfloat16)
    flash = device.type == "cuda" and half and torch.cuda.get_device_capability(device) >= (8, 0)
    return "varlen" if flash else "grouped"


def grouped(lengths: Sequence[int], _device: torch.device) -> Attend:
    """One SDPA call for each run of equal lengths: views, no copies. Sort samples by length to make the runs long."""
    runs = [(length, len(list(run))) for length, run in groupby(lengths)]

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        out = torch.empty(query.shape, dtype=query.dtype, device=query.device)
        start = 0
        for length, count in runs:
            end = start + count * length
            q, k, v = (x[start:end].view(count, length, *x.shape[1:]).transpose(1, 2) for x in (query, key, value))
            answer = sdpa(q, k, v, scale=scale, enable_gqa=q.shape[1] != k.shape[1])
            out[start:end].view(count, length, *out.shape[1:]).copy_(answer.transpose(1, 2))
            start = end
        return out

    return attend


def varlen(lengths: Sequence[int], device: torch.device) -> Attend:
    """CUDA's ragged flash attention, one call for all samples."""
    from torch.nn.attention.varlen import varlen_attn

    ends = torch.tensor([0, *lengths]).cumsum(0).to(device, torch.int32)
    longest = max(lengths)

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        gqa = query.shape[1] != key.shape[1]
        # One split: with more, how the keys are divided would depend on the longest sample of the batch.
        answer = varlen_attn(query, key, value, ends, ends, longest, longest, scale=scale, enable_gqa=gqa, num_splits=1)
        assert isinstance(answer, Tensor), "no auxiliary output was asked for"
        return answer

    return attend


def padded(lengths: Sequence[int], device: torch.device) -> Attend:
    """Every sample padded to the longest, the padding masked: the fallback, and the oracle of the tests."""
    count, longest = len(lengths), max(lengths)
    real = torch.arange(longest, device=device) < torch.tensor(lengths, device=device)[:, None]

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        def pad(x: Tensor) -> Tensor:
            full = x.new_zeros(count, longest, *x.shape[1:])
            full[real] = x
            return full.transpose(1, 2)

        q, k, v = pad(query), pad(key), pad(value)
        answer = sdpa(q, k, v, attn_mask=real[:, None, None, :], scale=scale, enable_gqa=q.shape[1] != k.shape[1])
        return answer.transpose(1, 2)[real]

    return attend


ATTENTIONS: dict[AttentionKind, Prepare] = {"grouped": grouped, "varlen": varlen, "padded": padded}
