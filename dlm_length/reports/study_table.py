"""A study's runs over one benchmark, beside their baseline."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from dlm_length.reports.comparison import Comparison, Run, compare_all, read_run
from dlm_length.reports.effects import effect_notes, starred
from dlm_length.reports.tables import NOTHING, Table, number, percent
from dlm_length.stats import STARS_BY, TestName


def study_table(runs: Sequence[Path], baseline: Path | None, *, stars_by: TestName = STARS_BY) -> Table:
    """One row a run, the baseline first: quality, cost, and both against the baseline.

    Raises RecordError for a run that is not finished, StatisticsError where runs cover other samples than the baseline.
    """
    against = None if baseline is None else read_run(baseline)
    read = [read_run(path) for path in runs]
    first = against or read[0]
    made = [] if against is None else compare_all(read, against, stars_by=stars_by)
    rows = [] if against is None else [_row(against, None)]
    rows += [_row(run, comparison) for run, comparison in zip_longest(read, made)]
    return Table(
        title=f"{first.metrics.benchmark} ({first.metrics.metric}), {first.metrics.model}",
        columns=("policy", "score", "delta", "FLOPs saved", "E_ratio", "NFE", "n_token"),
        rows=tuple(rows),
        notes=(*_notes(first), *effect_notes(made)),
    )


def _row(run: Run, comparison: Comparison | None) -> tuple[str, ...]:
    metrics = run.metrics
    return (
        metrics.policy_label,
        number(metrics.score, 4),
        NOTHING if comparison is None else starred(comparison.performance_delta),
        NOTHING if comparison is None else starred(comparison.flops_saved),
        percent(metrics.e_ratio),
        number(metrics.nfe),
        number(metrics.n_token),
    )


def _notes(first: Run) -> Iterator[str]:
    yield (
        f"{first.metrics.samples} samples. delta: relative change of the score against the first row. FLOPs: analytic,"
        " the vocabulary head over every position, probes included. NFE and n_token (the canvas): means a sample."
    )
