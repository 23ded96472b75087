"""One batched forward: gathers the samples' tokens, builds their attention, and fills their key-value caches."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.engine.attention import ATTENTIONS, AttentionKind, cached_attention, masked_attention
from dlm_length.engine.head import MIN_ROWS
from dlm_length.engine.kv_cache import KVCache, Part, attend_with_caches
from dlm_length.engine.ragged import without_cudnn
from dlm_length.engine.sample import Sample
from dlm_length.engine.transfer import on_device
from dlm_length.models import MaskPredictor
from dlm_length.models.backbone import Attend


def forward(
    model: MaskPredictor, attention: AttentionKind, distinct: Sequence[Sequence[Sample]]
) -> tuple[Tensor, dict[Sample, Tensor]]:
    """Run one forward; returns the hidden states of the concatenated tokens, (tokens, width), and retained copies.

    `distinct`: groups of samples whose forwards are equal, computed once per group; partial forwards come first. The
    copies are those of the positions in `Query.keep_hidden`, (positions, width), by sample.
    """
    hidden, copies, offset = _hidden(model, attention, distinct), dict[Sample, Tensor](), 0
    for equals in distinct:
        for sample in equals:
            if (rows := sample.kept_rows(offset)) is not None:
                copies[sample] = hidden[on_device(torch.from_numpy(rows), hidden.device)]
        offset += equals[0].queries
    return hidden, copies


def _hidden(model: MaskPredictor, attention: AttentionKind, distinct: Sequence[Sequence[Sample]]) -> Tensor:
    """The hidden states of `forward`, (tokens, width)."""
    device = model.device
    token_rows: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    visible: list[NDArray[np.bool_] | None] = []
    parts: list[Part] = []
    new: list[tuple[Sample, KVCache]] = []
    for first, *equals in distinct:
        ids, (position_ids, mask), computed = first.token_ids(), first.positions_and_mask(), first.computed
        if computed is None:
            for sample in (first, *equals):
                sample.cache = None  # freed before its replacement is allocated
            fresh = [(sample, KVCache(sample.length)) for sample in (first, *equals) if sample.fills_cache]
            new += fresh
            parts.append(Part(first.length, None, [cache for _, cache in fresh]))
        else:
            ids, position_ids = ids[computed], position_ids[computed]
            mask = None if mask is None else mask[computed]
            caches = [sample.cache for sample in (first, *equals) if sample.cache is not None]
            assert len(caches) == 1 + len(equals), "a partial forward needs a cache from an earlier one"
            for cache in caches:
                cache.grow(first.length)
            parts.append(Part(len(computed), on_device(torch.from_numpy(computed), device), caches))
        token_rows.append(ids)
        places.append(position_ids)
        visible.append(mask)
    if (short := MIN_ROWS - sum(part.queries for part in parts)) > 0:  # padding, as a sample of its own
        parts.append(Part(short, None, []))
        token_rows.append(np.zeros(short, dtype=np.int64))
        places.append(np.arange(short))
        visible.append(None)
    token_ids = on_device(torch.from_numpy(np.concatenate(token_rows)), device)
    positions = on_device(torch.from_numpy(np.concatenate(places)), device)
    with without_cudnn(device):
        hidden = model.hidden(token_ids, positions, _attend(attention, parts, visible, device))
    for sample, cache in new:
        sample.cache = cache
    return hidden


def _attend(
    attention: AttentionKind,
    parts: Sequence[Part],
    visible: Sequence[NDArray[np.bool_] | None],
    device: torch.device,
) -> Attend:
    """The attention of one forward. `visible`: for each part whether a query attends to a key; None: always."""
    partial = sum(part.computed is not None for part in parts)
    lengths, masks = [part.queries for part in parts[partial:]], visible[partial:]
    if any(mask is not None for mask in masks):
        full = masked_attention(lengths, masks, device)
    else:
        full = ATTENTIONS[attention](lengths, device) if lengths else _no_attention
    if not any(part.caches for part in parts):
        return full
    reading = parts[:partial]
    queries, keys = [part.queries for part in reading], [part.caches[0].length for part in reading]
    each = cached_attention(attention, queries, keys, visible[:partial], device) if reading else _no_attention
    return attend_with_caches(each, full, parts)


def _no_attention(*_: object) -> Tensor:
    raise AssertionError("this forward has no samples of this kind")
