"""When a canvas is finished before all of its masks are denoised: the stop rules of released programs."""

from contextlib import closing
from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from dlm_length.common import Parameters
from dlm_length.denoising.canvas import Canvas
from dlm_length.denoising.query import Answer, DenoiseCoroutine, FollowUp, Query, Stat, StatSpec, SubCoroutine

_AFTER_COMMIT = ("cut", "eos_prefix", "crop_fill")
_AFTER_BLOCK = ("block_any", "block_last", "eos_prefix")


class StopRule(Parameters):
    """What ends an answer. No rule changes a token that was committed before it applied."""

    stop: Literal["none", "block_any", "block_last", "cut", "eos_prefix", "crop_fill"] = "none"
    """none: every mask is denoised. block_any: after a finished block with an end token anywhere, the rest of the
    canvas becoming EOS (dInfer's early_stop, DPad, Streaming-dLLM, BD3LM). block_last: after a finished block whose
    last token is an end token, the rest dropped (ours). cut: once no mask stands before the first end token, whatever
    the block, the rest dropped (VoidPadding). eos_prefix: as cut, tested after a forward that committed an end token
    and after every block (LLaDA2.0's eos_early_stop). crop_fill: as soon as an end token is committed anywhere but at
    the end; the canvas is cropped behind the first, and its masks take their most likely tokens in one more forward
    (CARVE, arXiv 2608.30922)."""
    stop_tokens: Literal["eos", "eos_eot"] = "eos"
    """The end tokens that `stop` looks for: EOS alone, as the programs for LLaDA do, or the end of turn too."""

    @model_validator(mode="after")
    def _stop_tokens_are_read(self) -> Self:
        if self.stop == "none" and self.stop_tokens != "eos":
            raise ValueError("stop_tokens has no part in stop: none: leave it out, or choose a stop rule")
        return self

    def end_tokens(self, canvas: Canvas) -> tuple[int, ...]:
        """Ids of the end tokens."""
        return canvas.tokens.ends if self.stop_tokens == "eos_eot" else (canvas.tokens.eos,)

    @property
    def stops_after_commit(self) -> bool:
        """Whether the rule is tested within a block."""
        return self.stop in _AFTER_COMMIT

    @property
    def stops_after_block(self) -> bool:
        """Whether the rule is tested at the end of a block."""
        return self.stop in _AFTER_BLOCK

    def stop_behind(self, canvas: Canvas, start: int, end: int) -> bool:
        """Whether the answer ends with the finished block `[start, end)`; the canvas is then full."""
        if not self.stops_after_block:
            return False
        tested = canvas.ids[end - 1 : end] if self.stop == "block_last" else canvas.ids[start:end]
        if not np.isin(tested, self.end_tokens(canvas)).any():
            return False
        match self.stop:
            case "block_any":
                rest = canvas.masked(end)
                canvas.commit(rest, np.full(len(rest), canvas.tokens.eos))
            case "block_last":
                canvas.crop(end)
            case _:
                self._cut(canvas)
        return True

    def stopping(self, canvas: Canvas, coroutine: DenoiseCoroutine) -> DenoiseCoroutine:
        """`coroutine` until the rule applies, which is tested once the tokens of a forward are committed."""
        with closing(coroutine):
            question: Query | FollowUp | None = next(coroutine, None)
            while question is not None:
                ends = self._ends(canvas)
                question = resumed(coroutine, (yield question))
                if isinstance(question, FollowUp):  # the policy has not committed yet
                    continue
                if self.stop == "crop_fill":
                    if (yield from self._crop_fill(canvas)):
                        return
                elif (self.stop == "cut" or self._ends(canvas) > ends) and self._cut(canvas):
                    return

    def _ends(self, canvas: Canvas) -> int:
        """How many end tokens are committed."""
        return int(np.isin(canvas.ids, self.end_tokens(canvas)).sum())

    def _first_end(self, canvas: Canvas) -> int | None:
        """Position of the first committed end token."""
        found = np.flatnonzero(np.isin(canvas.ids, self.end_tokens(canvas)))
        return int(found[0]) if found.size else None

    def _cut(self, canvas: Canvas) -> bool:
        """Crop behind the first end token where no mask stands before it."""
        first = self._first_end(canvas)
        if first is None or canvas.masked(0, first).size:
            return False
        canvas.crop(first + 1)
        return True

    def _crop_fill(self, canvas: Canvas) -> SubCoroutine[bool]:
        """CARVE's Algorithm 1, lines 22 to 27."""
        first = self._first_end(canvas)
        if first is None or first == len(canvas) - 1:
            return False
        canvas.crop(first + 1)
        if (masks := canvas.masked()).size:
            answer = yield Query(canvas, masks, StatSpec(Stat.TOKEN))
            yield from fill(canvas, answer, StatSpec(Stat.BEST_UNMASKED))
        return True


def fill(canvas: Canvas, answer: Answer, unmasked: StatSpec) -> DenoiseCoroutine:
    """Commit every mask of `canvas` from the latest forward. `answer`: TOKEN of the (masks,).

    Where MASK itself is predicted the best other token is taken, for which `unmasked` asks.
    """
    masks, tokens = canvas.masked(), answer.token.copy()
    if (missing := np.flatnonzero(tokens == canvas.tokens.mask)).size:
        forced = yield FollowUp(masks[missing], unmasked)
        tokens[missing] = forced.unmasked_token
    canvas.commit(masks, tokens)


def resumed(coroutine: DenoiseCoroutine, answer: Answer) -> Query | FollowUp | None:
    """What the coroutine asks next; None at its end."""
    try:
        return coroutine.send(answer)
    except StopIteration:
        return None
