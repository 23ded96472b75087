"""Stop rules: when an answer ends before all masks are denoised, as in several reference implementations."""

from contextlib import closing
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator

from dlm_length.common import Parameters
from dlm_length.denoising.canvas import Canvas
from dlm_length.denoising.query import Answer, DenoiseCoroutine, FollowUp, Query, Stat, StatSpec, SubCoroutine, resumed

_AFTER_COMMIT = ("cut", "eos_prefix", "crop_fill")
_AFTER_BLOCK = ("block_any", "block_last", "eos_prefix")


class StopRule(Parameters):
    """When an answer ends early. No rule changes a token that was committed before it applied."""

    stop: Literal["none", "block_any", "block_last", "cut", "eos_prefix", "crop_fill"] = "none"
    """none: every mask is denoised. block_any: after a finished block with an end token anywhere; the canvas's rest
    becomes EOS (dInfer's early_stop, DPad, Streaming-dLLM, BD3LM). block_last: after a finished block whose last token
    is an end token; the rest is dropped (our own variant). cut: once there is no mask before the first end token, in
    any block; the rest is dropped (VoidPadding). eos_prefix: as cut, but tested only after a forward that committed an
    end token and after every block (LLaDA2.0's eos_early_stop). crop_fill: as soon as an end token is committed
    anywhere but at the end; the canvas is cropped after the first one, and its masks are filled with their most likely
    tokens in one more forward (CARVE, arXiv 2608.30922)."""
    stop_tokens: Literal["eos", "eos_eot"] = "eos"
    """The end tokens of `stop`: EOS alone, as in the implementations for LLaDA, or also the end-of-turn token."""

    @model_validator(mode="after")
    def _stop_tokens_are_read(self) -> Self:
        if self.stop == "none" and self.stop_tokens != "eos":
            raise ValueError("stop_tokens has no effect with stop: none: leave it out, or choose a stop rule")
        return self

    def end_tokens(self, canvas: Canvas) -> tuple[int, ...]:
        """Ids of the end tokens."""
        return canvas.tokens.ends if self.stop_tokens == "eos_eot" else (canvas.tokens.eos,)

    @property
    def stops_after_commit(self) -> bool:
        """Whether the rule is tested within a block, after commits."""
        return self.stop in _AFTER_COMMIT

    @property
    def stops_after_block(self) -> bool:
        """Whether the rule is tested at the end of a block."""
        return self.stop in _AFTER_BLOCK

    @property
    def stops_at_eot(self) -> bool:
        """Whether the end-of-turn token is an end token."""
        return self.stop_tokens == "eos_eot"

    def stop_behind(self, canvas: Canvas, start: int, end: int) -> bool:
        """Whether the answer ends with the finished block `[start, end)`; if so, no mask is left in the canvas."""
        if not self.stops_after_block:
            return False
        tested = canvas.ids[end - 1 : end] if self.stop == "block_last" else canvas.ids[start:end]
        if not np.isin(tested, self.end_tokens(canvas)).any():
            return False
        if self.stop == "eos_prefix":
            return self._cut(canvas)
        if end < len(canvas):
            canvas.stops.append(self.stop)
        if self.stop == "block_last":
            canvas.crop(end)
        else:
            rest = canvas.masked(end)
            canvas.commit(rest, np.full(len(rest), canvas.tokens.eos))
        return True

    def stopping(self, canvas: Canvas, coroutine: DenoiseCoroutine, head: StatSpec) -> DenoiseCoroutine:
        """Run `coroutine` until the rule applies; it is tested after a forward's tokens are committed.

        `head`: the decoder's StatSpec.
        """
        with closing(coroutine):
            question: Query | FollowUp | None = next(coroutine, None)
            while question is not None:
                ends = self._ends(canvas)
                question = resumed(coroutine, (yield question))
                if isinstance(question, FollowUp):  # the policy has not committed yet
                    continue
                if (yield from self._stop_after_commit(canvas, self._ends(canvas) > ends, head)):
                    return

    def stop_in_window(
        self, canvas: Canvas, committed: NDArray[np.int64], start: int, end: int, head: StatSpec
    ) -> SubCoroutine[bool]:
        """Whether the answer ends after a forward's commits in a window `[start, end)`; if so, no mask is left.

        For methods that move a window over a canvas of changing length: the window is their block, which is finished
        when it has no mask. Must be called before the length changes. `committed`: ids of the tokens committed by the
        forward. `head`: the StatSpec of their prediction.
        """
        if self.stops_after_commit:
            ended = bool(np.isin(committed, self.end_tokens(canvas)).any())
            if (yield from self._stop_after_commit(canvas, ended, head)):
                return True
        finished = not canvas.masked(start, end).size
        return finished and self.stop_behind(canvas, start, min(end, len(canvas)))

    def _stop_after_commit(self, canvas: Canvas, ended: bool, head: StatSpec) -> SubCoroutine[bool]:
        """Test the rule after commits; `ended`: whether an end token was committed by the latest forward."""
        if self.stop == "crop_fill":
            return (yield from self._crop_fill(canvas, head))
        return (self.stop == "cut" or ended) and self._cut(canvas)

    def _ends(self, canvas: Canvas) -> int:
        """Number of committed end tokens."""
        return int(np.isin(canvas.ids, self.end_tokens(canvas)).sum())

    def _first_end(self, canvas: Canvas) -> int | None:
        """Position of the first committed end token; None if there is none."""
        found = np.flatnonzero(np.isin(canvas.ids, self.end_tokens(canvas)))
        return int(found[0]) if found.size else None

    def _cut(self, canvas: Canvas) -> bool:
        """Crop after the first end token if there is no mask before it; whether that was so."""
        first = self._first_end(canvas)
        if first is None or canvas.masked(0, first).size:
            return False
        self._crop_after(canvas, first)
        return True

    def _crop_fill(self, canvas: Canvas, head: StatSpec) -> SubCoroutine[bool]:
        """CARVE's Algorithm 1, lines 22 to 27: crop after the first end token, fill the masks; whether it applied."""
        first = self._first_end(canvas)
        if first is None or first == len(canvas) - 1:
            return False
        self._crop_after(canvas, first)
        if (masks := canvas.masked()).size:
            answer = yield Query(canvas, masks, without_noise(head, Stat.TOKEN))
            canvas.commit(masks, (yield from predicted_tokens(canvas, answer, without_noise(head, Stat.BEST_UNMASKED))))
        return True

    def _crop_after(self, canvas: Canvas, position: int) -> None:
        """Make `position` the last one."""
        if position + 1 < len(canvas):
            canvas.stops.append(self.stop)
        canvas.crop(position + 1)


def without_noise(head: StatSpec, want: Stat) -> StatSpec:
    """`want` from the same logits as `head`, without noise."""
    return StatSpec(want, suppress=head.suppress, top_k=head.top_k)


def predicted_tokens(canvas: Canvas, answer: Answer, unmasked: StatSpec) -> SubCoroutine[NDArray[np.int64]]:
    """The latest forward's prediction for every mask of `canvas`, (masks,); where that is MASK, the best other token.

    `answer`: TOKEN of the masks. `unmasked`: the StatSpec for BEST_UNMASKED.
    """
    masks, tokens = canvas.masked(), answer.token.copy()
    if (missing := np.flatnonzero(tokens == canvas.tokens.mask)).size:
        forced = yield FollowUp(masks[missing], unmasked)
        tokens[missing] = forced.unmasked_token
    return tokens
