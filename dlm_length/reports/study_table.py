"""A study's runs over one benchmark, beside their baseline."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from dlm_length.reports.collection import labels_of
from dlm_length.reports.comparison import Comparison, Effect, Run, adjusted_p, compare_all, mean_score, read_run
from dlm_length.reports.controls import uncharged_notes
from dlm_length.reports.effects import effect_notes, family_note, starred
from dlm_length.reports.repeats import as_rows, read_row, repeat_notes, score_spread
from dlm_length.reports.sheet import p_value
from dlm_length.reports.tables import NOTHING, TOKEN_COUNTS, Table, number, percent
from dlm_length.stats import STARS_BY, TestName


def study_table(runs: Sequence[Path], baseline: Path | Sequence[Path] = (), *, stars_by: TestName = STARS_BY) -> Table:
    """One row a run, the baseline first: quality, cost, and both against the baseline; a run's repeats are one row.

    Raises RecordError for a run that is not finished, StatisticsError where runs cover other samples than the baseline.
    """
    against = read_row(baseline) if baseline else None
    read = as_rows(read_run(path) for path in runs)
    first = against or read[0]
    made = [] if against is None else compare_all(read, against, stars_by=stars_by)
    effects = [effect for each in made for effect in (each.flops_saved, each.performance_delta) if effect is not None]
    p_values = [effect.test.p for effect in effects]
    holm = iter(adjusted_p(p_values))
    shown, compared = (read, []) if against is None else ([against, *read], [None, *made])
    rows = [_row(*each, holm) for each in zip_longest(labels_of(shown), shown, compared)]
    return Table(
        title=f"{first.metrics.benchmark} ({first.metrics.metric}), {first.metrics.model}",
        columns=("policy", "score", "FLOPs saved", "p (Holm)", "delta", "p (Holm)", "E_ratio", "NFE", "n_token"),
        rows=tuple(rows),
        notes=(*_notes(first, p_values), *effect_notes(made), *uncharged_notes(read), *repeat_notes(shown)),
    )


def _row(label: str, run: Run, comparison: Comparison | None, holm: Iterator[float]) -> tuple[str, ...]:
    metrics = run.metrics
    saved, delta = (None, None) if comparison is None else (comparison.flops_saved, comparison.performance_delta)
    return (
        label,
        _score(run),
        starred(saved),
        _p(saved, holm),
        starred(delta),
        _p(delta, holm),
        percent(metrics.e_ratio),
        number(metrics.nfe),
        number(metrics.n_token),
    )


def _score(run: Run) -> str:
    """The mean, and behind it the standard deviation over the seeds."""
    mean = number(mean_score(run), 4)
    return f"{mean} (sd {number(score_spread(run), 4)})" if run.repeats else mean


def _p(effect: Effect | None, holm: Iterator[float]) -> str:
    """The p of its test, and the one that `holm` has for it."""
    return NOTHING if effect is None else f"{p_value(effect.test.p).text} ({p_value(next(holm)).text})"


def _notes(first: Run, p_values: Sequence[float]) -> Iterator[str]:
    yield f"{first.told_n}. {TOKEN_COUNTS} NFE and n_token: means a sample."
    if not p_values:
        yield "No baseline, and so neither FLOPs saved nor delta."
        return
    yield (
        "delta: relative change of the score against the first row, the baseline. FLOPs: analytic, the vocabulary head"
        f" over every position, probes included. {family_note(p_values, 'FLOPs saved and delta of every run')}"
    )
