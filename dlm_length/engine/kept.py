"""Keys and values that samples keep between forwards, and attention over them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlm_length.engine.attention import AttendEach
from dlm_length.models import Architecture
from dlm_length.models.backbone import Attend


@dataclass(eq=False)
class Kept:
    """One sample's rotated keys, and values, of each layer: (length, kv heads, head size) in the model's dtype."""

    length: int
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def grow(self, length: int) -> None:
        """Make room behind the last token, for a sample that became longer; its next forward computes what is new."""
        for layers in (self.keys, self.values):
            for layer, rows in enumerate(layers):
                if len(rows) < length:
                    layers[layer] = torch.cat([rows, rows.new_empty(length - len(rows), *rows.shape[1:])])
        self.length = max(self.length, length)


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


def attend_kept(partial: AttendEach, full: Attend, parts: Sequence[Part]) -> Attend:
    """Attention of a forward whose first `parts` read what is kept, by `partial`, and whose others are full, by `full`.

    Its calls are counted: the layers attend in their order, each once. What runs again after running out of memory
    writes the same rows again.
    """
    reading = [part for part in parts if part.computed is not None]
    whole = list(parts[len(reading) :])
    assert all(part.computed is None for part in whole), "partial forwards come first"
    split, layer = sum(part.queries for part in reading), 0

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        nonlocal layer
        _keep_whole(whole, key[split:], value[split:])
        answers = []
        if reading:
            own = [_keep_rows(part, layer, k, v) for part, k, v in _by_part(reading, key[:split], value[:split])]
            keys, values = zip(*own, strict=True)
            answers.append(partial(query[:split], keys, values, scale))
        if whole:
            answers.append(full(query[split:], key[split:], value[split:], scale))
        layer += 1
        return answers[0] if len(answers) == 1 else torch.cat(answers)

    return attend


def _keep_whole(parts: Sequence[Part], key: Tensor, value: Tensor) -> None:
    for part, k, v in _by_part(parts, key, value):
        for kept in part.stores:
            kept.keys.append(k.clone())
            kept.values.append(v.clone())


def _keep_rows(part: Part, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Write what a partial forward computed; the keys and values of the whole sample."""
    assert part.computed is not None, "a full forward replaces all rows"
    for kept in part.stores:
        kept.keys[layer].index_copy_(0, part.computed, key)
        kept.values[layer].index_copy_(0, part.computed, value)
    return part.stores[0].keys[layer], part.stores[0].values[layer]


def _by_part(parts: Sequence[Part], key: Tensor, value: Tensor) -> Iterator[tuple[Part, Tensor, Tensor]]:
    counts = [part.queries for part in parts]
    return zip(parts, torch.split(key, counts), torch.split(value, counts), strict=True) if parts else iter(())
