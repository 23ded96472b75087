"""What `dlmlen run` ends with: one run in numbers, beside its baseline."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from dlm_length.records import RunMetrics, SampleRecord, read_metrics, read_samples
from dlm_length.records.run_folder import CONFIG
from dlm_length.reports.tables import NOTHING, Table, duration, flops, number, percent
from dlm_length.stats import flops_saved, performance_delta


@dataclass(frozen=True)
class Run:
    """A finished run as read from disk."""

    path: Path
    metrics: RunMetrics
    samples: dict[str, SampleRecord]
    config: Mapping[str, Any]


def read_run(path: Path) -> Run:
    """Read a finished run. Raises RecordError for one that is not."""
    config = YAML(typ="safe", pure=True).load((path / CONFIG).read_text(encoding="utf-8"))
    return Run(path, read_metrics(path), {sample.id: sample for sample in read_samples(path)}, config)


_ROWS: tuple[tuple[str, Callable[[RunMetrics], str]], ...] = (
    ("samples (scored)", lambda m: f"{m.samples} ({m.scored})"),
    ("prompt tokens", lambda m: number(m.prompt_length)),
    ("n_token", lambda m: number(m.n_token)),
    ("e_token", lambda m: number(m.e_token)),
    ("e_ratio", lambda m: percent(m.e_ratio)),
    ("NFE (of them probes)", lambda m: f"{number(m.nfe)} ({number(m.probe_nfe)})"),
    ("FLOPs, total", lambda m: flops(m.flops_reference)),
    ("FLOPs executed", lambda m: flops(m.flops_executed)),
    ("wall-clock, total", lambda m: duration(m.wall_clock_seconds)),
    ("tokens/s", lambda m: number(m.tokens_per_second)),
)


def run_table(path: Path, baseline: Path | None = None) -> Table:
    """One column a run. With a baseline, which must cover the same samples, also FLOPs saved and performance delta."""
    run = read_run(path)
    runs = [run] if baseline is None else [read_run(baseline), run]
    rows = [(run.metrics.metric, *(number(r.metrics.score, 4) for r in runs))]
    others = [name for name in run.metrics.metrics if name != run.metrics.metric]
    rows += [(name, *(number(r.metrics.metrics.get(name), 4) for r in runs)) for name in others]
    rows += [(name, *(cell(r.metrics) for r in runs)) for name, cell in _ROWS]
    notes = list(_notes(runs))
    if baseline is not None:
        against = _against(run, runs[0])
        rows += [
            ("FLOPs saved", NOTHING, percent(against.flops_saved)),
            ("performance delta", NOTHING, percent(against.performance_delta)),
        ]
        if against.performance_delta != against.performance_delta and against.scored:
            notes.append("performance delta is undefined: the baseline's mean is 0.")
        notes.append(
            f"FLOPs saved: over the {against.ran} samples that ran in both; performance delta: over the"
            f" {against.scored} scored in both."
        )
    return Table(
        title=f"{run.metrics.benchmark}, {run.metrics.model}",
        columns=("", *(r.metrics.policy_label for r in runs)),
        rows=tuple(rows),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Against:
    """A run beside its baseline, and over how many samples."""

    flops_saved: float
    performance_delta: float
    ran: int
    scored: int


def _against(run: Run, baseline: Run) -> _Against:
    pairs = [(sample, baseline.samples[name]) for name, sample in run.samples.items()]
    # A sample that could not be run cost nothing, which is no saving.
    ran = [(ours, theirs) for ours, theirs in pairs if ours.error is None and theirs.error is None]
    saved = flops_saved(
        [ours.ledger.total.flops_reference for ours, _ in ran],
        [theirs.ledger.total.flops_reference for _, theirs in ran],
    )
    scores = [(ours.score, theirs.score) for ours, theirs in pairs]
    scored = [(ours, theirs) for ours, theirs in scores if ours is not None and theirs is not None]
    delta = performance_delta([ours for ours, _ in scored], [theirs for _, theirs in scored])
    return _Against(saved, delta, len(ran), len(scored))


def _notes(runs: list[Run]) -> Iterator[str]:
    run = runs[-1]
    yield (
        "Token counts and NFE are means per sample. FLOPs: analytic, as the released programs spend them, with the"
        " vocabulary head over every position; executed: with the head only where it was needed. e_ratio: sum e_token"
        " by sum n_token. tokens/s: tokens of answers (neither EOS nor EOT) by wall-clock, model loading excluded."
    )
    errors = [sample.error for sample in run.samples.values() if sample.error is not None]
    if errors:
        yield f"{len(errors)} samples could not be run (samples.jsonl says why); the first: {errors[0]}."
    unscored = run.metrics.samples - run.metrics.scored - run.metrics.failed
    if unscored:
        reason = next(s.details.get("reason") for s in run.samples.values() if s.score is None and s.error is None)
        yield f"{unscored} samples were not scored: {reason}."
    weak = sorted({isolation for r in runs for isolation in _isolations(r) if not isolation.startswith("bubblewrap")})
    if weak:
        yield f"Generated code ran outside bubblewrap, under {' or '.join(weak)}."
    if len(runs) > 1:
        differing = sorted(_differences(runs[0].config, run.config))
        if differing:
            yield f"Beside the policy, the baseline differs in: {'; '.join(differing)}."


def _isolations(run: Run) -> Iterator[str]:
    """What held the samples' programs in, where they were run at all."""
    for sample in run.samples.values():
        if isinstance(isolation := sample.details.get("isolation"), str):
            yield isolation


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Every field outside policy, output and experiment that differs, as `field: baseline | run`."""
    left, right = dict(_flat(theirs)), dict(_flat(ours))
    for field in left.keys() | right.keys():
        if left.get(field) != right.get(field) and field.partition(".")[0] not in ("policy", "output", "experiment"):
            yield f"{field}: {left.get(field)} | {right.get(field)}"


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
