"""Every effect of a run against its baseline with its interval, and every test."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from dlm_length.analysis.effects import EffectName, score_tests
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.notes import STARS, family_notes, unbounded_notes
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row
from dlm_length.reports.tables.cells import NO_VALUE, effect_cell, ends, heading, no_baseline_notes, p_cells, row
from dlm_length.stats import FamilyTest, TestName, family_tests, further_tests

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
