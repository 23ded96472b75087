"""Two runs side by side: where their configs differ, whether their scores do, which samples changed."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dlm_length.analysis.agreement import Agreement, machine_differences, token_agreement
from dlm_length.analysis.effects import SEED, USUAL, Testing, scores_of
from dlm_length.analysis.runs import Run, differences, read_run
from dlm_length.common import ConfigError
from dlm_length.records import RunFolder, SampleRecord, read_samples
from dlm_length.reports.table import MISSING, ReportTable, number, p_text, text_table
from dlm_length.reports.tables.run import table_of
from dlm_length.stats import (
    STARS_BY,
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

_SHOWN = 5
"""Samples that a note names."""


@dataclass(frozen=True)
class Changed:
    """A sample that two runs scored differently."""

    id: str
    target: str
    first: SampleRecord
    second: SampleRecord

    @property
    def by(self) -> float:
        """Score of the second less that of the first."""
        return (self.second.score or 0.0) - (self.first.score or 0.0)


@dataclass(frozen=True)
class RunDiff:
    """Two runs over the same samples."""

    table: ReportTable
    """Both in numbers, the first as the baseline."""
    differences: ReportTable
    """Every field of the configs that differs."""
    tests: ReportTable | None
    """The paired tests of the score; None where no sample is scored in both."""
    agreement: ReportTable
    """How many samples have equal tokens, and what differs between the machines."""
    changed: tuple[Changed, ...]
    """Samples with another score, the largest change first."""


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
    table = table_of(other, one, testing=testing)
    theirs, ours = ({r.id: r for r in read_samples(run.path, only=run.samples)} for run in (one, other))
    sessions = RunFolder(one.path).sessions, RunFolder(other.path).sessions
    canvases = [{name: record.canvas_ids for name, record in each.items()} for each in (theirs, ours)]
    agreement = agreement_table(token_agreement(*canvases), machine_differences(*sessions))
    return RunDiff(table, _difference_table(one, other), tests, agreement, tuple(_changed(theirs, ours)))


def agreement_table(
    agreement: Agreement, machines: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
) -> ReportTable:
    """How many tokens are equal, and what differs between the machines, by field of environment.json."""
    rows = [
        ("samples with equal tokens", f"{agreement.equal_samples:,} of {agreement.samples:,}", ""),
        ("equal tokens, of the longer canvas", number(agreement.equal_share, 4), ""),
    ]
    notes = ["Positions count from the canvas's first token, 0. A canvas that ends earlier differs from there on."]
    if differing := agreement.first_differences:
        rows.append(("first difference, median", f"position {statistics.median_low(differing.values())}", ""))
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
    return MISSING if value is None else str(value)


def _test_table(scores: Paired, resamples: int) -> ReportTable:
    ours, theirs = scores["run"], scores["baseline"]
    tests: list[TestResult] = [
        run_test(name, ours, theirs, rng=SEED, resamples=resamples) for name in (STARS_BY, *further_tests(ours, theirs))
    ]
    rows = tuple((test.name, number(test.statistic, 4), p_text(test.p, resamples=test.resamples)) for test in tests)
    moved = paired_differences(ours, theirs, "score")
    notes = [f"Second less first: {moved.mean:+.4f} over {scores.n:,} samples scored in both."]
    notes += [f"{test.description}." for test in tests]
    notes.append("Several answers to one question: decide beforehand which of them counts; nothing is adjusted.")
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
