"""Finished runs: one next to its baseline, two compared with each other, and those of a study."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlm_length.analysis.agreement import Agreement, machine_differences, token_agreement
from dlm_length.analysis.decodings import against_plain, early_stop_of
from dlm_length.analysis.effects import (
    SEED,
    USUAL,
    Effect,
    EffectName,
    Effects,
    Testing,
    compare_all,
    mean_scores,
    savings_vs_early_stop,
    scores_of,
)
from dlm_length.analysis.pace import pace_of
from dlm_length.analysis.parameters import is_number, labels_of
from dlm_length.analysis.repeats import as_rows, read_row, score_spread, seeds_label
from dlm_length.analysis.runs import Run, differences, read_run
from dlm_length.common import ConfigError, counted
from dlm_length.records import RunFolder, RunMetrics, SampleRecord, read_samples
from dlm_length.reports.notes import (
    collapse_notes,
    early_stop_note,
    effect_notes,
    interval_notes,
    isolation_notes,
    isolations,
    pace_notes,
    repeat_notes,
    termination_notes,
    uncharged_notes,
    unfilled_notes,
)
from dlm_length.reports.table import (
    MISSING,
    TOKEN_COUNTS,
    Quantity,
    ReportTable,
    count,
    duration,
    flops,
    number,
    p_text,
    percent,
    text_table,
)
from dlm_length.reports.tables.cells import interval, interval_of, p_cells, score_text, starred
from dlm_length.stats import (
    STARS_BY,
    Estimate,
    Paired,
    StatisticsError,
    TestResult,
    further_tests,
    is_tie,
    minimum_detectable_effect,
    observed_spread,
    paired_differences,
    run_test,
)

_ROWS: tuple[tuple[str, Callable[[RunMetrics], Quantity]], ...] = (
    ("samples (scored)", lambda m: Quantity(f"{m.samples} ({m.scored})", m.samples, scored=m.scored)),
    ("prompt tokens", lambda m: number(m.prompt_length)),
    ("n_token", lambda m: number(m.n_token)),
    ("e_token", lambda m: number(m.e_token)),
    ("E_ratio", lambda m: percent(m.e_ratio)),
    (
        "NFE (of them probes)",
        lambda m: Quantity(f"{number(m.nfe)} ({number(m.probe_nfe)})", m.nfe, probes=m.probe_nfe),
    ),
    ("FLOPs, total", lambda m: flops(m.flops_reference)),
    ("FLOPs executed", lambda m: flops(m.flops_executed)),
    ("wall-clock, total", lambda m: duration(m.wall_clock_seconds if m.runs_together == 1 else None)),
)
_INTERVAL = "  95% CI"
"""The interval of the metric in the row above."""


def run_table(
    run: Path | Sequence[Path], baseline: Path | Sequence[Path] = (), *, testing: Testing = USUAL
) -> ReportTable:
    """A column per run, which is given by its folder, or by the folders of its repeats.

    With a baseline, which must cover the same samples, also FLOPs saved and performance delta.
    """
    return _run_table(read_row(run), read_row(baseline) if baseline else None, testing)


def _run_table(run: Run, baseline: Run | None, testing: Testing) -> ReportTable:
    runs = [run] if baseline is None else [baseline, run]
    scores = mean_scores(runs, testing.resamples)
    rows: list[tuple[str, ...]] = [
        (run.metrics.metric, *(score_text(r.metrics.score, scores.get(r.path)) for r in runs))
    ]
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
        ("wall-clock per sample", *(duration(None if p is None else p.seconds_per_sample, 3) for p in paces)),
        ("tokens/s", *(number(None if p is None else p.tokens_per_second) for p in paces)),
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
    """The labels that a report has, and the seeds of each run that has several, also where these do not differ."""
    in_labels = len({run.seeds for run in runs}) > 1
    for run, label in zip(runs, labels_of(runs), strict=True):
        yield f"{label}, {seeds_label(run)}" if run.repeats and not in_labels else label


def _recorded(metrics: RunMetrics, name: str) -> Quantity:
    """The interval of a metric other than the main one, as the run recorded it."""
    found = metrics.intervals.get(name)
    return interval_of(None) if found is None else interval(found.low, found.high)


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
        yield f"{counted(len(errors), 'sample')} could not be run (samples.jsonl says why); the first: {errors[0]}."
    unscored = [sample for sample in run.samples.values() if sample.score is None and sample.error is None]
    if unscored:
        yield f"{counted(len(unscored), 'sample was', 'samples were')} not scored: {unscored[0].details.get('reason')}."
    yield from unfilled_notes(runs)
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


_SHOWN = 5
"""Number of samples that a note names."""


@dataclass(frozen=True)
class Changed:
    """A sample that two runs scored differently."""

    id: str
    target: str
    first: SampleRecord
    second: SampleRecord

    @property
    def by(self) -> float:
        """Score of the second run minus that of the first; no score counts as 0."""
        return (self.second.score or 0.0) - (self.first.score or 0.0)


@dataclass(frozen=True)
class RunDiff:
    """Two runs over the same samples."""

    table: ReportTable
    """The numbers of both, the first as the baseline."""
    differences: ReportTable
    """Every field of the configs that differs."""
    tests: ReportTable | None
    """The paired tests of the score; None where no sample is scored in both."""
    agreement: ReportTable
    """How many samples have equal answers and equal tokens, and which settings of the machines differ."""
    changed: tuple[Changed, ...]
    """Samples with different scores, the largest change first."""


def run_diff(first: Path, second: Path, *, testing: Testing = USUAL) -> RunDiff:
    """Compare two finished runs.

    Raises RecordError for one that is not finished, ConfigError for two benchmarks, StatisticsError for other samples.
    """
    one, other = read_run(first), read_run(second)
    if one.metrics.benchmark != other.metrics.benchmark:
        raise ConfigError(
            f"a comparison is paired: {first} is a run of {one.metrics.benchmark}, {second} of"
            f" {other.metrics.benchmark}."
        )
    scores = scores_of(other, one)
    tests = None if scores is None else _test_table(scores, testing.resamples)
    table = _run_table(other, one, testing)
    theirs, ours = ({r.id: r for r in read_samples(run.path, only=run.samples)} for run in (one, other))
    sessions = RunFolder(one.path).sessions, RunFolder(other.path).sessions
    answered = [name for name in ours if name in theirs and theirs[name].error is None is ours[name].error]
    canvases = [{name: each[name].canvas_ids for name in answered} for each in (theirs, ours)]
    same_answer = sum(theirs[name].resps == ours[name].resps for name in answered)
    agreement = agreement_table(token_agreement(*canvases), machine_differences(*sessions), same_answer)
    return RunDiff(table, _difference_table(one, other), tests, agreement, tuple(_changed(theirs, ours)))


def agreement_table(
    agreement: Agreement, machines: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]], same_answer: int
) -> ReportTable:
    """How many answers and tokens are equal, and which fields of environment.json differ between the machines.

    `same_answer`: the number of samples whose answers are the same text, which excludes special tokens.
    """
    of_all = f" of {agreement.samples:,}"
    rows: list[tuple[str, str, str]] = [
        ("samples with the same answer", count(same_answer, of_all), ""),
        ("samples with equal canvases", count(agreement.equal_samples, of_all), ""),
        ("equal tokens, of the longer canvas", number(agreement.equal_share, 4), ""),
    ]
    notes = [
        "An answer is the text, without special tokens. A canvas has the EOS tokens behind it as well: positions count"
        " from its first token, 0, and one that ends earlier differs from there on."
    ]
    if differing := agreement.first_differences:
        median = statistics.median_low(differing.values())
        rows.append(("first difference, median", Quantity(f"position {median}", median), ""))
        first = sorted(differing, key=lambda name: (differing[name], name))[:_SHOWN]
        notes.append(f"The earliest: {', '.join(f'{name} at {differing[name]}' for name in first)}.")
    rows += [
        (field, ", ".join(one) or MISSING, ", ".join(other) or MISSING) for field, (one, other) in machines.items()
    ]
    return text_table("agreement", "Are the tokens the same?", ("", "first", "second"), rows, notes)


def _difference_table(one: Run, other: Run) -> ReportTable:
    rows = tuple(
        (field, _shown(theirs), _shown(ours))
        for field, (theirs, ours) in differences(one.config, other.config).items()
        if field not in ("experiment", "output.directory")
    )
    notes = () if rows else ("The two configs are the same.",)
    return text_table("config-differences", "What differs", ("field", "first", "second"), rows, notes)


def _shown(value: Any) -> str:
    if value is None:
        return MISSING
    return Quantity(str(value), value) if is_number(value) else str(value)


def _test_table(scores: Paired, resamples: int) -> ReportTable:
    ours, theirs = scores["run"], scores["baseline"]
    tests: list[TestResult] = [
        run_test(name, ours, theirs, rng=SEED, resamples=resamples) for name in (STARS_BY, *further_tests(ours, theirs))
    ]
    rows = tuple(
        (test.name, number(test.statistic, 4), Quantity(p_text(test.p, resamples=test.resamples), test.p))
        for test in tests
    )
    moved = paired_differences(ours, theirs, "score")
    notes = [f"Second minus first: {moved.mean:+.4f} over {counted(scores.n, 'sample')} scored in both."]
    notes += [f"{test.description}." for test in tests]
    notes.append("Several tests of one hypothesis: decide beforehand which of them counts; their p are not adjusted.")
    # Without spread, nothing is known of what n could detect.
    if float(np.ptp(moved.values)) > moved.largest_error:
        try:
            least = minimum_detectable_effect(scores.n, observed_spread(ours, theirs)).effect
        except StatisticsError as nothing_detectable:  # so few samples flip that no difference of theirs would show
            notes.append(f"At alpha 0.05: {nothing_detectable}")
        else:
            notes.append(f"At alpha 0.05 and power 0.8, this n detects a difference of {least:.4f} or more.")
    return text_table("tests", "Is the difference in scores real?", ("test", "statistic", "p"), rows, notes)


def _same(first: float | None, second: float | None) -> bool:
    return first == second if first is None or second is None else is_tie(first, second)


def _changed(first: Mapping[str, SampleRecord], second: Mapping[str, SampleRecord]) -> list[Changed]:
    pairs = [Changed(name, first[name].target, first[name], second[name]) for name in first if name in second]
    changed = [pair for pair in pairs if not _same(pair.first.score, pair.second.score)]
    return sorted(changed, key=lambda pair: (-abs(pair.by), pair.id))


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
            *_study_notes(first, against is not None),
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


def _study_notes(first: Run, has_baseline: bool) -> Iterator[str]:
    yield f"{first.n_label}. {TOKEN_COUNTS} NFE and n_token: means per sample."
    if not has_baseline:
        yield "No baseline, and so neither FLOPs saved nor delta."
        return
    yield (
        "delta: relative change of the score against the first row, the baseline. FLOPs: analytic, the vocabulary head"
        " over every position, probes included."
    )
