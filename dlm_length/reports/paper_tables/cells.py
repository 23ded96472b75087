"""Numbers of these tables."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dlm_length.analysis.effects import Effect
from dlm_length.analysis.repeats import score_spread
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.records import SampleSummary
from dlm_length.reports.table import MISSING, Column, Mark, Number

NO_VALUE = Number(math.nan)
"""A cell that has none."""


def number(value: float | None, *, digits: int = 1) -> Number:
    return NO_VALUE if value is None else Number(value, digits)


def hundred(value: float | None) -> float | None:
    """A share in per cent."""
    return None if value is None else 100 * value


def effect_cell(effect: Effect) -> Number:
    """An effect in per cent."""
    value, low, high = (100 * each for each in (effect.value, effect.low, effect.high))
    return Number(value, 2, low, high, effect.p, effect.stars, resamples=effect.result.resamples)


def score_cell(section: Section, run: Run, *, digits: int = 4, unit: float = 1.0) -> Number:
    """A run's mean score with its interval; `unit`: what it is multiplied by, 100 for per cent."""
    score = section.mean_scores.get(run.path)
    if score is None:
        return NO_VALUE
    return Number(unit * score.value, digits, unit * score.low, unit * score.high)


def ends(cell: Number) -> tuple[Number, Number]:
    """The ends of a number's interval, as cells of their own."""
    return Number(cell.low, cell.digits), Number(cell.high, cell.digits)


def spread_columns(runs: Iterable[Run], unit: str = "") -> tuple[Column, ...]:
    """The column of `spread_cells`, where any of the runs is a row of several seeds."""
    return (Column(f"sd{unit}"),) if any(run.repeats for run in runs) else ()


def spread_cells(run: Run, columns: tuple[Column, ...], *, digits: int = 4, factor: float = 1.0) -> tuple[Number, ...]:
    """The score's standard deviation over the seeds, times `factor`: one cell for each of `spread_columns`."""
    return (Number(factor * score_spread(run), digits),) * len(columns)


def mean_gflops(run: Run) -> Number:
    """Reference FLOPs a sample."""
    return sample_mean(run, lambda sample: sample.ledger.total.flops_reference / 1e9, digits=2)


def sample_mean(run: Run, of: Callable[[SampleSummary], float], *, digits: int) -> Number:
    """Over the samples that ran."""
    values = [of(sample) for sample in run.samples.values() if sample.error is None]
    return number(math.fsum(values) / len(values) if values else None, digits=digits)


def marked(numbers: Sequence[Number]) -> list[Number]:
    """The highest marked as the best and the next lower as the second, by what is shown: equal digits share a mark."""
    shown = sorted({float(number.text) for number in numbers if number.text != MISSING}, reverse=True)
    if len(shown) < 2:
        return list(numbers)
    marks: dict[float, Mark] = {shown[0]: "best", shown[1]: "second"}
    return [
        number if number.text == MISSING else replace(number, mark=marks.get(float(number.text))) for number in numbers
    ]
