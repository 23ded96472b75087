"""Early commit: all masks are committed at once when the model is confident enough (Prophet, SchED)."""

import math
from contextlib import closing
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from dlm_length.common import Parameters, Probability, TokenCount
from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import DenoiseCoroutine, FollowUp, Query, Stat, StatSpec, SubCoroutine, resumed
from dlm_length.denoising.stop_rules import predicted_tokens, without_noise

_LOGIT_GAP = StatSpec(Stat.LOGIT_GAP)
_BOTH = StatSpec(Stat.TOKEN | Stat.LOGIT_GAP)
_FIELDS_OF = {
    "prophet": ("prophet_gaps", "prophet_progress"),
    "sched": (
        "sched_shape",
        "sched_high",
        "sched_low",
        "sched_decay",
        "sched_patience",
        "sched_max_change",
        "sched_min_progress",
        "sched_statistic",
        "sched_quantile",
    ),
}


class EarlyCommit(Parameters):
    """When to commit all masks of the canvas with the latest forward's predictions, which ends the answer.

    The criterion is the gap between the highest and the second highest logit. With a cache, only forwards that compute
    every mask and every position of the criterion are tested: with cache dual, the first one of each block.
    """

    early_commit: Literal["none", "prophet", "sched"] = "none"
    """prophet: once the mean gap reaches a threshold that falls in steps (arXiv 2508.19982). sched: once it reaches a
    threshold that falls smoothly and no prediction has changed (arXiv 2512.02892)."""
    commit_region: Literal["all", "canvas", "answer"] = "all"
    """The region of the criterion. all: SchED's whole sequence: gaps of the canvas's masks, and the prompt counts as
    committed in the progress. canvas: without the prompt (SchED's tail). answer: `answer_length` positions from
    `answer_start`, as in Prophet's reference implementation, which inserts the words before the answer there."""
    answer_start: NonNegativeInt | None = None
    """First canvas position of the answer, for `commit_region: answer`."""
    answer_length: TokenCount = 5
    """Number of positions of the answer, 5 in Prophet; those past the canvas's end are ignored."""
    gap_over: Literal["masked", "region"] | None = None
    """Use the gaps of the region's masks alone, or of all its positions; None: of masks, as SchED does, but of all
    positions for Prophet with `commit_region: answer`. Prophet on another region is our own variant."""
    prophet_gaps: Annotated[tuple[float, float, float], Field(strict=False)] = (7.5, 5.0, 2.5)
    """Prophet's thresholds for the early, middle and late forwards."""
    prophet_progress: Annotated[tuple[Probability, Probability], Field(strict=False)] = (0.33, 0.67)
    """Shares of the planned forwards from which the middle and the late threshold apply."""
    sched_shape: Literal["linear", "cosine", "exp"] = "exp"
    """Shape of SchED's threshold between `sched_high` and `sched_low`; its README uses exp from 7.5 to 0, its code by
    default cosine from 7.5 to 2.5."""
    sched_high: float = 7.5
    """SchED's initial threshold."""
    sched_low: float = 0.0
    """SchED's final threshold; exp approaches it."""
    sched_decay: NonNegativeFloat = 2.0
    """k in the shape exp: low + (high - low) e^(-k t)."""
    sched_patience: NonNegativeInt = 0
    """More than this number of consecutive forwards must have been stable."""
    sched_max_change: Probability = 0.0
    """A forward is stable if at most this share of the masks' predictions changed; the first one is not."""
    sched_min_progress: Probability = 0.0
    """Minimum share of the region that must be committed."""
    sched_statistic: Literal["mean", "median", "quantile"] = "mean"
    """The statistic of the gaps; median: the lower one of two middle values, as in torch."""
    sched_quantile: Probability = 0.2
    """The quantile for `sched_statistic: quantile`."""

    @model_validator(mode="after")
    def _early_commit_fits(self) -> Self:
        unread = [field for rule, fields in _FIELDS_OF.items() if rule != self.early_commit for field in fields]
        if self.early_commit == "none":
            unread += ["commit_region", "answer_start", "answer_length", "gap_over"]
        elif self.commit_region != "answer":
            unread += ["answer_start", "answer_length"]
        for field in unread:
            if getattr(self, field) != EarlyCommit.model_fields[field].default:
                raise ValueError(
                    f"{field} has no effect with early_commit: {self.early_commit}, commit_region:"
                    f" {self.commit_region}: leave it out"
                )
        if self.commit_region == "answer" and self.answer_start is None:
            raise ValueError("commit_region: answer needs the answer_start")
        if self.commit_region == "all" and self.gap_over == "region":
            raise ValueError(
                "gap_over: region would take gaps of the prompt under commit_region: all: choose commit_region: canvas"
            )
        if self.prophet_progress[0] > self.prophet_progress[1]:
            raise ValueError(f"prophet_progress must not fall, found {self.prophet_progress}")
        return self

    def committing_early(
        self, canvas: Canvas, coroutine: DenoiseCoroutine, steps: int, head: StatSpec
    ) -> SubCoroutine[NDArray[np.int64] | None]:
        """Run `coroutine` until a forward is confident enough; returns its prediction for every mask, (masks,).

        Returns None if the coroutine ends before. `steps`: number of planned forwards, for the progress. `head`: the
        decoder's StatSpec for TOKEN.
        """
        rule = _Prophet(self, canvas, steps) if self.early_commit == "prophet" else _SchED(self, canvas, steps)
        unmasked = without_noise(head, Stat.BEST_UNMASKED)
        if self.early_commit == "sched":  # its reference implementation commits the most likely tokens, without noise
            head = without_noise(head, Stat.TOKEN)
        with closing(coroutine):
            question: Query | FollowUp | None = next(coroutine, None)
            while question is not None:
                answer = yield question
                if isinstance(question, Query) and (yield from rule.is_confident(question)):
                    canvas.stops.append(self.early_commit)
                    return (yield from predicted_tokens(canvas, (yield FollowUp(canvas.masked(), head)), unmasked))
                question = resumed(coroutine, answer)
        return None

    def region(self, canvas: Canvas) -> Positions:
        """Canvas positions of `commit_region`, in order."""
        if self.commit_region != "answer":
            return canvas.all
        assert self.answer_start is not None, "checked with the fields"
        return canvas.all[self.answer_start : self.answer_start + self.answer_length]

    @property
    def of_masks(self) -> bool:
        """Whether only the gaps of masks are used."""
        own = "region" if self.early_commit == "prophet" and self.commit_region == "answer" else "masked"
        return (self.gap_over or own) == "masked"


def _computed(query: Query, positions: Positions) -> bool:
    """Whether the forward of a query computed all of these positions, and so predicts them."""
    return query.recompute is None or bool(np.isin(positions, query.recompute).all())


class _Prophet:
    """Prophet's rule. Source: generate_earlyexit.py. Forwards count from 1, including the latest one."""

    def __init__(self, fields: EarlyCommit, canvas: Canvas, steps: int) -> None:
        self._fields, self._canvas, self._steps, self._forward = fields, canvas, steps, 0

    def is_confident(self, query: Query) -> SubCoroutine[bool]:
        """Whether the latest forward, that of `query`, is confident enough."""
        self._forward += 1
        positions, masks = self._fields.region(self._canvas), self._canvas.masked()
        if self._fields.of_masks:
            positions = np.intersect1d(positions, masks)
        if not positions.size or not _computed(query, np.union1d(positions, masks)):
            return False
        answer = yield FollowUp(positions, _LOGIT_GAP)
        return bool(answer.logit_gap.mean() >= self._threshold())

    def _threshold(self) -> float:
        middle, late = self._fields.prophet_progress
        progress = self._forward / self._steps
        return self._fields.prophet_gaps[(progress >= middle) + (progress >= late)]


class _SchED:
    """SchED's rule. Source: sched.py. Forwards count from 0."""

    def __init__(self, fields: EarlyCommit, canvas: Canvas, steps: int) -> None:
        self._fields, self._canvas, self._steps = fields, canvas, steps
        self._forward, self._stable = -1, 0
        self._last: NDArray[np.int64] | None = None
        """Predictions of the last tested forward, (canvas,); -1 at positions without one."""

    def is_confident(self, query: Query) -> SubCoroutine[bool]:
        """Whether the latest forward, that of `query`, is confident enough."""
        self._forward += 1
        fields, canvas = self._fields, self._canvas
        region, masks = fields.region(canvas), canvas.masked()
        masked = np.isin(region, masks, assume_unique=True)
        tested = region[masked] if fields.of_masks else region
        # The region is empty if the answer would begin past the canvas's end.
        if not region.size or not _computed(query, np.union1d(tested, masks)):
            return False
        if not masked.any():
            return True
        answer = yield FollowUp(tested, _BOTH)
        of_masks = np.isin(tested, region[masked], assume_unique=True)
        changed = self._changed(region[masked], answer.token[of_masks])
        around = canvas.prompt_length if fields.commit_region == "all" else 0
        progress = 1 - masked.sum() / (len(region) + around)
        stable = progress >= fields.sched_min_progress and changed <= fields.sched_max_change
        self._stable = self._stable + 1 if stable else 0
        confident = self._statistic(answer.logit_gap) >= self._threshold()
        return bool(progress >= fields.sched_min_progress and confident and self._stable > fields.sched_patience)

    def _changed(self, masks: Positions, tokens: NDArray[np.int64]) -> float:
        """Share of the masks whose prediction differs from the last tested forward's. `tokens`: their predictions."""
        known, self._last = self._last, np.full(len(self._canvas), -1, dtype=np.int64)
        self._last[masks] = tokens
        return 1.0 if known is None else float((known[masks] != tokens).mean())

    def _statistic(self, gaps: NDArray[np.float64]) -> float:
        match self._fields.sched_statistic:
            case "median":
                return float(np.sort(gaps)[(len(gaps) - 1) // 2])
            case "quantile":
                return float(np.quantile(gaps, self._fields.sched_quantile))
        return float(gaps.mean())

    def _threshold(self) -> float:
        low, high = self._fields.sched_low, self._fields.sched_high
        if self._steps <= 1:
            return low
        t = min(1.0, self._forward / (self._steps - 1))
        match self._fields.sched_shape:
            case "linear":
                return high + (low - high) * t
            case "cosine":
                return low + (high - low) * (1 + math.cos(math.pi * t)) / 2
        return low + (high - low) * math.exp(-self._fields.sched_decay * t)
