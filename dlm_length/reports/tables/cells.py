"""Cells, columns, rows and groups that several tables have, and the notes that go with them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from dlm_length.analysis.effects import Effect
from dlm_length.analysis.pace import pace_of
from dlm_length.analysis.repeats import score_spread
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.records import SampleSummary
from dlm_length.reports.notes import early_stop_note, interval_notes, run_notes, uncharged_notes
from dlm_length.reports.table import (
    MISSING,
    Cell,
    Column,
    Group,
    Number,
    Quantity,
    ReportTable,
    Row,
    number,
    p_value,
    percent,
)
from dlm_length.stats import Estimate, FamilyTest

NO_VALUE = Number(math.nan)
"""A cell without a value."""

RunColumn = tuple[Column, Callable[[Compared, Run], Cell]]
"""A column of a table with a row per run, and the function that gives the cell of a run in a section."""


def number_cell(value: float | None, *, digits: int = 1, unit: float = 1.0) -> Number:
    """A number where there is one, multiplied by `unit`: 100 for a share in per cent."""
    return NO_VALUE if value is None else Number(unit * value, digits)


def effect_cell(effect: Effect | None) -> Number:
    """An effect in per cent, with its interval, p and stars."""
    if effect is None:
        return NO_VALUE
    value, low, high = (100 * each for each in (effect.value, effect.low, effect.high))
    return Number(value, 2, low, high, effect.p, effect.stars, resamples=effect.result.resamples)


def score_cell(section: Section, run: Run, *, digits: int = 4, unit: float = 1.0) -> Number:
    """A run's mean score with its interval, multiplied by `unit`: 100 for per cent."""
    score = section.mean_scores.get(run.path)
    if score is None:
        return NO_VALUE
    return Number(unit * score.value, digits, unit * score.low, unit * score.high)


def ends(cell: Number) -> tuple[Number, Number]:
    """The ends of a number's interval, as cells of their own."""
    return Number(cell.low, cell.digits), Number(cell.high, cell.digits)


def p_cells(test: FamilyTest | None, stars: str = "") -> tuple[Number, Number]:
    """A test's own p, and the adjusted one; `stars` go to the one that sets them."""
    if test is None:
        return NO_VALUE, NO_VALUE
    drawn = test.result.resamples
    holm = test.adjust == "holm"
    return (
        p_value(test.result.p, "" if holm else stars, resamples=drawn),
        p_value(test.adjusted_p, stars if holm else "", resamples=drawn),
    )


def seconds_cell(run: Run, *, digits: int = 3) -> Number:
    """Wall-clock per sample, in seconds, where the run has one of its own."""
    pace = pace_of(run)
    return number_cell(None if pace is None else pace.seconds_per_sample, digits=digits)


def tokens_per_second_cell(run: Run) -> Number:
    """Tokens that are neither EOS nor EOT, by wall-clock."""
    pace = pace_of(run)
    return number_cell(None if pace is None else pace.tokens_per_second)


def mean_gflops(run: Run) -> Number:
    """Reference FLOPs per sample."""
    return sample_mean(run, lambda sample: sample.ledger.total.flops_reference / 1e9, digits=2)


def sample_mean(run: Run, of: Callable[[SampleSummary], float], *, digits: int) -> Number:
    """The mean of a quantity over the samples that ran."""
    values = [of(sample) for sample in run.samples.values() if sample.error is None]
    return number_cell(math.fsum(values) / len(values) if values else None, digits=digits)


def starred(effect: Effect | None) -> Quantity:
    """The effect in per cent with the stars of its test, as text: `60.3%***`."""
    if effect is None or math.isnan(effect.value):
        return Quantity(MISSING, None)
    text = f"{percent(effect.value)}{effect.stars}"
    return Quantity(text, effect.value, low=effect.low, high=effect.high, p=effect.p, stars=effect.stars)


def score_text(score: float | None, estimate: Estimate | None) -> Quantity:
    """A mean score as text, with the interval of its estimate for programs."""
    shown = number(score, 4)
    return shown if estimate is None else Quantity(shown, shown.value, low=estimate.low, high=estimate.high)


def interval(low: float, high: float, digits: int = 4) -> Quantity:
    """An interval as text: `[0.8211, 0.9345]`."""
    if math.isnan(low) or math.isnan(high):
        return Quantity(MISSING, None)
    return Quantity(f"[{number(low, digits)}, {number(high, digits)}]", None, low=low, high=high)


def interval_of(estimate: Estimate | None, digits: int = 4) -> Quantity:
    """The interval of an estimate, where there is one, as text."""
    return Quantity(MISSING, None) if estimate is None else interval(estimate.low, estimate.high, digits)


def spread_columns(runs: Iterable[Run], *, digits: int = 4, unit: float = 1.0) -> tuple[RunColumn, ...]:
    """The score's standard deviation over the seeds, where any of the runs is a row of several seeds.

    `digits`, `unit`: as in `score_cell`.
    """
    column = Column("sd (%)" if unit == 100 else "sd")
    several = any(run.repeats for run in runs)
    return ((column, lambda _, run: Number(unit * score_spread(run), digits)),) if several else ()


def beyond_columns(sections: Sequence[Compared]) -> tuple[RunColumn, ...]:
    """FLOPs saved against the fixed canvas with a stop rule, where any run is compared with one."""
    column = Column("FLOPs saved vs early stop (%)", higher_is_better=True)
    compared = any(each.beyond_early_stop for each in sections)
    return ((column, lambda each, run: effect_cell(each.of(run, "flops_saved_vs_early_stop"))),) if compared else ()


def beyond_notes(sections: Sequence[Compared]) -> Iterator[str]:
    """What that column compares with in each section that has it."""
    for each in sections:
        if each.early_stop is not None and each.beyond_early_stop:
            label = each.section.label_of[each.early_stop.path]
            yield early_stop_note(label, len(each.beyond_early_stop), each.section.title if len(sections) > 1 else "")


def table_of_runs(
    name: str, title: str, sections: Sequence[Compared], columns: Sequence[RunColumn], notes: Iterable[str]
) -> ReportTable:
    """A group per section with a row per run: its label, then its cell in each column.

    The sources of a row include the run with a stop rule, where the row's run is compared with it.
    """
    groups = tuple(
        Group(
            heading(each.section),
            tuple(
                Row(
                    (label, *(of(each, run) for _, of in columns)),
                    (*sources_of(each.section, run), *_early_paths(each, run)),
                    baseline=run is each.section.baseline,
                )
                for run, label in zip(each.section.runs, each.section.labels, strict=True)
            ),
        )
        for each in sections
    )
    titles = (Column("policy", numeric=False), *(column for column, _ in columns))
    return ReportTable(name, title, titles, groups, tuple(notes))


def _early_paths(each: Compared, run: Run) -> tuple[Path, ...]:
    return each.early_stop.paths if each.early_stop is not None and run.path in each.beyond_early_stop else ()


def row(section: Section, run: Run, cells: tuple[Cell, ...]) -> Row:
    """A row of a run and the section's baseline."""
    return Row(cells, sources_of(section, run), baseline=run is section.baseline)


def sources_of(section: Section, run: Run) -> tuple[Path, ...]:
    """The run's folders, then those of the baseline that it is compared with."""
    baseline = section.baseline
    return run.paths if baseline is None or run is baseline else (*run.paths, *baseline.paths)


def heading(section: Section) -> str:
    """The section's title, its metric and its number of samples."""
    return f"{section.title}: {section.metric}, {section.n_label}"


def all_runs(sections: Iterable[Compared]) -> list[Run]:
    """The runs of all sections."""
    return [run for each in sections for run in each.section.runs]


def no_baseline_notes(sections: Sequence[Compared]) -> Iterator[str]:
    """A sentence where runs have no baseline to be compared with."""
    alone = [each.section.title for each in sections if not each.runs]
    if alone:
        where = "" if len(alone) == len(sections) else f" in {'; '.join(alone)}"
        yield (
            f"No baseline{where} to compare another run with (a fixed canvas, or named by --baseline), and so neither"
            " FLOPs saved nor delta."
        )


def scores_note(sections: Iterable[Compared]) -> Iterator[str]:
    """How the intervals of these sections' scores were computed."""
    return interval_notes(estimate for each in sections for estimate in each.section.mean_scores.values())


def notes_on(sections: Sequence[Compared], runs: Iterable[Run]) -> Iterator[str]:
    """What a reader must know of the runs of a table of these sections."""
    shown = list(runs)
    yield from uncharged_notes(shown, sections[0].section.policy_name)
    yield from run_notes(shown)
