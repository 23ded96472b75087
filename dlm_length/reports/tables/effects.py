"""Every effect and test of a run against its baseline, and non-inferiority and equivalence within a margin."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from dlm_length.analysis.effects import EffectName, Testing, score_tests
from dlm_length.analysis.margins import POWER, Judged, judge_margin
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.notes import STARS, family_notes, unbounded_notes
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row, p_value
from dlm_length.reports.tables.cells import (
    NO_VALUE,
    effect_cell,
    ends,
    heading,
    no_baseline_notes,
    notes_on,
    number_cell,
    p_cells,
    row,
)
from dlm_length.stats import MARGIN_LEVEL, FamilyTest, StatisticsError, TestName, family_tests, further_tests

Families = Mapping[str, Mapping[Path, FamilyTest]]
"""The tests of a section: by the name of the family, then by the run's folder."""

_SAVED, _DELTA = "FLOPs saved", "delta"
_EFFECTS: Mapping[str, EffectName] = {_SAVED: "flops_saved", _DELTA: "performance_delta"}


def effects_table(sections: Sequence[Compared]) -> ReportTable | None:
    """Every effect, and every paired test of the scores; None where no section has a baseline."""
    tested = [(each, each.once(_families)) for each in sections]
    groups = [Group(heading(each.section), rows) for each, families in tested if (rows := tuple(_rows(each, families)))]
    if not groups:
        return None
    families: dict[str, list[FamilyTest]] = {}
    for _, found in tested:
        for name, tests in found.items():
            families.setdefault(name, []).extend(tests.values())
    return ReportTable(
        "tests",
        "Effects and tests",
        (
            Column("policy", numeric=False),
            Column("of", numeric=False),
            Column("effect", own_columns=("low", "high", "p")),
            Column("low"),
            Column("high"),
            Column("test", numeric=False),
            Column("n"),
            Column("resamples", detail=True),
            Column("p"),
            Column("p (Holm)"),
        ),
        tuple(groups),
        (
            f"Against the baseline of each group, paired by sample. {STARS}, by the test of the row. low and high: 95%"
            " percentile interval of the paired bootstrap.",
            *family_notes(families),
            *(
                ["Tests of one run's score answer one question, so each test is a family of its own over the runs."]
                if len(families) > 2
                else []
            ),
            *unbounded_notes(end for group in groups for each in group.rows for end in _bounds(each)),
            *no_baseline_notes(sections),
        ),
    )


def _families(compared: Compared) -> Families:
    """FLOPs saved and delta by the bootstrap, and the further tests of the scores: each a family within the section."""
    scores, testing = compared.scores, compared.testing
    saved, delta = (
        family_tests({path: effect.bootstrap for path, effect in compared.by_run(name).items()}, testing.adjust)
        for name in _EFFECTS.values()
    )
    names: tuple[TestName, ...] = ()
    if scores:
        names = further_tests(np.concatenate([paired.values.ravel() for paired in scores.values()]))
    found = {_SAVED: saved, _DELTA: delta}
    for tests in (score_tests(name, scores, testing) for name in names):
        if tests:
            found[f"score by {next(iter(tests.values())).result.name}"] = tests
    return {name: tests for name, tests in found.items() if tests}


def _rows(compared: Compared, families: Families) -> Iterator[Row]:
    section = compared.section
    for run, label in zip(section.runs, section.labels, strict=True):
        effects = {kind: compared.of(run, name) for kind, name in _EFFECTS.items()}
        for name, tests in families.items():
            if run.path not in tests:
                continue
            test, effect = tests[run.path], effects.get(name)
            if effect is None:
                yield _row(section, run, (label, "score"), NO_VALUE, test)
            else:
                # The stars are those of the row's test, whichever sets them elsewhere.
                yield _row(section, run, (label, f"{name} (%)"), effect_cell(effect.under(test)), test)


def _bounds(made: Row) -> Iterator[float]:
    return (end for cell in made.cells if isinstance(cell, Number) for end in (cell.low, cell.high))


def _row(section: Section, run: Run, names: tuple[str, str], effect: Number, test: FamilyTest) -> Row:
    drawn = math.nan if test.result.resamples is None else float(test.result.resamples)
    cells = (
        *names,
        effect,
        *ends(effect),
        test.result.name,
        Number(test.result.n, 0),
        Number(drawn, 0),
        *p_cells(test, test.stars),
    )
    return row(section, run, cells)


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
