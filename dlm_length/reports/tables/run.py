"""What `dlmlen run` ends with: one run in numbers, next to its baseline."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dlm_length.analysis.effects import USUAL, Testing, compare_all, mean_scores
from dlm_length.analysis.pace import pace_of
from dlm_length.analysis.parameters import labels_of
from dlm_length.analysis.repeats import read_row, score_spread, seeds_label
from dlm_length.analysis.runs import Run, differences
from dlm_length.records import RunMetrics
from dlm_length.reports.effects import effect_notes, interval, interval_notes, interval_of, starred
from dlm_length.reports.notes import isolation_notes, isolations, pace_notes, repeat_notes, termination_notes
from dlm_length.reports.table import MISSING, TOKEN_COUNTS, ReportTable, duration, flops, number, percent, text_table

_ROWS: tuple[tuple[str, Callable[[RunMetrics], str]], ...] = (
    ("samples (scored)", lambda m: f"{m.samples} ({m.scored})"),
    ("prompt tokens", lambda m: number(m.prompt_length)),
    ("n_token", lambda m: number(m.n_token)),
    ("e_token", lambda m: number(m.e_token)),
    ("E_ratio", lambda m: percent(m.e_ratio)),
    ("NFE (of them probes)", lambda m: f"{number(m.nfe)} ({number(m.probe_nfe)})"),
    ("FLOPs, total", lambda m: flops(m.flops_reference)),
    ("FLOPs executed", lambda m: flops(m.flops_executed)),
    ("wall-clock, total", lambda m: duration(m.wall_clock_seconds) if m.runs_together == 1 else MISSING),
)


_INTERVAL = "  95% CI"
"""Of the metric in the row above."""


def run_table(
    run: Path | Sequence[Path], baseline: Path | Sequence[Path] = (), *, testing: Testing = USUAL
) -> ReportTable:
    """One column a run, given by its folder, or a run's repeats by theirs.

    With a baseline, which must cover the same samples, also FLOPs saved and performance delta.
    """
    return table_of(read_row(run), read_row(baseline) if baseline else None, testing=testing)


def table_of(run: Run, baseline: Run | None, *, testing: Testing = USUAL) -> ReportTable:
    """The table of runs that are read already."""
    runs = [run] if baseline is None else [baseline, run]
    scores = mean_scores(runs, testing.resamples)
    rows = [(run.metrics.metric, *(number(r.metrics.score, 4) for r in runs))]
    rows.append((_INTERVAL, *(interval_of(scores.get(r.path)) for r in runs)))
    others = [name for name in run.metrics.metrics if name != run.metrics.metric]
    if any(r.repeats for r in runs):
        rows.append(("  sd over seeds", *(number(score_spread(r), 4) for r in runs)))
    for name in others:
        rows.append((name, *(number(r.metrics.metrics.get(name), 4) for r in runs)))
        if any(name in r.metrics.intervals for r in runs):
            rows.append((_INTERVAL, *(_recorded(r.metrics, name) for r in runs)))
    rows += [(name, *(cell(r.metrics) for r in runs)) for name, cell in _ROWS]
    paces = [pace_of(r) for r in runs]
    rows += [
        ("wall-clock per sample", *(MISSING if p is None else duration(p.seconds_per_sample, 3) for p in paces)),
        ("tokens/s", *(MISSING if p is None else number(p.tokens_per_second) for p in paces)),
    ]
    recorded = [each for r in runs for name, each in r.metrics.intervals.items() if name in others]
    notes = [*interval_notes([*scores.values(), *recorded]), *_notes(runs)]
    if baseline is not None:
        effects = compare_all([run], baseline, testing=testing)
        rows += [
            ("FLOPs saved", MISSING, starred(effects.get((run.path, "flops_saved")))),
            ("performance delta", MISSING, starred(effects.get((run.path, "performance_delta")))),
        ]
        notes += effect_notes(effects.values())
    return text_table(
        "run",
        title=f"{run.metrics.benchmark}, {run.metrics.model}",
        columns=("", *_labels(runs)),
        rows=rows,
        notes=notes,
        sources=[r.path for r in reversed(runs)],
    )


def _labels(runs: Sequence[Run]) -> Iterator[str]:
    """As in a report, with the seeds also where both runs have the same several."""
    in_labels = len({run.seeds for run in runs}) > 1
    for run, label in zip(runs, labels_of(runs), strict=True):
        yield f"{label}, {seeds_label(run)}" if run.repeats and not in_labels else label


def _recorded(metrics: RunMetrics, name: str) -> str:
    """The interval of a metric other than the main one, as the run recorded it."""
    found = metrics.intervals.get(name)
    return MISSING if found is None else interval(found.low, found.high)


def _notes(runs: list[Run]) -> Iterator[str]:
    run = runs[-1]
    yield (
        "Token counts and NFE are means per sample. FLOPs: analytic, as the reference implementations spend them, with"
        " the vocabulary head over every position; executed: with the head only where it was needed."
        f" {TOKEN_COUNTS} tokens/s: e_token by wall-clock, model loading excluded."
    )
    yield from pace_notes(runs)
    yield from repeat_notes(runs)
    yield from termination_notes(runs)
    if prompts := list(dict.fromkeys(r.metrics.prompt for r in reversed(runs) if r.metrics.prompt)):
        yield f"Prompts: {'; the baseline: '.join(prompts)}."
    errors = [sample.error for sample in run.samples.values() if sample.error is not None]
    if errors:
        yield f"{len(errors)} samples could not be run (samples.jsonl says why); the first: {errors[0]}."
    unscored = [sample for sample in run.samples.values() if sample.score is None and sample.error is None]
    if unscored:
        yield f"{len(unscored)} samples were not scored: {unscored[0].details.get('reason')}."
    yield from isolation_notes(isolations(sample.details for r in runs for sample in r.samples.values()))
    if len(runs) > 1:
        differing = [
            f"{field}: {theirs} | {ours}"
            for field, (theirs, ours) in differences(runs[0].config, run.config).items()
            if field.partition(".")[0] not in ("policy", "output", "experiment")
            and not (field == "hardware.seed" and any(r.repeats for r in runs))
            and not field.startswith("benchmark.prompt_file")  # whole texts; "Prompts" above says which they are
        ]
        if differing:
            yield f"Apart from the policy, the baseline differs in: {'; '.join(differing)}."
