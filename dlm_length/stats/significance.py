"""What a p value is here, which stars it earns, and what a whole table of them is worth (METHODS.md section 7)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dlm_length.common import first_few
from dlm_length.stats.arrays import FloatArray
from dlm_length.stats.errors import StatisticsError

_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@dataclass(frozen=True)
class TestResult:
    """One two-sided test of a run against its baseline."""

    __test__ = False  # pytest would collect it for its name

    name: str
    """As a table's note prints it: "paired bootstrap", "exact McNemar"."""
    p: float
    statistic: float
    """Positive where the run's values are larger (FLOPs saved: where FLOPs were saved); the test says of what."""
    n: int
    """Pairs."""
    resamples: int | None
    """None where nothing was drawn: the p is exact or from a normal approximation."""

    @property
    def stars(self) -> str:
        return stars(self.p)

    @property
    def description(self) -> str:
        """For a table's note: the test, n and the resample count."""
        drawn = "" if self.resamples is None else f", {self.resamples:,} resamples"
        return f"{self.name}, n = {self.n:,}{drawn}"


def stars(p: float) -> str:
    """`***` for p < 0.001, `**` for p < 0.01, `*` for p < 0.05; nothing else, and nothing for NaN."""
    return next((mark for threshold, mark in _STARS if p < threshold), "")


def holm(p_values: ArrayLike) -> FloatArray:
    """Holm's adjustment over one family, (tests,) in the order given: the k-th smallest p times (m - k + 1), monotone.

    Holm 1979. NaN is a test that was not made: it stays NaN, and the family of m tests does not count it. Raises
    StatisticsError for a p outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    outside = p[(p < 0) | (p > 1)]
    if outside.size:
        raise StatisticsError(f"Holm's adjustment takes p values in [0, 1], but got {first_few(outside.tolist())}.")
    adjusted = np.full_like(p, np.nan)
    made = np.flatnonzero(~np.isnan(p))
    ascending = made[np.argsort(p[made], kind="stable")]
    steps = p[ascending] * np.arange(ascending.size, 0, -1)
    adjusted[ascending] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
