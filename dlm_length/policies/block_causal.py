"""Block-causal generation, by blocks whose tokens attend to no later block (BD3LM, SDAR, LLaDA2.0)."""

from collections.abc import Iterator
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from dlm_length.common import TokenCount
from dlm_length.denoising import BlockCausalAttention, Canvas, Decoder, DenoiseCoroutine, Query, confidence_ranking
from dlm_length.denoising.adaptive_blocks import AdaptiveBlocks
from dlm_length.denoising.caching import with_causal_cache
from dlm_length.denoising.early_commit import EarlyCommit
from dlm_length.denoising.stop_rules import StopRule
from dlm_length.policies.base import LongestCanvas, Policy


class BlockCausal(Policy, LongestCanvas, Decoder):
    """Answers that grow by blocks, by the loops of the reference implementations.

    With `cache: prefix` finished blocks are not recomputed, which changes no token.
    """

    source: ClassVar[str] = "BD3LM as in ZHZisZZ/dllm; SDAR, arXiv 2510.06303; LLaDA2.0, arXiv 2512.15745"
    title: ClassVar[str] = "Block-causal"
    label_fields: ClassVar[tuple[str, ...]] = ("loop", "length", "block_length")
    name: Literal["block_causal"] = "block_causal"
    loop: Literal["bd3lm", "sdar", "llada2"] = "llada2"
    """bd3lm: blocks are counted from the prompt's end; generation ends after a block with EOS. As in the reference
    implementation, a pad token in a finished block is not attended to and has no position id. sdar: blocks are counted
    from the prompt's first token; generation ends after a block with EOS or end of turn. llada2: blocks are counted as
    in sdar; generation ends once everything up to the first EOS is committed, and the answer is cut after it. A forward
    commits all masks above `threshold`, but at least as many as the schedule says."""
    block_length: TokenCount = 32
    """Tokens per block; the last block of bd3lm may be shorter. `length` is the longest answer."""
    steps: TokenCount | None = None
    """Forwards per block; None: one for each of its tokens."""
    early_stop: bool = True
    """For llada2: also look for the answer's end within a block, after every forward that commits EOS."""
    cache_fills: bool = True
    """For bd3lm and sdar: also compute the forwards by which the reference implementations fill their caches, so that
    NFE is equal."""
    masks_behind: bool = False
    """For sdar: after an early stop, fill the canvas up to `length` with masks, as the reference does."""

    @model_validator(mode="after")
    def _cache_is_exact(self) -> Self:
        if self.cache not in ("none", "prefix"):
            raise ValueError(
                f"cache {self.cache} needs a canvas that is laid out at once, and that of block_causal grows: choose"
                " cache prefix, which is exact here, or leave cache out"
            )
        return self

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        loop = {"bd3lm": self._bd3lm, "sdar": self._sdar, "llada2": self._llada2}[self.loop](canvas)
        yield from loop if self.cache == "none" else with_causal_cache(canvas, loop)

    @property
    def ends_at_eot(self) -> bool:
        """True for sdar, whose reference implementation stops at both."""
        return self.loop == "sdar"

    @property
    def undecisive(self) -> frozenset[str]:
        """In addition to the decoder's: the comparison, where the loop always makes the same one."""
        return super().undecisive | (frozenset() if self.loop == "bd3lm" else {"threshold_is"})

    @model_validator(mode="after")
    def _loop_reads_its_fields(self) -> Self:
        unread = {
            "bd3lm": ("early_stop", "masks_behind"),
            "sdar": ("early_stop", "schedule"),
            "llada2": ("cache_fills", "masks_behind", "schedule"),
        }
        self._refuse_unread(unread[self.loop], f"loop: {self.loop}")
        later = [*StopRule.model_fields, *EarlyCommit.model_fields, *AdaptiveBlocks.model_fields]
        self._refuse_unread(later, "block_causal, whose loops have their own rules")
        if self.loop != "bd3lm":
            self._refuse_unread(["factor", "low_threshold"], f"loop: {self.loop}")
            if self.threshold_is == "at_least":
                raise ValueError(f"loop: {self.loop} commits what is above threshold, so threshold_is must be above")
        if self.logits_eos_inf and self.loop != "sdar":
            raise ValueError(f"loop: {self.loop} ends with EOS, which logits_eos_inf forbids: leave it out")
        if self.steps is not None and self.tokens_per_step != 1:
            raise ValueError("steps and tokens_per_step are alternatives: give one of them")
        return self

    def worst_case(self) -> "BlockCausal":
        """One block longer where blocks count from the prompt's start, as the last one may end that much later."""
        if self.loop == "bd3lm":
            return self
        return self.model_copy(update={"length": self.length + self.block_length})

    def _bd3lm(self, canvas: Canvas) -> DenoiseCoroutine:
        for start in range(0, self.length, self.block_length):
            offset = -canvas.prompt_length % self.block_length
            # A2D's second end token is its padding.
            canvas.attention = BlockCausalAttention(
                self.block_length, offset, ignored_token=canvas.tokens.eot, ignored_before=start
            )
            if self.cache_fills:
                yield self._fill(canvas)
            end = min(start + self.block_length, self.length)
            canvas.append_masks(end - start)
            yield from self._decode_block(canvas, start, end, self._block_steps(end - start))
            if np.isin(canvas.ids[start:end], canvas.tokens.eos).any():
                break

    def _sdar(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.attention = BlockCausalAttention(self.block_length)
        if self.cache_fills and canvas.prompt_length >= self.block_length:
            yield self._fill(canvas)
        for start, end in self._blocks_from_the_start(canvas):
            canvas.append_masks(end - start)
            yield from self._denoise_block(canvas, start, end)
            if self.cache_fills:
                yield self._fill(canvas)
            if np.isin(canvas.ids, canvas.tokens.ends).any():
                break
        if self.masks_behind:
            *_, (_, last) = self._blocks_from_the_start(canvas)
            canvas.append_masks(last - len(canvas))

    def _llada2(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.attention = BlockCausalAttention(self.block_length)
        for start, end in self._blocks_from_the_start(canvas):
            canvas.append_masks(end - start)
            yield from self._denoise_block(canvas, start, end)
            if np.isin(canvas.ids[start:end], canvas.tokens.eos).any():
                break
        ends = np.flatnonzero(canvas.ids == canvas.tokens.eos)
        canvas.crop(min(self.length, int(ends[0]) + 1 if ends.size else len(canvas)))

    def _denoise_block(self, canvas: Canvas, start: int, end: int) -> DenoiseCoroutine:
        """Denoise a block by a whole block's schedule; if as many masks exceed `threshold`, commit all of those."""
        for count in self._per_step():
            positions = canvas.masked(start, end)
            if not positions.size:
                return
            answer = yield Query(canvas, positions, self._head(canvas))
            chosen = confidence_ranking(self._score(canvas, answer))[:count]
            if self.threshold is not None and (answer.confidence > self.threshold).sum() >= count:
                chosen = np.flatnonzero(answer.confidence > self.threshold)
            canvas.commit(positions[chosen], answer.token[chosen])
            if self.loop == "llada2" and self.early_stop and (answer.token[chosen] == canvas.tokens.eos).any():
                first = int(np.flatnonzero(canvas.ids == canvas.tokens.eos)[0])
                if not canvas.masked(0, first).size:
                    canvas.crop(first + 1)
                    return
        yield from self._fill_remaining(canvas, start, end)

    def _per_step(self) -> Iterator[int]:
        """Number of tokens that the schedule commits in each forward of a whole block."""
        steps = self._block_steps(self.block_length) or self._forwards(self.block_length)
        return (self.block_length // steps + (step < self.block_length % steps) for step in range(steps))

    def _block_steps(self, masks: int) -> int | None:
        """Forwards of a block with so many masks, None without `steps`; at most one per mask if each commits."""
        if self.steps is None or self.schedule in ("dream", "mdlm"):
            return self.steps
        return min(self.steps, masks)

    def _blocks_from_the_start(self, canvas: Canvas) -> Iterator[tuple[int, int]]:
        """(start, end) on the canvas of each block, counted from the prompt's first token; the first may be short."""
        prompt, size = canvas.prompt_length, self.block_length
        for end in range(prompt // size * size + size, -(-(prompt + self.length) // size) * size + 1, size):
            yield max(0, end - size - prompt), end - prompt

    def _fill(self, canvas: Canvas) -> Query:
        """A forward without queried positions, which fills the cache."""
        return Query(canvas, np.empty(0, dtype=np.int64), self._head(canvas))
