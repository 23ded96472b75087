"""Cells, rows and groups that several tables have, and the notes that go with them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from dlm_length.analysis.effects import Effect
from dlm_length.analysis.repeats import score_spread
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.records import SampleSummary
from dlm_length.reports.notes import early_stop_note, interval_notes, run_notes, uncharged_notes
from dlm_length.reports.table import MISSING, Cell, Column, Group, Number, Row, number, p_value, percent
from dlm_length.stats import Estimate, FamilyTest

_EARLY_STOP = Column("FLOPs saved vs early stop (%)", higher_is_better=True)
"""Against the fixed canvas with a stop rule; CSV has its p."""
NO_VALUE = Number(math.nan)
"""A cell without a value."""


def number_cell(value: float | None, *, digits: int = 1) -> Number:
    """A number where there is one."""
    return NO_VALUE if value is None else Number(value, digits)


def hundred(value: float | None) -> float | None:
    """A share in per cent."""
    return None if value is None else 100 * value


def effect_cell(effect: Effect) -> Number:
    """An effect in per cent."""
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


def starred(effect: Effect | None) -> str:
    """The effect in per cent with the stars of its test."""
    if effect is None or math.isnan(effect.value):
        return MISSING
    return f"{percent(effect.value)}{effect.stars}"


def p_cells(test: FamilyTest, stars: str = "") -> tuple[Number, Number]:
    """A test's own p, and the adjusted one; `stars` go to the one that sets them."""
    drawn = test.result.resamples
    holm = test.adjust == "holm"
    return (
        p_value(test.result.p, "" if holm else stars, resamples=drawn),
        p_value(test.adjusted_p, stars if holm else "", resamples=drawn),
    )


def interval(low: float, high: float, digits: int = 4) -> str:
    """`[0.8211, 0.9345]`; nothing where there is none."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{number(low, digits)}, {number(high, digits)}]"


def interval_of(estimate: Estimate | None, digits: int = 4) -> str:
    """The same of an estimate, if there is one."""
    return MISSING if estimate is None else interval(estimate.low, estimate.high, digits)


def spread_columns(runs: Iterable[Run], unit: str = "") -> tuple[Column, ...]:
    """The column of `spread_cells`, where any of the runs is a row of several seeds."""
    return (Column(f"sd{unit}"),) if any(run.repeats for run in runs) else ()


def spread_cells(run: Run, columns: tuple[Column, ...], *, digits: int = 4, factor: float = 1.0) -> tuple[Number, ...]:
    """The score's standard deviation over the seeds, times `factor`: one cell for each of `spread_columns`."""
    return (Number(factor * score_spread(run), digits),) * len(columns)


def mean_gflops(run: Run) -> Number:
    """Reference FLOPs per sample."""
    return sample_mean(run, lambda sample: sample.ledger.total.flops_reference / 1e9, digits=2)


def sample_mean(run: Run, of: Callable[[SampleSummary], float], *, digits: int) -> Number:
    """Over the samples that ran."""
    values = [of(sample) for sample in run.samples.values() if sample.error is None]
    return number_cell(math.fsum(values) / len(values) if values else None, digits=digits)


def row_a_run(
    sections: Sequence[Compared], cells_of: Callable[[Compared, Run], tuple[Cell, ...]], *, beyond: bool = False
) -> tuple[Group, ...]:
    """A group a section, with a row a run: its label, then its cells; `beyond`: `beyond_cells` are among them."""
    return tuple(
        Group(
            heading(each.section),
            tuple(
                row(each.section, run, (label, *cells_of(each, run)), _early_paths(each, run) if beyond else ())
                for run, label in zip(each.section.runs, each.section.labels, strict=True)
            ),
        )
        for each in sections
    )


def row(section: Section, run: Run, cells: tuple[Cell, ...], others: tuple[Path, ...] = ()) -> Row:
    """A row of a run and the section's baseline; `others`: folders of other runs that it is compared with."""
    against = () if section.baseline is None or run is section.baseline else section.baseline.paths
    return Row(cells, (*run.paths, *against, *others), baseline=run is section.baseline)


def _early_paths(each: Compared, run: Run) -> tuple[Path, ...]:
    return each.early_stop.paths if each.early_stop is not None and run.path in each.beyond_early_stop else ()


def beyond_columns(sections: Sequence[Compared]) -> tuple[Column, ...]:
    """The column of `beyond_cells`, where any run is compared with an early stop."""
    return (_EARLY_STOP,) if any(each.beyond_early_stop for each in sections) else ()


def beyond_cells(each: Compared, run: Run, columns: tuple[Column, ...]) -> tuple[Number, ...]:
    """FLOPs saved against the fixed canvas with early stop: one cell for each of `beyond_columns`."""
    effect = each.beyond_early_stop.get(run.path)
    return (NO_VALUE if effect is None else effect_cell(effect),) * len(columns)


def beyond_notes(sections: Sequence[Compared]) -> Iterator[str]:
    """What that column is against in each section that has it."""
    for each in sections:
        if each.early_stop is not None and each.beyond_early_stop:
            label = each.section.label_of[each.early_stop.path]
            yield early_stop_note(label, len(each.beyond_early_stop), each.section.title if len(sections) > 1 else "")


def heading(section: Section) -> str:
    """The section with what its score is and over how many samples."""
    return f"{section.title}: {section.metric}, {section.n_label}"


def all_runs(sections: Sequence[Compared]) -> list[Run]:
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


def scores_note(sections: Iterable[Section]) -> Iterator[str]:
    """What the intervals of these sections' scores are."""
    return interval_notes(each for section in sections for each in section.mean_scores.values())


def notes_on(runs: Iterable[Run]) -> Iterator[str]:
    """What a reader must know of the runs of a table."""
    shown = list(runs)
    yield from uncharged_notes(shown)
    yield from run_notes(shown)
