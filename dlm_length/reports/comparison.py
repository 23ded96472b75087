"""A run beside its baseline: effects with intervals and tests (METHODS.md section 7), from records alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from dlm_length.records import RunMetrics, SampleRecord, read_metrics, read_samples
from dlm_length.records.run_folder import CONFIG
from dlm_length.stats import (
    RESAMPLES,
    STARS_BY,
    Estimate,
    Paired,
    Statistic,
    TestName,
    TestResult,
    bootstrap,
    holm,
    pair,
    run_test,
)

SEED = 0
"""Of the resamples, so that a table made twice has the same stars."""


@dataclass(frozen=True)
class Run:
    """A finished run as read from disk."""

    path: Path
    metrics: RunMetrics
    samples: dict[str, SampleRecord]
    config: Mapping[str, Any]

    @property
    def several_answers(self) -> bool:
        """Whether problems have several samples, whose ids are `PROBLEM#0`, `PROBLEM#1`, ..."""
        return int(self.config["benchmark"].get("samples_per_problem", 1)) > 1


def read_run(path: Path) -> Run:
    """Read a finished run. Raises RecordError for one that is not."""
    metrics = read_metrics(path)
    config = YAML(typ="safe", pure=True).load((path / CONFIG).read_text(encoding="utf-8"))
    return Run(path, metrics, {sample.id: sample for sample in read_samples(path)}, config)


@dataclass(frozen=True)
class Effect:
    """One effect of a run against its baseline."""

    estimate: Estimate
    """By the paired bootstrap, with its percentile interval."""
    test: TestResult
    """The one that sets the stars."""


@dataclass(frozen=True)
class Comparison:
    """A run beside its baseline, over the samples that ran, or were scored, in both."""

    flops_saved: Effect | None
    """None where no sample ran in both."""
    performance_delta: Effect | None
    """None where none was scored in both."""


def compare(run: Run, baseline: Run, *, stars_by: TestName = STARS_BY, resamples: int = RESAMPLES) -> Comparison:
    """FLOPs saved and performance delta. `stars_by`: the test behind the delta's stars; FLOPs have the bootstrap's.

    Raises StatisticsError where the runs do not cover the same samples.
    """
    # A sample that could not be run cost nothing, which is no saving.
    flops = _paired(run, baseline, "FLOPs", lambda s: None if s.error else float(s.ledger.total.flops_reference))
    saved = None if flops is None else _effect(Statistic.flops_saved(flops["run"], flops["baseline"]), resamples)
    scores = scores_of(run, baseline)
    if scores is None:
        return Comparison(saved, None)
    delta = _effect(Statistic.performance_delta(scores["run"], scores["baseline"]), resamples)
    if stars_by != STARS_BY:
        test = run_test(stars_by, scores["run"], scores["baseline"], rng=SEED, resamples=resamples)
        delta = Effect(delta.estimate, test)
    return Comparison(saved, delta)


def scores_of(run: Run, baseline: Run) -> Paired | None:
    """The scores of both (`paired["run"]`, `paired["baseline"]`); None where no sample is scored in both."""
    return _paired(run, baseline, "score", lambda sample: sample.score)


def adjusted_p(p_values: Sequence[float]) -> list[float]:
    """Holm's p of each, all being one family: those of one table."""
    return [float(p) for p in holm(np.array(p_values))]


def _effect(statistic: Statistic, resamples: int) -> Effect:
    estimate = bootstrap({"": statistic}, rng=SEED, resamples=resamples)[""]
    assert estimate.test is not None, "an effect has a test"
    return Effect(estimate, estimate.test)


def _paired(run: Run, baseline: Run, what: str, of: Callable[[SampleRecord], float | None]) -> Paired | None:
    """The values that both have; None where there is no sample that has one in both."""
    same = run.samples.keys() == baseline.samples.keys()  # otherwise `pair` says which are missing
    if same and all(of(ours) is None or of(baseline.samples[name]) is None for name, ours in run.samples.items()):
        return None
    both = {"run": run, "baseline": baseline}
    columns = {name: [of(sample) for sample in each.samples.values()] for name, each in both.items()}
    return pair(
        {name: (list(each.samples), np.array(columns[name], dtype=np.float64)) for name, each in both.items()},
        what=what,
        incomplete="leave_out",
        unit_of=(lambda name: name.rpartition("#")[0]) if run.several_answers else None,
    )


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every dotted field that two configs differ in, with both values, sorted; None where one has no such field."""
    left, right = dict(_flat(theirs)), dict(_flat(ours))
    fields = sorted(left.keys() | right.keys())
    return {field: (left.get(field), right.get(field)) for field in fields if left.get(field) != right.get(field)}


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
