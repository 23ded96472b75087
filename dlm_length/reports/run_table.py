"""What `dlmlen run` ends with: one run in numbers, beside its baseline."""

from collections.abc import Callable, Iterator
from pathlib import Path

from dlm_length.records import RunMetrics
from dlm_length.reports.comparison import Run, compare, differences, read_run
from dlm_length.reports.effects import effect_notes, starred
from dlm_length.reports.isolation import isolation_notes, isolations
from dlm_length.reports.tables import NOTHING, TOKEN_COUNTS, Table, duration, flops, number, percent

_ROWS: tuple[tuple[str, Callable[[RunMetrics], str]], ...] = (
    ("samples (scored)", lambda m: f"{m.samples} ({m.scored})"),
    ("prompt tokens", lambda m: number(m.prompt_length)),
    ("n_token", lambda m: number(m.n_token)),
    ("e_token", lambda m: number(m.e_token)),
    ("E_ratio", lambda m: percent(m.e_ratio)),
    ("NFE (of them probes)", lambda m: f"{number(m.nfe)} ({number(m.probe_nfe)})"),
    ("FLOPs, total", lambda m: flops(m.flops_reference)),
    ("FLOPs executed", lambda m: flops(m.flops_executed)),
    ("wall-clock, total", lambda m: duration(m.wall_clock_seconds)),
    ("tokens/s", lambda m: number(m.tokens_per_second)),
)


def run_table(path: Path, baseline: Path | None = None) -> Table:
    """One column a run. With a baseline, which must cover the same samples, also FLOPs saved and performance delta."""
    return table_of(read_run(path), None if baseline is None else read_run(baseline))


def table_of(run: Run, baseline: Run | None) -> Table:
    """The table of runs that are read already."""
    runs = [run] if baseline is None else [baseline, run]
    rows = [(run.metrics.metric, *(number(r.metrics.score, 4) for r in runs))]
    others = [name for name in run.metrics.metrics if name != run.metrics.metric]
    rows += [(name, *(number(r.metrics.metrics.get(name), 4) for r in runs)) for name in others]
    rows += [(name, *(cell(r.metrics) for r in runs)) for name, cell in _ROWS]
    notes = list(_notes(runs))
    if baseline is not None:
        against = compare(run, baseline)
        rows += [
            ("FLOPs saved", NOTHING, starred(against.flops_saved)),
            ("performance delta", NOTHING, starred(against.performance_delta)),
        ]
        notes += effect_notes([against])
    return Table(
        title=f"{run.metrics.benchmark}, {run.metrics.model}",
        columns=("", *(r.metrics.policy_label for r in runs)),
        rows=tuple(rows),
        notes=tuple(notes),
    )


def _notes(runs: list[Run]) -> Iterator[str]:
    run = runs[-1]
    yield (
        "Token counts and NFE are means per sample. FLOPs: analytic, as the released programs spend them, with the"
        " vocabulary head over every position; executed: with the head only where it was needed."
        f" {TOKEN_COUNTS} tokens/s: e_token by wall-clock, model loading excluded."
    )
    if (together := max(r.metrics.runs_together for r in runs)) > 1:
        yield f"Up to {together} runs were made together, on one clock: wall-clock and tokens/s are of all of them."
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
        ]
        if differing:
            yield f"Beside the policy, the baseline differs in: {'; '.join(differing)}."
