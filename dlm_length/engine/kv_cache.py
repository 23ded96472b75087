"""Key-value caches of samples, and attention that reads and fills them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dlm_length.engine.attention import AttendCached
from dlm_length.models import Architecture
from dlm_length.models.backbone import Attend


@dataclass(eq=False)
class KVCache:
    """One sample's rotated keys and its values: per layer (length, kv heads, head size), in the model's dtype."""

    length: int
    keys: list[Tensor] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)

    def grow(self, length: int) -> None:
        """Extend the cache to `length` tokens; the next forward must compute the new ones."""
        for layers in (self.keys, self.values):
            for layer, rows in enumerate(layers):
                if len(rows) < length:
                    layers[layer] = torch.cat([rows, rows.new_empty(length - len(rows), *rows.shape[1:])])
        self.length = max(self.length, length)


@dataclass(frozen=True)
class Part:
    """One sample's part of a forward."""

    queries: int
    """Number of tokens computed."""
    computed: Tensor | None
    """Their indices in prompt and canvas, (queries,) int64; None: all, so that no cache is read."""
    caches: Sequence[KVCache]
    """The caches to write keys and values to: those of all samples that share this forward."""


def kv_cache_bytes(architecture: Architecture, length: int, bytes_each: int) -> int:
    """Bytes of the cache of a sample of `length` tokens. `bytes_each`: bytes of one number."""
    return 2 * architecture.layers * architecture.kv_width * length * bytes_each


def attend_with_caches(partial: AttendCached, full: Attend, parts: Sequence[Part]) -> Attend:
    """Attention of a forward that reads and fills caches.

    `partial`: attention of the first `parts`, which read a cache. `full`: attention of the others. The function that is
    returned must be called once per layer, in order, as it counts the layers. A forward that is repeated after it ran
    out of memory writes the same rows again.
    """
    reading = [part for part in parts if part.computed is not None]
    whole = list(parts[len(reading) :])
    assert all(part.computed is None for part in whole), "partial forwards come first"
    split, layer = sum(part.queries for part in reading), 0

    def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        nonlocal layer
        _fill(whole, key[split:], value[split:])
        answers = []
        if reading:
            own = [_update(part, layer, k, v) for part, k, v in _by_part(reading, key[:split], value[:split])]
            keys, values = zip(*own, strict=True)
            answers.append(partial(query[:split], keys, values, scale))
        if whole:
            answers.append(full(query[split:], key[split:], value[split:], scale))
        layer += 1
        return answers[0] if len(answers) == 1 else torch.cat(answers)

    return attend


def _fill(parts: Sequence[Part], key: Tensor, value: Tensor) -> None:
    """Add a layer's keys and values of full forwards to their caches."""
    for part, k, v in _by_part(parts, key, value):
        for cache in part.caches:
            cache.keys.append(k.clone())
            cache.values.append(v.clone())


def _update(part: Part, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Write a layer's computed rows of a partial forward; returns the keys and values of the whole sample."""
    assert part.computed is not None, "a full forward fills a new cache"
    for cache in part.caches:
        cache.keys[layer].index_copy_(0, part.computed, key)
        cache.values[layer].index_copy_(0, part.computed, value)
    return part.caches[0].keys[layer], part.caches[0].values[layer]


def _by_part(parts: Sequence[Part], key: Tensor, value: Tensor) -> Iterator[tuple[Part, Tensor, Tensor]]:
    counts = [part.queries for part in parts]
    return zip(parts, torch.split(key, counts), torch.split(value, counts), strict=True) if parts else iter(())
