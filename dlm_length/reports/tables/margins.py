"""Non-inferiority and equivalence of every run within a margin, and the cells and notes of any such test."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.margins import POWER, Judged, judge_margin
from dlm_length.analysis.sections import Compared
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, p_value
from dlm_length.reports.tables.cells import NO_VALUE, ends, heading, no_baseline_notes, notes_on, number_cell, row
from dlm_length.stats import MARGIN_LEVEL, StatisticsError

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
"""The columns of `margin_cells`."""


def margin_cells(judged: Judged | None) -> tuple[Cell, ...]:
    """The cells of one run; without a value where no sample was scored in both (None)."""
    if judged is None:
        return (*(NO_VALUE for _ in MARGIN_COLUMNS[1:]), "no score")
    test, drawn = judged.test, judged.test.resamples
    difference = Number(100 * test.difference, 2, 100 * test.low, 100 * test.high)
    return (
        difference,
        *ends(difference),
        Number(test.n, 0),
        p_value(test.p_not_worse, resamples=drawn),
        p_value(judged.not_worse, resamples=drawn),
        p_value(test.p_equivalent, resamples=drawn),
        p_value(judged.equivalent, resamples=drawn),
        number_cell(judged.needed, digits=0),
        number_cell(judged.needed_equivalent, digits=0),
        margin_verdict(judged),
    )


def margin_verdict(judged: Judged) -> str:
    """`non-inferior within 2 points`, or how many samples would show it."""
    margin = points(judged.test.margin)
    match judged.outcome:
        case "equivalent":
            return f"equivalent within {margin}"
        case "non_inferior":
            return f"non-inferior within {margin}"
        case "worse":
            return f"worse by more than {margin}"
        case "not_shown":
            if judged.needed is None or judged.needed <= judged.test.n:
                return f"not shown within {margin}"
            least = "" if judged.differences_vary else "at least "
            return f"not shown within {margin}: takes {least}n = {judged.needed:,}"


def points(margin: float) -> str:
    """The text `2 points` for a margin of 0.02."""
    number = f"{100 * margin:g}"
    return f"{number} point{'' if number == '1' else 's'}"


def margin_notes(margin: float, judged: Iterable[Judged], testing: Testing) -> Iterator[str]:
    """How these tests are made, and what decides; nothing where there are none."""
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
        " the true difference were 0, from the observed variance of the paired differences, by a test's own p,"
        " unadjusted; where the differences do not vary, the least n that could show it. worse by more than: the"
        " interval, which is not adjusted, is below the margin."
    )


def _judged(each: Compared, margin: float) -> dict[Path, Judged]:
    try:
        return judge_margin(each.scores, margin, each.testing)
    except StatisticsError as error:
        raise StatisticsError(f"{each.section.title}, margin of {points(margin)}: {error}") from error


def margin_table(sections: Sequence[Compared], margin: float) -> ReportTable | None:
    """A row per run that is compared with a baseline; None where none is. `margin`: a share of the score.

    The runs of a section are one family.
    """
    groups: list[Group] = []
    judged: list[Judged] = []
    for each in sections:
        of = each.once(_judged, margin)
        judged += of.values()
        rows = tuple(
            row(each.section, run, (each.section.label_of[run.path], *margin_cells(of.get(run.path))))
            for run in each.runs
        )
        if rows:
            groups.append(Group(heading(each.section), rows))
    if not groups:
        return None
    return ReportTable(
        "non-inferiority",
        f"Scores within {points(margin)} of the baseline's",
        (Column("policy", numeric=False), *MARGIN_COLUMNS),
        tuple(groups),
        (
            *margin_notes(margin, judged, sections[0].testing),
            *no_baseline_notes(sections),
            *notes_on(sections, (run for each in sections for run in each.section.others)),
        ),
    )
