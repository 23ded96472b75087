"""Caches written plainly over whole-sequence tensors, from the programs' descriptions, against the engine."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from dlm_length import Engine, MaskPredictor, build_policy


class Plain:
    """One sample; keys and values of every layer by absolute position, and which of them were computed."""

    def __init__(self, model: MaskPredictor, prompt: list[int], length: int) -> None:
        self.model, self.start = model, len(prompt)
        self.x = torch.tensor(prompt + [model.tokens.mask] * length)
        self.forwards: list[tuple[int, int]] = []
        self.layers: list[tuple[Tensor, Tensor]] = []

    @property
    def mask(self) -> Tensor:
        return self.x == self.model.tokens.mask

    def forward(self, places: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """Logits, minus infinity where nothing was computed. `places`: computed anew, the rest read from `layers`.

        `keep`: whose keys and values are kept of this forward; None: of all places computed.
        """
        size = len(self.x)
        places = torch.arange(size) if places is None else places
        self.forwards.append((len(places), size - len(places)))
        old, self.layers = iter(self.layers if len(places) < size else []), []

        def attend(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
            kept_key, kept_value = next(old, (torch.zeros(size, *key.shape[1:]), torch.zeros(size, *value.shape[1:])))
            keys, values = kept_key.clone(), kept_value.clone()
            keys[places], values[places] = key, value
            stays = places if keep is None else places[torch.isin(places, keep)]
            kept_key[stays], kept_value[stays] = keys[stays], values[stays]
            self.layers.append((kept_key, kept_value))
            weights = (torch.einsum("qhs,khs->hqk", query, keys) * scale).softmax(-1)
            return torch.einsum("hqk,khs->qhs", weights, values)

        logits = torch.full((size, self.model.architecture.vocabulary), -math.inf)
        logits[places] = self.model.logits(self.model.hidden(self.x[places], places, attend))
        return logits

    def commit(self, logits: Tensor, begin: int, end: int, count: int | None, threshold: float | None) -> None:
        """The best `count` masks of the block, or all that reach the threshold and the best one."""
        p, token = logits[begin:end].double().softmax(-1).max(-1)
        p = torch.where(self.mask[begin:end] & ~p.isnan(), p, -1.0)
        if threshold is None:
            chosen = p.argsort(descending=True, stable=True)[:count]
        else:
            chosen = ((p >= threshold) | (torch.arange(len(p)) == p.argmax())).nonzero()[:, 0]
        self.x[begin + chosen] = token[chosen]


def blocks(plain: Plain, size: int, steps: int | None, threshold: float | None) -> Iterator[tuple[int, int, list]]:
    """(start, end, tokens of each forward) of the blocks; steps by cumulative shares of the canvas."""
    length = len(plain.x) - plain.start
    for first in range(0, length, size):
        last = min(first + size, length)
        masks = last - first
        share = masks if steps is None else max(1, steps * last // length - steps * first // length)
        counts = (
            [None] * masks if threshold is not None else [masks // share + (i < masks % share) for i in range(share)]
        )
        yield plain.start + first, plain.start + last, counts


def fast_dllm(plain: Plain, cache: str, size: int, steps: int | None, threshold: float | None) -> None:
    for begin, end, counts in blocks(plain, size, steps, threshold):
        behind = torch.arange(begin, len(plain.x) if cache == "prefix" else end)
        for i, count in enumerate(counts):
            if not plain.mask[begin:end].any():
                break
            plain.commit(plain.forward(None if i == 0 else behind), begin, end, count, threshold)


def dkv(plain: Plain, interval: int | None, size: int, steps: int | None) -> None:
    for begin, end, counts in blocks(plain, size, steps, None):
        done: list[Tensor] = []  # positions not MASK after each step
        for i, count in enumerate(counts):
            partial = i > 1 and (interval is None or i % interval)
            places = torch.arange(len(plain.x))
            if partial:
                places = places[~torch.isin(places, done[i - 2])]
            logits = plain.forward(places if partial else None, done[i - 1] if i else torch.tensor([]))
            plain.commit(logits, begin, end, count, None)
            done.append((~plain.mask).nonzero()[:, 0])


SHAPES = [(1, 20, 8), (1, 7, 7), (2, 9, 4), (17, 24, 5), (30, 16, 16), (5, 13, 1), (9, 12, 20)]
"""Prompt, canvas and block: prompts of one token, blocks that do not divide the canvas, of one token, beyond it."""


def compare(model: MaskPredictor, draw: Callable[[Plain], None], prompt: int, own: dict) -> None:
    ids = np.random.default_rng(prompt).integers(4, 700, prompt).tolist()
    plain = Plain(model, ids, own["length"])
    draw(plain)
    (generation,) = Engine(model).generate([ids], build_policy("fixed", **own))
    assert generation.error is None
    assert generation.canvas_ids == plain.x[plain.start :].tolist()
    assert generation.forwards == plain.forwards


@pytest.mark.parametrize(("prompt", "length", "size"), SHAPES)
@pytest.mark.parametrize("cache", ["prefix", "dual"])
@torch.inference_mode()
def test_fast_dllm(tiny_model: MaskPredictor, cache: str, prompt: int, length: int, size: int):
    count = -(-length // size)
    for steps, threshold in [(None, None), ((length + count) // 2, None), *((None, t) for t in (0.0, 0.35, 1.0))]:
        own = {"length": length, "block_length": size, "cache": cache}
        own |= {"steps": steps} if steps else {} if threshold is None else {"threshold": threshold}
        compare(tiny_model, lambda plain: fast_dllm(plain, cache, size, steps, threshold), prompt, own)  # noqa: B023


@pytest.mark.parametrize(("prompt", "length", "size"), SHAPES)
@torch.inference_mode()
def test_dkv_cache_decode(tiny_model: MaskPredictor, prompt: int, length: int, size: int):
    count = -(-length // size)
    for steps in (None, (length + count) // 2):
        for interval in (1, 2, 3, None):
            own = {"length": length, "block_length": size, "cache": "dkv", "refresh_interval": interval}
            own |= {"steps": steps} if steps else {}
            compare(tiny_model, lambda plain: dkv(plain, interval, size, steps), prompt, own)  # noqa: B023
