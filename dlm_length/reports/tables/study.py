"""A study's runs over one benchmark, with their baseline."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from dlm_length.analysis.decodings import against_plain, early_stop_of
from dlm_length.analysis.effects import USUAL, Effect, Effects, Testing, compare_all, mean_scores, savings_vs_early_stop
from dlm_length.analysis.parameters import labels_of
from dlm_length.analysis.repeats import as_rows, read_row, score_spread
from dlm_length.analysis.runs import Run, read_run
from dlm_length.records import RunMetrics
from dlm_length.reports.notes import (
    collapse_notes,
    early_stop_note,
    effect_notes,
    interval_notes,
    repeat_notes,
    uncharged_notes,
    unfilled_notes,
)
from dlm_length.reports.table import MISSING, TOKEN_COUNTS, ReportTable, number, percent, text_table
from dlm_length.reports.tables.cells import interval_of, p_cells, starred
from dlm_length.stats import Estimate

_COLUMNS = (
    *("policy", "score", "95% CI", "FLOPs saved", "p (Holm)"),
    *("delta", "p (Holm)", "E_ratio", "NFE", "n_token"),
)
_BEYOND = ("FLOPs saved vs early stop", "p (Holm)")
_BEFORE_BEYOND = 5
"""Columns before those."""


def study_table(
    runs: Sequence[Path],
    baseline: Path | Sequence[Path] = (),
    *,
    testing: Testing = USUAL,
    metrics: Mapping[Path, RunMetrics] | None = None,
    apart: str = "",
) -> ReportTable:
    """One row a run, the baseline first: quality, cost, and both against the baseline; a run's repeats are one row.

    `metrics`: of runs whose folders may hold other samples by now. `apart`: what tells this table from
    others of its study, for its title.

    Raises RecordError for a run that is not finished, StatisticsError where runs cover other samples than the baseline.
    """
    known = metrics or {}
    against = read_row(baseline, known) if baseline else None
    read = as_rows(read_run(path, known.get(path)) for path in runs)
    first = against or read[0]
    effects = {} if against is None else compare_all(read, against, testing=testing)
    shown = read if against is None else [against, *read]
    scores = mean_scores(shown, testing.resamples)
    labels = {run.path: label for run, label in zip(shown, labels_of(shown), strict=True)}
    early = early_stop_of(read, against)
    beyond = (
        {}
        if early is None
        else savings_vs_early_stop([run for run in read if run is not early], early, testing=testing)
    )
    rows = [_row(labels[run.path], run, scores.get(run.path), effects) for run in shown]
    columns: tuple[str, ...] = _COLUMNS
    if early is not None and beyond:
        savings = [beyond.get((run.path, "flops_saved_vs_early_stop")) for run in shown]
        held = [(starred(effect), _p(effect)) for effect in savings]
        rows = [_with(row, cells) for row, cells in zip(rows, held, strict=True)]
        columns = _with(columns, _BEYOND)
    return text_table(
        "study",
        title=f"{first.metrics.benchmark} ({first.metrics.metric}), {first.metrics.model}{apart and ', '}{apart}",
        columns=columns,
        rows=rows,
        notes=(
            *_notes(first, against is not None),
            *([early_stop_note(labels[early.path], len(beyond))] if early is not None and beyond else ()),
            *collapse_notes(against_plain(shown, testing).values(), labels),
            *interval_notes(scores.values()),
            *effect_notes(effects.values()),
            *uncharged_notes(read),
            *unfilled_notes(shown),
            *repeat_notes(shown),
        ),
        sources=[run.path for run in shown],
        details=("95% CI", "p (Holm)"),
    )


def _row(label: str, run: Run, score: Estimate | None, effects: Effects) -> tuple[str, ...]:
    metrics = run.metrics
    saved, delta = effects.get((run.path, "flops_saved")), effects.get((run.path, "performance_delta"))
    return (
        label,
        _score(run, score),
        interval_of(score),
        starred(saved),
        _p(saved),
        starred(delta),
        _p(delta),
        percent(metrics.e_ratio),
        number(metrics.nfe),
        number(metrics.n_token),
    )


def _with(row: tuple[str, ...], beyond: tuple[str, ...]) -> tuple[str, ...]:
    """A row with the saving against the early stop next to that against the baseline."""
    return (*row[:_BEFORE_BEYOND], *beyond, *row[_BEFORE_BEYOND:])


def _score(run: Run, score: Estimate | None) -> str:
    """The mean, and behind it the standard deviation over the seeds."""
    mean = number(None if score is None else score.value, 4)
    return f"{mean} (sd {number(score_spread(run), 4)})" if run.repeats else mean


def _p(effect: Effect | None) -> str:
    """The p of its test, and Holm's."""
    if effect is None:
        return MISSING
    own, adjusted = p_cells(effect)
    return f"{own.text} ({adjusted.text})"


def _notes(first: Run, has_baseline: bool) -> Iterator[str]:
    yield f"{first.n_label}. {TOKEN_COUNTS} NFE and n_token: means per sample."
    if not has_baseline:
        yield "No baseline, and so neither FLOPs saved nor delta."
        return
    yield (
        "delta: relative change of the score against the first row, the baseline. FLOPs: analytic, the vocabulary head"
        " over every position, probes included."
    )
