"""Columns and notes of tests within a margin."""

import math
from collections.abc import Iterable, Iterator

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.margins import POWER, Judged, points
from dlm_length.reports.table import Cell, Column, Number, p_value
from dlm_length.stats import MARGIN_LEVEL

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
