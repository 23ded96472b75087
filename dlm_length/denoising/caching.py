"""Key-value caches of a bidirectional model: which positions each forward of a block computes anew. Free of torch."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import DenoiseCoroutine, Query

Cache = Literal["none", "prefix", "dual", "dkv"]


@dataclass
class Block:
    """The block of a canvas that is being denoised, `[start, end)`."""

    start: int = 0
    end: int = 0
    """Of an adaptive block only known after its first forward."""


def with_cache(
    cache: Cache, refresh_interval: int | None, canvas: Canvas, block: Block, coroutine: DenoiseCoroutine
) -> DenoiseCoroutine:
    """`coroutine`, which denoises one block, its queries made partial as `cache` says.

    prefix, dual: Fast-dLLM (arXiv 2505.22618): the block's first forward is full and kept; later ones compute the block
    and all behind it, or the block alone. AdaBlock's programs with caches do the same: the forward that finds a block's
    end is its first. dkv: dKV-Cache-Decode (arXiv 2505.15781): the forwards 0, 1 and every
    `refresh_interval`-th of a block are full, those from 1 on kept; the others compute what was masked one forward ago,
    so that a token is computed once more, unmasked, before its keys and values are kept.
    """
    step, masked, kept_length = 0, canvas.masked(), -1
    answer = None
    while True:
        try:
            question = next(coroutine) if answer is None else coroutine.send(answer)
        except StopIteration:
            return
        if not isinstance(question, Query) or question.probe:
            answer = yield question
            continue
        recompute: Positions | None = None
        # A canvas that was cropped within the block has no cache of its length: it begins again with a full forward.
        if len(canvas) == kept_length:
            match cache:
                case "prefix":
                    recompute = np.arange(block.start, len(canvas), dtype=np.int64)
                case "dual":
                    recompute = np.arange(block.start, min(block.end, len(canvas)), dtype=np.int64)
                case "dkv" if refresh_interval is None or step % refresh_interval:
                    recompute = masked
        masked = canvas.masked()
        keep = recompute is not None or cache != "dkv" or step > 0
        kept_length = len(canvas) if keep else -1
        step += 1
        answer = yield replace(question, recompute=recompute, keep=keep)


def with_causal_cache(canvas: Canvas, coroutine: DenoiseCoroutine) -> DenoiseCoroutine:
    """`coroutine`, whose canvas grows by blocks that see no later one, its queries made partial: exact.

    What a finished block keeps never changes: a forward computes the blocks from the first one on that was not full in
    the forward before, the prompt's part of it included.
    """
    # Position before which no later forward would change what the last one computed; None: there was no forward.
    final: int | None = None
    answer = None
    while True:
        try:
            question = next(coroutine) if answer is None else coroutine.send(answer)
        except StopIteration:
            return
        if isinstance(question, Query):
            recompute = None if final is None else np.arange(final, len(canvas), dtype=np.int64)
            question = replace(question, recompute=recompute, keep=True)
            final = _final(canvas)
        answer = yield question


def _final(canvas: Canvas) -> int:
    """Where the first block begins that is not full; negative, or 0, where that is within or behind the prompt."""
    assert canvas.sees is not None, "every token sees every other"
    masks = canvas.masked()
    first = int(masks[0]) if masks.size else len(canvas)
    return first - (canvas.prompt_length + first + canvas.sees.into) % canvas.sees.size
