"""CARVE: masks are inserted where the model is least certain, and stay if other masks' predictions hardly change."""

from itertools import count
from typing import ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, model_validator

from dlm_length.common import Probability, TokenCount
from dlm_length.denoising import (
    Answer,
    Canvas,
    DenoiseCoroutine,
    FollowUp,
    Positions,
    Query,
    Stat,
    StatSpec,
    SubCoroutine,
    confidence_ranking,
)
from dlm_length.policies.base import Policy

_RANKED_BY = {"low_confidence": Stat.CONFIDENCE, "margin": Stat.MARGIN, "entropy": Stat.ENTROPY}


class Carve(Policy):
    """Verified insertion: masks inserted where the model is least certain stay if its predictions hardly change."""

    source: ClassVar[str] = "CARVE, arXiv 2608.30922, algorithm 1"
    title: ClassVar[str] = "CARVE"
    label_fields: ClassVar[tuple[str, ...]] = ("initial_length", "tau_js")
    name: Literal["carve"] = "carve"
    initial_length: TokenCount = 128
    """L_0: length of the first canvas, in tokens; in the paper half of `max_length`."""
    max_length: TokenCount = 256
    """L_max: the longest canvas, in tokens."""
    steps: TokenCount | None = None
    """T: number of forwards to fill the canvas, without verifications; None: `max_length`, as in the paper. Each one
    commits ceil(remaining masks / remaining steps) tokens, at most as many as the block has masks. If masks are left
    after the last one, because blocks had too few or MASK was predicted, one forward per block follows."""
    insert: TokenCount = 16
    """k: masks inserted at a time."""
    window: TokenCount = 8
    """W: number of positions, even, of the window with the highest sum of entropies, in whose middle masks are
    inserted. Of equal windows the first one is used, a choice of ours."""
    interval: TokenCount = 1
    """I: an insertion is tried in every I-th step, beginning with the first."""
    tau_js: Probability = 0.02
    """An insertion stays if the mean Jensen-Shannon divergence, in nats, over the masks that existed before is below
    this."""
    block_length: TokenCount | None = None
    """Commit only in the first block with a mask, of blocks of this length; None: anywhere. Blocks are counted from the
    canvas's start, regardless of insertions, a choice of ours."""
    remasking: Literal["low_confidence", "margin", "entropy"] = "low_confidence"
    """What ranks the masks: p(pred), top-1 minus top-2 probability, or negative entropy (the paper's for Dream)."""
    crop_at_eos: bool = True
    """Cut the canvas after its first committed EOS, and fill the masks before that by one more forward."""
    include_eot: bool = False
    """Count the end-of-turn token as an end, in addition to EOS."""
    temperature: NonNegativeFloat = 0.0
    """Gumbel-max sampling temperature; 0 is greedy."""

    @model_validator(mode="after")
    def _lengths_fit(self) -> Self:
        if self.initial_length > self.max_length:
            raise ValueError(
                f"initial_length must be at most max_length, found {self.initial_length} and {self.max_length}"
            )
        if self.window % 2:
            raise ValueError(f"window must be even, as masks go into its middle; found {self.window}")
        if self.window > self.initial_length:
            raise ValueError(f"window must be at most initial_length, found {self.window} and {self.initial_length}")
        return self

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.initial_length)
        steps = self.steps or self.max_length
        for step in count():
            if not canvas.masked().size:
                return
            left = max(steps - step, 1)
            if step >= steps:
                yield from self._commit_unmasked(canvas, left)
            else:
                if step % self.interval == 0 and len(canvas) < self.max_length:
                    answer = yield from self._carved(canvas)
                else:
                    answer = yield Query(canvas, self._block(canvas), self._head())
                self._commit(canvas, answer, left)
            if self.crop_at_eos and (yield from self._cut_at_end(canvas)):
                return

    def worst_case(self) -> Policy:
        return _EveryTrial(**self.model_dump())

    def _head(self) -> StatSpec:
        return StatSpec(Stat.TOKEN | _RANKED_BY[self.remasking], temperature=self.temperature)

    def _block(self, canvas: Canvas) -> Positions:
        """The masks that may be committed now; the canvas must have a mask."""
        masks = canvas.masked()
        if self.block_length is None:
            return masks
        end = (int(masks[0]) // self.block_length + 1) * self.block_length
        return canvas.masked(end=end)

    def _carved(self, canvas: Canvas) -> SubCoroutine[Answer]:
        """Insert masks if their verification passes; returns the statistics of the block on the resulting canvas.

        A trial costs one forward over the longer canvas, whether the masks stay or not; it is counted as a probe.
        """
        old, block, head = canvas.masked(), self._block(canvas), self._head()
        short = yield Query(
            canvas, canvas.all, StatSpec(head.want | Stat.ENTROPY, temperature=head.temperature), keep_hidden=old
        )
        centre = highest_entropy_window(short.entropy, self.window)
        inserted = min(self.insert, self.max_length - len(canvas))
        canvas.insert_masks(centre + 1, inserted)
        moved = old + inserted * (old > centre)
        verified = yield Query(canvas, moved, StatSpec(Stat.DIVERGENCE), probe=True)
        if float(np.mean(verified.divergence)) < self.tau_js:
            return (yield FollowUp(self._block(canvas), head))
        canvas.remove_masks(centre + 1, inserted)
        return Answer(**{name: values[block] for name, values in vars(short).items() if len(values)})

    def _commit(self, canvas: Canvas, answer: Answer, left: int) -> None:
        """Commit the block's best predictions other than MASK. `left`: number of remaining steps."""
        match self.remasking:
            case "low_confidence":
                score = answer.confidence
            case "margin":
                score = answer.margin
            case "entropy":
                score = -answer.entropy
        best = confidence_ranking(score)[: _share(canvas, left)]
        best = best[answer.token[best] != canvas.tokens.mask]
        canvas.commit(self._block(canvas)[best], answer.token[best])

    def _commit_unmasked(self, canvas: Canvas, left: int) -> DenoiseCoroutine:
        """As `_commit`, after the last step: with the most likely tokens other than MASK."""
        block = self._block(canvas)
        answer = yield Query(canvas, block, StatSpec(Stat.BEST_UNMASKED))
        best = confidence_ranking(answer.unmasked_confidence)[: _share(canvas, left)]
        canvas.commit(block[best], answer.unmasked_token[best])

    def _cut_at_end(self, canvas: Canvas) -> SubCoroutine[bool]:
        """Whether an end token was committed before the last position; if so, the canvas is cut after it and filled."""
        ends = canvas.tokens.ends if self.include_eot else (canvas.tokens.eos,)
        committed = np.flatnonzero(np.isin(canvas.ids, ends))
        if not committed.size or committed[0] == len(canvas) - 1:
            return False
        canvas.crop(int(committed[0]) + 1)
        if (left := canvas.masked()).size:
            answer = yield Query(canvas, left, StatSpec(Stat.BEST_UNMASKED))
            canvas.commit(left, answer.unmasked_token)
        return True


class _EveryTrial(Carve):
    """The longest canvas, filled one mask per step, with every insertion tried: an upper bound of the cost."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.max_length)
        steps, block = min(self.steps or self.max_length, self.max_length), self.block_length or self.max_length
        for step in range(steps):
            yield Query(canvas, canvas.all, self._head())
            if step % self.interval == 0:
                yield FollowUp(canvas.all, self._head())
                yield Query(canvas, canvas.all, StatSpec(Stat.DIVERGENCE), probe=True)
        for _ in range(-(-self.max_length // block) + self.crop_at_eos):
            yield Query(canvas, canvas.all, StatSpec(Stat.BEST_UNMASKED))


def _share(canvas: Canvas, left: int) -> int:
    """Number of tokens to commit now, so that the canvas has no mask after `left` steps."""
    return -(-len(canvas.masked()) // left)


def highest_entropy_window(entropy: NDArray[np.float64], window: int) -> int:
    """The position left of the middle of the window with the largest sum of entropies, the first of equals.

    `entropy`: (canvas,), in nats. `window`: even, at most the canvas.
    """
    sums = np.lib.stride_tricks.sliding_window_view(entropy, window).sum(-1)
    return int(sums.argmax()) + window // 2 - 1
