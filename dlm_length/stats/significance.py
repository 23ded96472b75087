"""Test results, stars, and Holm's adjustment over a family of tests (docs/methods.md section 7)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import ArrayLike

from dlm_length.common import ConfigError, first_few, listing, suggestion
from dlm_length.stats.arrays import FloatArray
from dlm_length.stats.errors import StatisticsError

Adjust = Literal["holm", "none"]
"""Which p sets the stars: Holm's over the family, or the test's own."""
ADJUST: Adjust = "holm"
"""Default adjustment. The papers of this field set stars by each test's own p."""
LEVEL = 0.05
"""A smaller p has a star."""

Key = TypeVar("Key")

_STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


@dataclass(frozen=True)
class TestResult:
    """One two-sided test of a run against its baseline."""

    __test__ = False  # pytest would collect it for its name

    name: str
    """As in a table's note, such as "paired bootstrap" or "exact McNemar"."""
    p: float
    statistic: float
    """Positive where the run's values are larger (for FLOPs saved: where FLOPs were saved); defined by the test."""
    n: int
    """Number of pairs."""
    resamples: int | None
    """None where nothing was drawn: the p is exact or from a normal approximation."""
    least_p: float = 0.0
    """Smallest p that this test can give with its number of resamples or of pairs."""

    @property
    def description(self) -> str:
        """For a table's note: the test, n and the resample count."""
        drawn = "" if self.resamples is None else f", {self.resamples:,} resamples"
        return f"{self.name}, n = {self.n:,}{drawn}"


@dataclass(frozen=True)
class FamilyTest:
    """A test within its family, with the stars that it has there."""

    result: TestResult
    adjusted_p: float
    """Holm's p over the family."""
    family: int
    """Number of tests that are adjusted together."""
    adjust: Adjust
    """Which p sets the stars."""

    @property
    def p(self) -> float:
        """The p that sets the stars."""
        return self.adjusted_p if self.adjust == "holm" else self.result.p

    @property
    def stars(self) -> str:
        """Stars of `p`; see the function `stars`."""
        return stars(self.p)

    @property
    def factor(self) -> int:
        """Factor by which the smallest p of the family is multiplied before it sets stars."""
        return self.family if self.adjust == "holm" else 1

    @property
    def least_p(self) -> float:
        """Smallest possible value of the p that sets the stars."""
        return min(1.0, self.result.least_p * self.factor)

    @property
    def can_be_starred(self) -> bool:
        """Whether this test could have a star with any data."""
        return self.least_p < LEVEL


def family_tests(tests: Mapping[Key, TestResult], adjust: Adjust = ADJUST) -> dict[Key, FamilyTest]:
    """The tests of one family, such as those of one kind of effect over the runs of a section, by the same keys."""
    adjusted = holm([test.p for test in tests.values()])
    size = sum(not math.isnan(test.p) for test in tests.values())
    return {
        key: FamilyTest(test, float(p), size, adjust) for (key, test), p in zip(tests.items(), adjusted, strict=True)
    }


def choose_adjust(value: str, field: str = "adjust") -> Adjust:
    """`value` as the name of an adjustment. Raises ConfigError, naming `field` and what is allowed, for any other."""
    names: tuple[Adjust, ...] = get_args(Adjust)
    for name in names:
        if value == name:
            return name
    raise ConfigError(
        f"{field}: no adjustment is called {value!r}; allowed: {listing(names)}.{suggestion(value, names)}"
    )


def stars(p: float) -> str:
    """`***` for p < 0.001, `**` for p < 0.01, `*` for p < 0.05; nothing else, and nothing for NaN."""
    return next((mark for threshold, mark in _STARS if p < threshold), "")


def holm(p_values: ArrayLike) -> FloatArray:
    """Holm's adjusted p over one family (Holm 1979), (tests,) to (tests,): the k-th smallest p times (m - k + 1),
    made monotone and at most 1.

    NaN is a test that was not made; it stays NaN and is not counted in m. Raises StatisticsError for a p outside
    [0, 1].
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
