"""Fused elementwise Triton kernels; each reads and writes device memory once. Importing this module needs Triton."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_PAIR_BLOCK = 1024
"""Elements of the gated activation that one program computes."""
_HEADS_BLOCK = 8
"""Attention heads that one program rotates."""


@triton.jit
def _add_rms_norm_kernel(
    x_ptr,
    residual_ptr,
    weight_ptr,
    out_ptr,
    width,
    eps,
    ADD: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64) * width
    column = tl.arange(0, BLOCK)
    inside = column < width
    x = tl.load(x_ptr + row + column, mask=inside, other=0.0).to(tl.float32)
    if ADD:
        residual = tl.load(residual_ptr + row + column, mask=inside, other=0.0).to(tl.float32)
        # Rounded as the unfused residual stream is, before the norm sees it.
        summed = (x + residual).to(residual_ptr.dtype.element_ty)
        tl.store(residual_ptr + row + column, summed, mask=inside)
        x = summed.to(tl.float32)
    scale = tl.rsqrt(tl.sum(x * x, axis=0) / width + eps)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(out_ptr + row + column, (x * scale * weight).to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _rotate_kernel(
    x_ptr,
    cos_ptr,
    sin_ptr,
    stride,
    heads,
    HALF: tl.constexpr,
    HALF_BLOCK: tl.constexpr,
    HEADS: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1) * HEADS + tl.arange(0, HEADS)
    column = tl.arange(0, HALF_BLOCK)
    angle = token * HALF + column
    cos = tl.load(cos_ptr + angle, mask=column < HALF, other=0.0)[None, :]
    sin = tl.load(sin_ptr + angle, mask=column < HALF, other=0.0)[None, :]
    first = x_ptr + token * stride + head[:, None] * (2 * HALF) + column[None, :]
    inside = (head[:, None] < heads) & (column[None, :] < HALF)
    a = tl.load(first, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(first + HALF, mask=inside, other=0.0).to(tl.float32)
    tl.store(first, (a * cos - b * sin).to(x_ptr.dtype.element_ty), mask=inside)
    tl.store(first + HALF, (b * cos + a * sin).to(x_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _silu_mul_kernel(
    gate_up_ptr,
    out_ptr,
    width,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < width
    gate = tl.load(gate_up_ptr + row * 2 * width + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up_ptr + row * 2 * width + width + column, mask=inside, other=0.0).to(tl.float32)
    gated = gate / (1.0 + tl.exp(-gate)) * up
    tl.store(out_ptr + row * width + column, gated.to(out_ptr.dtype.element_ty), mask=inside)


@triton.jit
def _row_statistics_kernel(
    logits_ptr,
    token_ptr,
    highest_ptr,
    others_ptr,
    second_ptr,
    weighted_ptr,
    vocabulary,
    MORE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    offset = tl.arange(0, BLOCK)
    highest = tl.full((), float("-inf"), tl.float32)
    second = tl.full((), float("-inf"), tl.float32)
    token = tl.zeros((), tl.int64)
    others = tl.zeros((), tl.float32)
    weighted = tl.zeros((), tl.float32)
    broken = tl.zeros((), tl.int32)
    for start in range(0, vocabulary, BLOCK):
        column = start + offset
        inside = column < vocabulary
        x = tl.load(logits_ptr + row * vocabulary + column, mask=inside, other=float("-inf")).to(tl.float32)
        broken = tl.maximum(broken, tl.max(((x != x) | (x == float("inf"))).to(tl.int32), axis=0))
        best = tl.max(x, axis=0)
        place = tl.min(tl.where((x == best) & inside, column, vocabulary), axis=0).to(tl.int64)
        if MORE:
            rest = tl.max(tl.where(column == place, float("-inf"), x), axis=0)
            second = tl.maximum(tl.maximum(second, rest), tl.minimum(highest, best))
        token = tl.where(best > highest, place, token)
        above = tl.maximum(highest, best)
        # A row that is minus infinity so far has no scale yet, and nothing to rescale.
        base = tl.where(above == float("-inf"), 0.0, above)
        rescale = tl.exp(highest - base)
        e = tl.exp(x - base)
        total = tl.where(highest == float("-inf"), 0.0, others + 1.0)
        if MORE:
            shift = tl.where(total > 0, (highest - base) * total, 0.0)
            weighted = (weighted + shift) * rescale + tl.sum(tl.where(e > 0, (x - base) * e, 0.0), axis=0)
        # Apart from the highest logit, as its 1 would round away what makes a confident prediction less than certain.
        own = tl.sum(tl.where(column == place, 0.0, e), axis=0)
        others = tl.where(best > highest, total * rescale + own, others + own + tl.exp(best - base))
        highest = above
    others = tl.where(broken > 0, float("nan"), others)
    tl.store(token_ptr + row, token)
    tl.store(highest_ptr + row, highest)
    tl.store(others_ptr + row, others)
    if MORE:
        tl.store(second_ptr + row, second)
        tl.store(weighted_ptr + row, weighted)


def add_rms_norm(x: Tensor, residual: Tensor | None, weight: Tensor, eps: float) -> Tensor:
    """RMSNorm of `x`, (rows, width), contiguous. With `residual`: of `x + residual`, a sum that is written to it."""
    out = torch.empty_like(x)
    rows, width = x.shape
    block = triton.next_power_of_2(width)
    _add_rms_norm_kernel[(rows,)](
        x,
        x if residual is None else residual,
        weight,
        out,
        width,
        eps,
        ADD=residual is not None,
        BLOCK=block,
        num_warps=max(1, min(16, block // 512)),
    )
    return out


def rotate_(x: Tensor, cos: Tensor, sin: Tensor, heads: int) -> None:
    """Rotate the first `heads` heads of every row of `x`, (rows, at least heads * 2 * half), in place.

    `cos`, `sin`: (rows, half) float32. The two halves of a head are a pair, as in Llama's `rotate_half`.
    """
    rows, half = cos.shape
    _rotate_kernel[(rows, triton.cdiv(heads, _HEADS_BLOCK))](
        x, cos, sin, x.stride(0), heads, HALF=half, HALF_BLOCK=triton.next_power_of_2(half), HEADS=_HEADS_BLOCK
    )


def silu_mul(gate_up: Tensor) -> Tensor:
    """silu(gate) * up of (rows, 2 * width), gate first: (rows, width)."""
    rows, width = gate_up.shape[0], gate_up.shape[1] // 2
    out = gate_up.new_empty(rows, width)
    _silu_mul_kernel[(rows, triton.cdiv(width, _PAIR_BLOCK))](gate_up, out, width, BLOCK=_PAIR_BLOCK)
    return out


def row_statistics(logits: Tensor, *, more: bool) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Of each row of (rows, vocabulary) logits l: argmax, highest logit m, sum of exp(l - m) over all tokens but the
    argmax, second highest logit, and sum of (l - m) exp(l - m); each (rows,).

    The argmax is int64, the others are float32. `more`: whether to compute the last two, which are undefined otherwise.
    Sums are NaN where a logit is NaN or infinite.
    """
    rows, vocabulary = logits.shape
    token = torch.empty(rows, dtype=torch.int64, device=logits.device)
    highest, others, second, weighted = torch.empty(4, rows, dtype=torch.float32, device=logits.device)
    _row_statistics_kernel[(rows,)](
        logits, token, highest, others, second, weighted, vocabulary, MORE=more, BLOCK=4096, num_warps=8
    )
    return token, highest, others, second, weighted
