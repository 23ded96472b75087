"""Committing everything at once when the model is sure enough: Prophet and SchED."""

import math
from contextlib import closing
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, NonNegativeInt, model_validator

from dlm_length.common import Parameters, Probability, TokenCount
from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import DenoiseCoroutine, FollowUp, Query, Stat, StatSpec, SubCoroutine
from dlm_length.denoising.stop_rules import resumed, undrawn, words

_LOGIT_GAP = StatSpec(Stat.LOGIT_GAP)
_BOTH = StatSpec(Stat.TOKEN | Stat.LOGIT_GAP)
_OF = {
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
    """When all masks of the canvas take the tokens that the latest forward predicts, which ends the answer.

    What is compared is the gap between the highest and the second highest logit. With a cache only those forwards are
    tested that compute every mask, and every position whose gap is taken: under cache dual the first one of each block.
    """

    early_commit: Literal["none", "prophet", "sched"] = "none"
    """prophet: once the mean gap reaches a threshold that falls in steps (arXiv 2508.19982); sched: once it reaches one
    that falls smoothly and no prediction has changed (arXiv 2512.02892)."""
    commit_region: Literal["all", "canvas", "answer"] = "all"
    """Where gaps are taken. all: SchED's whole sequence: the canvas's masks, but progress counts the prompt as
    committed; canvas: without the prompt (SchED's tail); answer: `answer_length` positions from `answer_start`, as
    Prophet's program has it, which plants the words before an answer there."""
    answer_start: NonNegativeInt | None = None
    """First canvas position of the answer, where `commit_region` is answer."""
    answer_length: TokenCount = 5
    """Positions of the answer; those behind the canvas's end are left out. Prophet's 5."""
    gap_over: Literal["masked", "region"] | None = None
    """Take the gaps of the region's masks alone or of all its positions; None: of masks, as SchED does, but of all of
    Prophet's `answer`. Prophet on another region is ours."""
    prophet_gaps: Annotated[tuple[float, float, float], Field(strict=False)] = (7.5, 5.0, 2.5)
    """Prophet's thresholds: early, in the middle and late."""
    prophet_progress: Annotated[tuple[Probability, Probability], Field(strict=False)] = (0.33, 0.67)
    """Where the middle and the late threshold begin, as shares of the forwards."""
    sched_shape: Literal["linear", "cosine", "exp"] = "exp"
    """How SchED's threshold falls from `sched_high` to `sched_low`; its README's run is exp from 7.5 to 0, its code's
    default cosine from 7.5 to 2.5."""
    sched_high: float = 7.5
    """SchED's first threshold."""
    sched_low: float = 0.0
    """Its last one; exp comes near it."""
    sched_decay: NonNegativeFloat = 2.0
    """k of exp, low + (high - low) e^(-k t)."""
    sched_patience: NonNegativeInt = 0
    """More forwards than this must have been stable in a row."""
    sched_max_change: Probability = 0.0
    """Share of the masks whose prediction may differ from the last forward's in a stable one; the first is none."""
    sched_min_progress: Probability = 0.0
    """Least share of the region that must be committed."""
    sched_statistic: Literal["mean", "median", "quantile"] = "mean"
    """What of the gaps is compared; median: the lower of two middle ones, as torch has it."""
    sched_quantile: Probability = 0.2
    """Which quantile."""

    @model_validator(mode="after")
    def _early_commit_fits(self) -> Self:
        unread = [field for rule, fields in _OF.items() if rule != self.early_commit for field in fields]
        if self.early_commit == "none":
            unread += ["commit_region", "answer_start", "answer_length", "gap_over"]
        elif self.commit_region != "answer":
            unread += ["answer_start", "answer_length"]
        for field in unread:
            if getattr(self, field) != EarlyCommit.model_fields[field].default:
                raise ValueError(
                    f"{field} has no part in early_commit: {self.early_commit}, commit_region: {self.commit_region}:"
                    " leave it out"
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
        """`coroutine` until a forward is sure enough; then the tokens that this one predicts for every mask, (masks,).

        None where the coroutine ends by itself. `steps`: forwards planned, against which progress counts. `head`: TOKEN
        as the decoder predicts it.
        """
        rule = _Prophet(self, canvas, steps) if self.early_commit == "prophet" else _SchED(self, canvas, steps)
        unmasked = undrawn(head, Stat.BEST_UNMASKED)
        if self.early_commit == "sched":  # whose program fills with the most likely tokens, undrawn
            head = undrawn(head, Stat.TOKEN)
        with closing(coroutine):
            question: Query | FollowUp | None = next(coroutine, None)
            while question is not None:
                answer = yield question
                if isinstance(question, Query) and (yield from rule.is_sure(question)):
                    canvas.stops.append(self.early_commit)
                    return (yield from words(canvas, (yield FollowUp(canvas.masked(), head)), unmasked))
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
        """Whether gaps are those of masks alone."""
        own = "region" if self.early_commit == "prophet" and self.commit_region == "answer" else "masked"
        return (self.gap_over or own) == "masked"


def _computed(query: Query, positions: Positions) -> bool:
    """Whether the forward of a query computed all of these: else it predicts nothing there, and cannot be sure."""
    return query.recompute is None or bool(np.isin(positions, query.recompute).all())


class _Prophet:
    """Source: generate_earlyexit.py of Prophet; forwards count from 1, and this one is included."""

    def __init__(self, fields: EarlyCommit, canvas: Canvas, steps: int) -> None:
        self._fields, self._canvas, self._steps, self._forward = fields, canvas, steps, 0

    def is_sure(self, query: Query) -> SubCoroutine[bool]:
        """Asks of the latest forward, that of `query`."""
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
    """Source: sched.py of SchED; forwards count from 0."""

    def __init__(self, fields: EarlyCommit, canvas: Canvas, steps: int) -> None:
        self._fields, self._canvas, self._steps = fields, canvas, steps
        self._forward, self._stable = -1, 0
        self._last: NDArray[np.int64] | None = None
        """Latest predictions, (canvas,); -1 where there were none."""

    def is_sure(self, query: Query) -> SubCoroutine[bool]:
        """Asks of the latest forward, that of `query`."""
        self._forward += 1
        fields, canvas = self._fields, self._canvas
        region, masks = fields.region(canvas), canvas.masked()
        masked = np.isin(region, masks, assume_unique=True)
        asked = region[masked] if fields.of_masks else region
        # The region is empty where the answer would begin behind the canvas's end.
        if not region.size or not _computed(query, np.union1d(asked, masks)):
            return False
        if not masked.any():
            return True
        answer = yield FollowUp(asked, _BOTH)
        of_masks = np.isin(asked, region[masked], assume_unique=True)
        changed = self._changed(region[masked], answer.token[of_masks])
        around = canvas.prompt_length if fields.commit_region == "all" else 0
        progress = 1 - masked.sum() / (len(region) + around)
        stable = progress >= fields.sched_min_progress and changed <= fields.sched_max_change
        self._stable = self._stable + 1 if stable else 0
        sure = self._statistic(answer.logit_gap) >= self._threshold()
        return bool(progress >= fields.sched_min_progress and sure and self._stable > fields.sched_patience)

    def _changed(self, masks: Positions, tokens: NDArray[np.int64]) -> float:
        """Share of the masks whose prediction differs from that in the last forward."""
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
