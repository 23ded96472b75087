"""Keys and values that samples keep between forwards, and attention over them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlm_length.models import Architecture
from dlm_length.models.backbone import Attend


@dataclass
class Kept:
    """One sample's rotated keys, and values, of each layer: (length, kv heads, head size) in the model's dtype."""

    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """One sample's share of a forward."""

    queries: int
    """Tokens computed."""
    computed: Tensor | None
    """Their places in the sequence, (queries,) int64; None: all, and nothing kept is read."""
    stores: Sequence[Kept]
    """Where its keys and values are written: new ones, or of a partial forward those of every equal sample."""


def kept_bytes(architecture: Architecture, length: int, bytes_each: int) -> int:
    """Memory that a sample of `length` tokens keeps."""
    return 2 * architecture.layers * architecture.kv_width * length * bytes_each


def attend_kept(inner: Attend, parts: Sequence[Part]) -> Attend:
    """`inner`, over the keys and values of whole samples: what a layer computed now, and what is kept of the rest.

    Its calls are counted: the layers attend in their order, each once.
    """
    layer = 0

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        nonlocal layer
        counts = [part.queries for part in parts]
        keys: list[Tensor] = []
        values: list[Tensor] = []
        for part, k, v in zip(parts, torch.split(key, counts), torch.split(value, counts), strict=True):
            if part.computed is None:
                for kept in part.stores:
                    kept.keys.append(k.clone())
                    kept.values.append(v.clone())
            else:
                for kept in part.stores:
                    kept.keys[layer].index_copy_(0, part.computed, k)
                    kept.values[layer].index_copy_(0, part.computed, v)
                k, v = part.stores[0].keys[layer], part.stores[0].values[layer]
            keys.append(k)
            values.append(v)
        layer += 1
        return inner(query, torch.cat(keys), torch.cat(values), scale)

    return attend
