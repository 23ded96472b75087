"""The runs of a study over one benchmark, with their baseline."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from dlm_length.analysis.decodings import against_plain, early_stop_of
from dlm_length.analysis.effects import (
    USUAL,
    Effect,
    EffectName,
    Effects,
    Testing,
    compare_all,
    mean_scores,
    savings_vs_early_stop,
)
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
from dlm_length.reports.table import MISSING, TOKEN_COUNTS, Quantity, ReportTable, number, percent, text_table
from dlm_length.reports.tables.cells import interval_of, p_cells, score_text, starred
from dlm_length.stats import Estimate

_Column = tuple[str, Callable[[Run], str]]
"""The title of a column, and the function that gives a run's cell."""


def study_table(
    runs: Sequence[Path],
    baseline: Path | Sequence[Path] = (),
    *,
    testing: Testing = USUAL,
    metrics: Mapping[Path, RunMetrics] | None = None,
    apart: str = "",
) -> ReportTable:
    """A row per run, the baseline first: quality, cost, and both against the baseline; a run's repeats are one row.

    `metrics`: those to use for runs whose folders may hold other samples by now. `apart`: what distinguishes this table
    from others of its study, for its title.

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
    others = [run for run in read if run is not early]
    beyond = {} if early is None else savings_vs_early_stop(others, early, testing=testing)
    columns: tuple[_Column, ...] = (
        ("policy", lambda run: labels[run.path]),
        ("score", lambda run: _score(run, scores.get(run.path))),
        ("95% CI", lambda run: interval_of(scores.get(run.path))),
        *_effect_columns("FLOPs saved", effects, "flops_saved"),
        *(_effect_columns("FLOPs saved vs early stop", beyond, "flops_saved_vs_early_stop") if beyond else ()),
        *_effect_columns("delta", effects, "performance_delta"),
        ("E_ratio", lambda run: percent(run.metrics.e_ratio)),
        ("NFE", lambda run: number(run.metrics.nfe)),
        ("n_token", lambda run: number(run.metrics.n_token)),
    )
    return text_table(
        "study",
        title=f"{first.metrics.benchmark} ({first.metrics.metric}), {first.metrics.model}{apart and ', '}{apart}",
        columns=[title for title, _ in columns],
        rows=[tuple(of(run) for _, of in columns) for run in shown],
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


def _effect_columns(title: str, effects: Effects, name: EffectName) -> tuple[_Column, _Column]:
    """An effect with its stars, and the p of its test followed by Holm's."""
    return (
        (title, lambda run: starred(effects.get((run.path, name)))),
        ("p (Holm)", lambda run: _p(effects.get((run.path, name)))),
    )


def _score(run: Run, score: Estimate | None) -> Quantity:
    """The mean, followed by the standard deviation over the seeds where there are several."""
    mean = score_text(None if score is None else score.value, score)
    if not run.repeats:
        return mean
    spread = score_spread(run)
    return Quantity(f"{mean} (sd {number(spread, 4)})", mean.value, **mean.parts, sd=spread)


def _p(effect: Effect | None) -> Quantity:
    if effect is None:
        return Quantity(MISSING, None)
    own, adjusted = p_cells(effect)
    return Quantity(f"{own.text} ({adjusted.text})", own.value, holm=adjusted.value)


def _notes(first: Run, has_baseline: bool) -> Iterator[str]:
    yield f"{first.n_label}. {TOKEN_COUNTS} NFE and n_token: means per sample."
    if not has_baseline:
        yield "No baseline, and so neither FLOPs saved nor delta."
        return
    yield (
        "delta: relative change of the score against the first row, the baseline. FLOPs: analytic, the vocabulary head"
        " over every position, probes included."
    )
