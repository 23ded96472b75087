"""Intervals of scores as text, and the note that says what they are."""

import math
from collections.abc import Iterable, Iterator

from dlm_length.records import IntervalRecord
from dlm_length.reports.table import MISSING, number
from dlm_length.stats import Estimate


def interval(low: float, high: float, digits: int = 4) -> str:
    """`[0.8211, 0.9345]`; nothing where there is none."""
    if math.isnan(low) or math.isnan(high):
        return MISSING
    return f"[{number(low, digits)}, {number(high, digits)}]"


def interval_of(estimate: Estimate | None, digits: int = 4) -> str:
    """The same of an estimate, if there is one."""
    return MISSING if estimate is None else interval(estimate.low, estimate.high, digits)


def kinds_of_interval(found: Iterable[Estimate | IntervalRecord]) -> str:
    """How they were computed: `Wilson`, `percentile bootstrap, 10,000 resamples`, or both."""
    return " or ".join(dict.fromkeys(_kind(each) for each in found if not math.isnan(each.low)))


def interval_notes(found: Iterable[Estimate | IntervalRecord]) -> Iterator[str]:
    """What the intervals of a table's scores are, if there are any."""
    if kinds := kinds_of_interval(found):
        yield f"Scores have 95% intervals: {kinds}."


def _kind(found: Estimate | IntervalRecord) -> str:
    method = found.interval if isinstance(found, Estimate) else found.method
    return "Wilson" if method == "wilson" else f"{method} bootstrap, {found.resamples:,} resamples"
