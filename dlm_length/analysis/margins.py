"""Non-inferiority and equivalence: whether scores are within a margin of the baseline's."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from dlm_length.analysis.effects import SEED, Testing
from dlm_length.common import ConfigError
from dlm_length.stats import (
    MARGIN_LEVEL,
    Adjust,
    MarginTest,
    Paired,
    Spread,
    StatisticsError,
    holm,
    margin_test,
    observed_spread,
    samples_for_margin,
)

Key = TypeVar("Key", bound=Hashable)
Outcome = Literal["equivalent", "non_inferior", "worse", "not_shown"]

MARGIN = 2.0
"""Default margin, in points of the score."""
POWER = 0.8
"""Probability with which `Judged.needed` samples would show non-inferiority."""


@dataclass(frozen=True)
class Judged:
    """The tests of a run's scores against a baseline's at a margin, adjusted for their family."""

    test: MarginTest
    not_worse: float
    """Holm's p of non-inferiority over the family."""
    equivalent: float
    """Holm's p of equivalence over the family."""
    adjust: Adjust
    """Which p decides."""
    needed: int | None
    """Samples or problems that would show non-inferiority if the true difference were 0; None where it is unknown."""
    needed_equivalent: int | None
    """The same for equivalence."""
    differences_vary: bool
    """Whether the paired differences vary; where they do not, `needed` is the least n that could show it."""

    @property
    def is_not_worse(self) -> bool:
        return (self.not_worse if self.adjust == "holm" else self.test.p_not_worse) < MARGIN_LEVEL

    @property
    def is_equivalent(self) -> bool:
        return (self.equivalent if self.adjust == "holm" else self.test.p_equivalent) < MARGIN_LEVEL

    @property
    def outcome(self) -> Outcome:
        """What is shown at the margin. `worse` is decided by the interval, which is not adjusted for the family."""
        if self.is_not_worse:
            return "equivalent" if self.is_equivalent else "non_inferior"
        return "worse" if self.test.high < -self.test.margin else "not_shown"


def read_margin(given: float) -> float:
    """A margin in points as a share. Raises ConfigError unless it is above 0 and below 100."""
    if not 0 < given < 100:
        raise ConfigError(
            f"--margin: found {given:g}; allowed: points of the score, above 0 and below 100, such as {MARGIN:g}."
        )
    return given / 100


def judge_margin(scores: Mapping[Key, Paired], margin: float, testing: Testing) -> dict[Key, Judged]:
    """Judge the scores of runs and their baseline (`["run"]`, `["baseline"]`) as one family; same keys.

    `margin`: a share. Raises StatisticsError as `margin_test`.
    """
    tests = {
        key: margin_test(paired["run"], paired["baseline"], margin, rng=SEED, resamples=testing.resamples)
        for key, paired in scores.items()
    }
    not_worse = holm(np.array([test.p_not_worse for test in tests.values()]))
    equivalent = holm(np.array([test.p_equivalent for test in tests.values()]))
    found = {}
    for (key, test), one, both in zip(tests.items(), not_worse, equivalent, strict=True):
        spread = _spread(scores[key])
        needed, needed_equivalent = (_needed(spread, margin, equivalence=each) for each in (False, True))
        vary = spread is not None and spread.sd > 0
        found[key] = Judged(test, float(one), float(both), testing.adjust, needed, needed_equivalent, vary)
    return found


def _spread(scores: Paired) -> Spread | None:
    try:
        return observed_spread(scores["run"], scores["baseline"])
    except StatisticsError:  # one sample has no variance
        return None


def _needed(spread: Spread | None, margin: float, *, equivalence: bool) -> int | None:
    if spread is None:
        return None
    return samples_for_margin(margin, spread, alpha=MARGIN_LEVEL, power=POWER, equivalence=equivalence)
