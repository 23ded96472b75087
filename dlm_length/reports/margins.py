"""Whether scores are within a margin of the baseline's: what "no significant degradation" does not show."""

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from dlm_length.common import ConfigError
from dlm_length.reports.comparison import SEED, Testing
from dlm_length.reports.table import Cell, Column, Number, p_value
from dlm_length.stats import (
    MARGIN_LEVEL,
    Adjust,
    MarginTest,
    Paired,
    StatisticsError,
    holm,
    margin_test,
    observed_spread,
    samples_for_margin,
)

Key = TypeVar("Key", bound=Hashable)

MARGIN = 2.0
"""Points of the score, where nobody names another margin."""
POWER = 0.8


@dataclass(frozen=True)
class Judged:
    """A run's scores against a baseline's at a margin, among the tests of its family."""

    test: MarginTest
    not_worse: float
    """Holm's p of non-inferiority over the family."""
    equivalent: float
    """Holm's p of equivalence over the family."""
    adjust: Adjust
    """Which p decides."""
    needed: int | None
    """Samples, or problems, that would show non-inferiority, were the true difference 0; None where nothing says so."""
    needed_equivalent: int | None
    """The same for equivalence."""

    @property
    def is_not_worse(self) -> bool:
        return (self.not_worse if self.adjust == "holm" else self.test.p_not_worse) < MARGIN_LEVEL

    @property
    def is_equivalent(self) -> bool:
        return (self.equivalent if self.adjust == "holm" else self.test.p_equivalent) < MARGIN_LEVEL

    @property
    def verdict(self) -> str:
        """`non-inferior within 2 points`, or what it would take."""
        within = f"within {points(self.test.margin)}"
        if self.is_not_worse:
            return f"{'equivalent' if self.is_equivalent else 'non-inferior'} {within}"
        if self.test.high < -self.test.margin:
            return f"worse by more than {points(self.test.margin)}"
        if self.needed is None or self.needed <= self.test.n:
            return f"not shown {within}"
        return f"not shown {within}: takes n = {self.needed:,}"


def points(margin: float) -> str:
    """`2 points`, of a margin as a share."""
    number = f"{100 * margin:g}"
    return f"{number} point{'' if number == '1' else 's'}"


def read_margin(given: float) -> float:
    """A margin in points as a share. Raises ConfigError for one that no difference of scores can have."""
    if not 0 < given < 100:
        raise ConfigError(
            f"--margin: found {given:g}; allowed: points of the score, above 0 and below 100, such as {MARGIN:g}."
        )
    return given / 100


def judge_margin(scores: Mapping[Key, Paired], margin: float, testing: Testing) -> dict[Key, Judged]:
    """The scores of runs and their baseline (`["run"]`, `["baseline"]`), as one family, by the keys given.

    `margin`: a share. Raises StatisticsError as `margin_test`.
    """
    tests = {
        key: margin_test(paired["run"], paired["baseline"], margin, rng=SEED, resamples=testing.resamples)
        for key, paired in scores.items()
    }
    not_worse = holm(np.array([test.p_not_worse for test in tests.values()]))
    equivalent = holm(np.array([test.p_equivalent for test in tests.values()]))
    return {
        key: Judged(
            test,
            float(one),
            float(both),
            testing.adjust,
            _needed(scores[key], margin, equivalence=False),
            _needed(scores[key], margin, equivalence=True),
        )
        for (key, test), one, both in zip(tests.items(), not_worse, equivalent, strict=True)
    }


def _needed(scores: Paired, margin: float, *, equivalence: bool) -> int | None:
    try:
        spread = observed_spread(scores["run"], scores["baseline"])
    except StatisticsError:  # one sample says nothing of how others vary
        return None
    return samples_for_margin(margin, spread, alpha=MARGIN_LEVEL, power=POWER, equivalence=equivalence)


MARGIN_COLUMNS = (
    Column("difference (points)", higher_is_better=True, own_columns=("low", "high")),
    Column("low"),
    Column("high"),
    Column("n"),
    Column("p not worse"),
    Column("p not worse (Holm)"),
    Column("p equivalent"),
    Column("p equivalent (Holm)"),
    Column("n for not worse"),
    Column("n for equivalent"),
    Column("verdict", numeric=False),
)
"""Of `margin_cells`."""


def margin_cells(judged: Judged | None) -> tuple[Cell, ...]:
    """One run's; without a value where no sample was scored in both."""
    if judged is None:
        return (*(Number(math.nan) for _ in MARGIN_COLUMNS[1:]), "no score")
    test = judged.test
    difference, low, high = (100 * value for value in (test.difference, test.low, test.high))
    drawn = test.resamples
    return (
        Number(difference, 2, low, high),
        Number(low, 2),
        Number(high, 2),
        Number(test.n, 0),
        p_value(test.p_not_worse, resamples=drawn),
        p_value(judged.not_worse, resamples=drawn),
        p_value(test.p_equivalent, resamples=drawn),
        p_value(judged.equivalent, resamples=drawn),
        _count(judged.needed),
        _count(judged.needed_equivalent),
        judged.verdict,
    )


def _count(n: int | None) -> Number:
    return Number(math.nan if n is None else n, 0)


def margin_notes(margin: float, judged: Iterable[Judged], testing: Testing) -> Iterator[str]:
    """What these tests are; nothing where there are none."""
    tests = [each.test for each in judged]
    if not tests:
        return
    deciding = "Holm's p over the runs of a group" if testing.adjust == "holm" else "each test's own p, unadjusted"
    yield (
        f"Margin: {points(margin)} of the score, chosen beforehand. not worse: one-sided test against being worse by"
        f" the margin or more; equivalent: two one-sided tests, against differing by it either way. Each at"
        f" {MARGIN_LEVEL:g}, by {deciding}; low and high: 90% interval of the difference, paired by sample."
    )
    described = "; ".join(dict.fromkeys(test.description for test in tests))
    yield (
        f"{described}. Exact unconditional: 0/1 scores, ordered by Nam's and Tango's score statistic, whose interval"
        " is shown. Studentised bootstrap: graded scores, means of several answers to a problem, and very many flips."
    )
    yield (
        f"n for ...: how many samples (problems, where they have several) would show it with probability {POWER:g} if"
        " the true difference were 0, from the observed variance of the paired differences."
    )
