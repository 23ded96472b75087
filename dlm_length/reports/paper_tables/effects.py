"""Every effect with its interval, and every test."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dlm_length.reports.collection import Section
from dlm_length.reports.comparison import SEED, Run, adjusted_p
from dlm_length.reports.effects import STARS, family_note, unbounded_notes
from dlm_length.reports.paper_tables.cells import NO_VALUE, effect_cell
from dlm_length.reports.paper_tables.compared import Compared
from dlm_length.reports.paper_tables.rows import heading, no_baseline_notes, row
from dlm_length.reports.sheet import Column, Group, Number, Row, Sheet, p_value
from dlm_length.stats import TestResult, further_tests, run_test


def effects_table(sections: Sequence[Compared]) -> Sheet | None:
    """Every effect, and every paired test of the scores; None where no section has a baseline."""
    rows_of = [(heading(each.section), list(_rows(each))) for each in sections]
    p_values = [p for _, rows in rows_of for _, p in rows]
    holm = iter(adjusted_p(p_values))
    groups = [
        Group(title, tuple(replace(made, cells=(*made.cells, p_value(next(holm)))) for made, _ in rows))
        for title, rows in rows_of
        if rows
    ]
    if not groups:
        return None
    family = family_note(p_values, "FLOPs saved and delta of every run, and the further tests of its score")
    return Sheet(
        "tests",
        "Effects and tests",
        (
            Column("policy", numeric=False),
            Column("of", numeric=False),
            Column("effect", apart=("low", "high", "p")),
            Column("low"),
            Column("high"),
            Column("test", numeric=False),
            Column("n"),
            Column("resamples"),
            Column("p"),
            Column("p (Holm)"),
        ),
        tuple(groups),
        (
            f"Against the baseline of each group, paired by sample. {STARS}, by the test of the row. low and high: 95%"
            " percentile interval of the paired bootstrap.",
            f"{family} The table of length policies has the first two alone in its own, and so other adjusted p.",
            *unbounded_notes(end for group in groups for each in group.rows for end in _bounds(each)),
            *no_baseline_notes(sections),
        ),
    )


def _rows(compared: Compared) -> Iterator[tuple[Row, float]]:
    """Rows without their last cell, each with its p."""
    section = compared.section
    for run, label in zip(section.runs, section.labels, strict=True):
        against = compared.of(run)
        kinds = (("FLOPs saved (%)", against.flops_saved), ("delta (%)", against.performance_delta))
        for kind, effect in kinds:
            if effect is None:
                continue
            test = effect.estimate.test
            assert test is not None, "an effect has a test"
            # The stars are those of the row's test, whichever sets them elsewhere.
            yield _row(section, run, (label, kind), effect_cell(replace(effect, test=test)), test)
        if against.scores is None:
            continue
        ours, theirs = against.scores["run"], against.scores["baseline"]
        for name in further_tests(ours, theirs):
            yield _row(section, run, (label, "score"), NO_VALUE, run_test(name, ours, theirs, rng=SEED))


def _bounds(made: Row) -> Iterator[float]:
    return (end for cell in made.cells if isinstance(cell, Number) for end in (cell.low, cell.high))


def _row(section: Section, run: Run, names: tuple[str, str], effect: Number, test: TestResult) -> tuple[Row, float]:
    drawn = math.nan if test.resamples is None else float(test.resamples)
    cells = (
        *names,
        effect,
        Number(effect.low, effect.digits),
        Number(effect.high, effect.digits),
        test.name,
        Number(test.n, 0),
        Number(drawn, 0),
        p_value(test.p, test.stars),
    )
    return row(section, run, cells), test.p
