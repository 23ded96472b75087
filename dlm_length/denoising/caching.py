"""Key-value caches: which positions each forward of a block recomputes. Does not import torch."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import DenoiseCoroutine, Query

Cache = Literal["none", "prefix", "dual", "dkv"]


@dataclass
class Block:
    """The block `[start, end)` of a canvas that is being denoised."""

    start: int = 0
    end: int = 0
    """The end of an adaptive block is known only after its first forward."""


def with_cache(
    cache: Cache, refresh_interval: int | None, canvas: Canvas, block: Block, coroutine: DenoiseCoroutine
) -> DenoiseCoroutine:
    """`coroutine`, which denoises one block, with its queries changed to use a cache.

    prefix, dual: Fast-dLLM (arXiv 2505.22618). The block's first forward is full and cached; later ones recompute the
    block and everything after it (prefix) or the block alone (dual). As in AdaBlock's implementations with caches, the
    forward that finds the end of an adaptive block is its first. dkv: dKV-Cache-Decode (arXiv 2505.15781). Forwards 0,
    1 and every `refresh_interval`-th of a block are full, and cached from forward 1 on. The others recompute the
    positions that were masked one forward ago, so that a committed token is recomputed once before its keys and values
    are reused.
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
        # After a crop within the block the cache has another length than the canvas: a full forward fills a new one.
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
    """`coroutine`, whose canvas grows by blocks with block-causal attention, with its queries changed to use a cache.

    This changes no answer, as the keys and values of a finished block never change. A forward recomputes everything
    from the first block on that had a mask in the forward before, including that block's prompt tokens.
    """
    # Position before which keys and values no longer change; None before the first forward.
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
    """Canvas position at which the first block with a mask begins; negative if it begins in the prompt."""
    assert canvas.attention is not None, "the attention is bidirectional"
    masks = canvas.masked()
    first = int(masks[0]) if masks.size else len(canvas)
    return first - (canvas.prompt_length + first + canvas.attention.offset) % canvas.attention.size
