"""One forward over samples: their tokens gathered, attention as each of them sees, and what they keep of it."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.engine.attention import ATTENTIONS, AttentionKind, over_kept, partial_sight
from dlm_length.engine.head import MIN_ROWS
from dlm_length.engine.kept import Kept, Part, attend_kept
from dlm_length.engine.sample import Sample
from dlm_length.engine.transfer import on_device
from dlm_length.models import MaskPredictor
from dlm_length.models.backbone import Attend


def forward(
    model: MaskPredictor, attention: AttentionKind, distinct: Sequence[Sequence[Sample]]
) -> tuple[Tensor, dict[Sample, Tensor]]:
    """Hidden states of the concatenated tokens of samples, each with its equals, (tokens, width).

    And of the samples whose queries keep some of the hidden states, copies of these. Partial forwards come first.
    """
    hidden, copies, offset = _hidden(model, attention, distinct), dict[Sample, Tensor](), 0
    for equals in distinct:
        for sample in equals:
            if (rows := sample.kept_rows(offset)) is not None:
                copies[sample] = hidden[on_device(torch.from_numpy(rows), hidden.device)]
        offset += equals[0].queries
    return hidden, copies


def _hidden(model: MaskPredictor, attention: AttentionKind, distinct: Sequence[Sequence[Sample]]) -> Tensor:
    """As `forward`, without the copies."""
    device = model.device
    rows: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    visible: list[NDArray[np.bool_] | None] = []
    parts: list[Part] = []
    new: list[tuple[Sample, Kept]] = []
    for first, *equals in distinct:
        ids, (where, seen), computed = first.token_ids(), first.sight(), first.computed
        if computed is None:
            for sample in (first, *equals):
                sample.kept = None  # freed before what replaces it is made, or there were both at once
            fresh = [(sample, Kept(sample.length)) for sample in (first, *equals) if sample.keeps]
            new += fresh
            parts.append(Part(first.length, None, [kept for _, kept in fresh]))
        else:
            ids, where, seen = ids[computed], where[computed], None if seen is None else seen[computed]
            stores = [sample.kept for sample in (first, *equals) if sample.kept is not None]
            assert len(stores) == 1 + len(equals), "a partial forward came before any that was kept"
            for kept in stores:
                kept.grow(first.length)
            parts.append(Part(len(computed), on_device(torch.from_numpy(computed), device), stores))
        rows.append(ids)
        places.append(where)
        visible.append(seen)
    if (short := MIN_ROWS - sum(part.queries for part in parts)) > 0:  # padding: a sample that no other attends to
        parts.append(Part(short, None, []))
        rows.append(np.zeros(short, dtype=np.int64))
        places.append(np.arange(short))
        visible.append(None)
    token_ids = on_device(torch.from_numpy(np.concatenate(rows)), device)
    positions = on_device(torch.from_numpy(np.concatenate(places)), device)
    hidden = model.hidden(token_ids, positions, _attend(attention, parts, visible, device))
    for sample, kept in new:
        sample.kept = kept
    return hidden


def _attend(
    attention: AttentionKind,
    parts: Sequence[Part],
    visible: Sequence[NDArray[np.bool_] | None],
    device: torch.device,
) -> Attend:
    """The attention of one forward; `visible`: of each part which query sees which token of its sample."""
    partial = sum(part.computed is not None for part in parts)
    lengths, sights = [part.queries for part in parts[partial:]], visible[partial:]
    if any(seen is not None for seen in sights):
        full = partial_sight(lengths, sights, device)
    else:
        full = ATTENTIONS[attention](lengths, device) if lengths else _no_attention
    if not any(part.stores for part in parts):
        return full
    reading = parts[:partial]
    queries, keys = [part.queries for part in reading], [part.stores[0].length for part in reading]
    each = over_kept(attention, queries, keys, visible[:partial], device) if reading else _no_attention
    return attend_kept(each, full, parts)


def _no_attention(*_: object) -> Tensor:
    raise AssertionError("there is no such sample in this forward")
