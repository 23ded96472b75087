"""A sweep of one knob against the fixed canvas: calibrated on some units, checked on the others."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

import numpy as np

from dlm_length.common import counted
from dlm_length.stats.arrays import FloatArray, is_binary
from dlm_length.stats.effects import Statistic
from dlm_length.stats.errors import StatisticsError
from dlm_length.stats.learn_then_test import Certificate, RiskTest, certify, losses
from dlm_length.stats.pairing import pair
from dlm_length.stats.resampling import Estimate, score_intervals

Key = TypeVar("Key")

_SEED = 0
"""Seed of the bootstrap intervals of graded losses, so that a table is reproducible."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Scores and FLOPs of the samples of one run, each (samples,)."""

    ids: Sequence[str]
    scores: Sequence[float | None]
    """None or NaN for a sample without a score."""
    flops: Sequence[float]


@dataclass(frozen=True, eq=False)
class KnobSweep(Generic[Key]):
    """Losses and FLOPs of runs with several values of one knob, relative to the fixed canvas on the same units."""

    knobs: tuple[Key, ...]
    units: tuple[str, ...]
    """Samples, or problems where these have several; sorted."""
    losses: FloatArray
    """(knobs, units), in [0, 1]; for a problem with several samples their mean. See `certificate.losses`."""
    flops: FloatArray
    """(knobs, units)."""
    fixed_flops: FloatArray
    """(units,)."""
    is_binary: bool
    """Whether losses can only be 0 or 1: all scores are 0 or 1, and no unit has several samples."""
    left_out: int
    """Number of samples without a score on the fixed canvas, whose loss is undefined; they are left out of all runs."""
    unscored: int
    """Number of samples, summed over knobs, that the fixed canvas scored and the knob's run did not; each counts as the
    lowest score."""

    @classmethod
    def of(
        cls,
        runs: Mapping[Key, Outcomes],
        fixed: Outcomes,
        *,
        unit_of: Callable[[str], str] | None = None,
        low: float = 0.0,
        high: float = 1.0,
    ) -> Self:
        """Build the sweep from runs by knob. `unit_of`: as in `pair`; scores are on a scale from `low` to `high`.

        A sample without a score counts as `low` where the fixed canvas has one: if it were left out, a policy whose
        answers cannot be scored would look safe. Raises StatisticsError where the runs do not cover the same samples,
        where one has no score at all, and for scores off their scale.
        """
        names = {knob: str(knob) for knob in runs}
        assert len(set(names.values())) == len(names), "knobs have different names"
        each = {"the fixed canvas": fixed} | {names[knob]: run for knob, run in runs.items()}
        scores = {name: np.array(run.scores, dtype=np.float64) for name, run in each.items()}
        if without := [name for name, column in scores.items() if np.isnan(column).all()]:
            raise StatisticsError(f"calibration: {without[0]} has no score at all, so that its losses are unknown.")
        known = dict(zip(fixed.ids, ~np.isnan(scores["the fixed canvas"]), strict=True))
        lost = {
            name: np.isnan(scores[name]) & np.array([known.get(sample, False) for sample in run.ids], dtype=bool)
            for name, run in each.items()
        }
        scored = pair(
            {name: (run.ids, np.where(lost[name], low, scores[name])) for name, run in each.items()},
            incomplete="leave_out",
        )
        kept = set(scored.ids)
        columns = {
            ("loss", name): (scored.ids, losses(scored[name], scored["the fixed canvas"], low=low, high=high))
            for name in each
        }
        for name, run in each.items():
            own = {sample: value for sample, value in zip(run.ids, run.flops, strict=True) if sample in kept}
            columns["FLOPs", name] = (tuple(own), np.array(list(own.values()), dtype=np.float64))
        by_unit = pair({" of ".join(key): column for key, column in columns.items()}, unit_of=unit_of)
        return cls(
            tuple(runs),
            by_unit.ids,
            np.array([by_unit[f"loss of {name}"] for name in names.values()]),
            np.array([by_unit[f"FLOPs of {name}"] for name in names.values()]),
            by_unit["FLOPs of the fixed canvas"],
            (low, high) == (0, 1) and is_binary(scored.values.ravel()) and by_unit.n == scored.n,
            len(scored.left_out),
            sum(int(missing.sum()) for missing in lost.values()),
        )

    @property
    def n(self) -> int:
        """Number of units."""
        return len(self.units)

    @property
    def saving(self) -> dict[Key, float]:
        """Knob -> share of FLOPs saved relative to the fixed canvas."""
        return {
            knob: Statistic.flops_saved(flops, self.fixed_flops).value
            for knob, flops in zip(self.knobs, self.flops, strict=True)
        }

    @property
    def risk(self) -> dict[Key, Estimate]:
        """Knob -> mean loss with its 95% interval."""
        means = {knob: Statistic.mean(own, "loss") for knob, own in zip(self.knobs, self.losses, strict=True)}
        return score_intervals(means, rng=_SEED)

    def split(self, share: float, seed: int) -> tuple[Self, Self]:
        """Split into calibration and held-out units, by a hash of their names; about `share` are for calibration."""
        chosen = np.array([is_for_calibration(unit, share, seed) for unit in self.units], dtype=bool)
        return self._only(chosen), self._only(~chosen)

    def _only(self, mask: np.ndarray) -> Self:
        units = tuple(unit for unit, kept in zip(self.units, mask, strict=True) if kept)
        return replace(
            self,
            units=units,
            losses=self.losses[:, mask],
            flops=self.flops[:, mask],
            fixed_flops=self.fixed_flops[mask],
        )


def is_for_calibration(unit: str, share: float, seed: int) -> bool:
    """Whether a unit is for calibration; this depends on neither the run nor the other units."""
    digest = hashlib.sha256(f"{seed}\n{unit}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * 2**64


@dataclass(frozen=True, eq=False)
class Calibration(Generic[Key]):
    """A certificate from the calibration units of a sweep, and the held-out units to check it on."""

    certificate: Certificate[Key]
    calibration: KnobSweep[Key]
    held_out: KnobSweep[Key] | None
    """None: no units were held out, and the knobs were ordered by the savings of the calibration units themselves."""


def calibrate(
    calibration: KnobSweep[Key], held_out: KnobSweep[Key] | None, *, risk: float, confidence: float
) -> Calibration[Key]:
    """Certify the knobs on the calibration units, in the order of the FLOPs that they save on the held-out units.

    FLOPs of other units make the order independent of the tested losses. Raises StatisticsError as `certify`, and where
    there are no calibration or no held-out units.
    """
    if held_out is not None:
        assert set(held_out.knobs) == set(calibration.knobs), "both sets of units have the same knobs"
        if not held_out.n:
            raise StatisticsError(
                f"calibration: none of the"
                f" {counted(calibration.n, 'sample or problem', 'samples or problems')} is held out."
            )
    if not calibration.n:
        raise StatisticsError("calibration: no sample or problem is left to calibrate on; all are held out.")
    ordering = (held_out or calibration).saving
    columns = dict(zip(calibration.knobs, calibration.losses, strict=True))
    test: RiskTest = "exact binomial" if calibration.is_binary else "Hoeffding-Bentkus"
    certificate = certify(columns, ordering, risk=risk, confidence=confidence, test=test)
    return Calibration(certificate, calibration, held_out)
