"""A run beside its baseline: effects with intervals and tests (METHODS.md section 7), from records alone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator
from ruamel.yaml import YAML

from dlm_length.records import RecordError, RunMetrics, SampleSummary, read_metrics, read_summaries
from dlm_length.records.reading import first_fault, read_text
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
    mean,
    pair,
    run_test,
)

Key = TypeVar("Key")

SEED = 0
"""Of the resamples, so that a table made twice has the same stars."""


class _Recorded(BaseModel):
    """A part of a recorded config; whatever else it has is kept, as far as it is plain data."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, JsonValue]


class _RecordedPolicy(_Recorded):
    name: str | None = None
    length: int | None = None
    tau: float | None = None

    @model_validator(mode="after")
    def _has_what_is_drawn(self) -> Self:
        for field in _DRAWN.get(self.name or "", ()):
            if getattr(self, field) is None:
                raise ValueError(f"policy {self.name} without its {field}")
        return self


_DRAWN: Mapping[str, tuple[str, ...]] = {"fixed": ("length",), "smartcrop": ("length", "tau")}
"""Fields of policies that figures and baselines go by; every run writes them."""


class _RecordedBenchmark(_Recorded):
    samples_per_problem: int = 1


class _RecordedHardware(_Recorded):
    seed: int | None = None


class _RecordedConfig(_Recorded):
    """What reports count with in a run's config.yaml. Its other fields may be an earlier version's."""

    model: dict[str, JsonValue]
    policy: _RecordedPolicy
    benchmark: _RecordedBenchmark
    hardware: _RecordedHardware = _RecordedHardware()


@dataclass(frozen=True)
class Run:
    """A finished run as read from disk."""

    path: Path
    metrics: RunMetrics
    samples: dict[str, SampleSummary]
    config: Mapping[str, Any]

    @property
    def told_n(self) -> str:
        """`n = 1,319`, with the problems apart where each has several samples."""
        if not self.several_answers:
            return f"n = {len(self.samples):,}"
        problems = len(set(map(self.problem_of, self.samples)))
        return f"n = {problems:,} problems, {len(self.samples):,} samples"

    @staticmethod
    def problem_of(sample_id: str) -> str:
        """The problem that a sample is one of several answers to."""
        return sample_id.rpartition("#")[0]

    @property
    def several_answers(self) -> bool:
        """Whether problems have several samples, whose ids are `PROBLEM#0`, `PROBLEM#1`, ..."""
        return int(self.config["benchmark"].get("samples_per_problem", 1)) > 1

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """Of the samples that have one, by id; where problems have several answers, the mean of each problem's."""
        scores = {name: sample.score for name, sample in self.samples.items() if sample.score is not None}
        if not scores:
            return np.empty(0)
        unit_of = self.problem_of if self.several_answers else None
        return pair({"": (list(scores), np.array(list(scores.values()), dtype=np.float64))}, unit_of=unit_of)[""]


def read_run(path: Path) -> Run:
    """Read a finished run. Raises RecordError for one that is not, or whose files cannot be read."""
    metrics = read_metrics(path)
    samples = {sample.id: sample for sample in read_summaries(path)}
    return Run(path, metrics, samples, _read_config(path / CONFIG))


def _read_config(file: Path) -> Mapping[str, Any]:
    try:
        config = YAML(typ="safe", pure=True).load(read_text(file))
    except RecordError:
        raise
    except Exception as error:  # ruamel raises of many kinds for text that is no YAML, RecursionError among them
        raise RecordError(f"run {file}: cannot be read ({type(error).__name__}).") from error
    parts = ("model", "policy", "benchmark")
    if not isinstance(config, dict) or not all(isinstance(config.get(part), dict) for part in parts):
        raise RecordError(f"run {file}: is not the config of a run, which has {', '.join(parts)}.")
    try:
        _RecordedConfig.model_validate(config, strict=True)
    except ValidationError as error:
        raise RecordError(f"run {file}: is not as a run wrote it ({first_fault(error)}).") from error
    return config


def mean_score(run: Run) -> float:
    """NaN where nothing was scored."""
    return mean(run.scores)


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
    scores: Paired | None
    """Those of both (`["run"]`, `["baseline"]`); None as the delta."""


def compare(run: Run, baseline: Run, *, stars_by: TestName = STARS_BY, resamples: int = RESAMPLES) -> Comparison:
    """FLOPs saved and performance delta. `stars_by`: the test behind the delta's stars; FLOPs have the bootstrap's.

    Raises StatisticsError where the runs do not cover the same samples.
    """
    return compare_all([run], baseline, stars_by=stars_by, resamples=resamples)[0]


def compare_all(
    runs: Sequence[Run], baseline: Run, *, stars_by: TestName = STARS_BY, resamples: int = RESAMPLES
) -> list[Comparison]:
    """Each of many runs as `compare` does it, in the time of about one: they share their resamples."""
    scores = [scores_of(run, baseline) for run in runs]
    statistics: dict[tuple[int, str], Statistic] = {}
    for number, (run, paired) in enumerate(zip(runs, scores, strict=True)):
        # A sample that could not be run cost nothing, which is no saving.
        flops = _paired(run, baseline, "FLOPs", lambda s: None if s.error else float(s.ledger.total.flops_reference))
        if flops is not None:
            statistics[number, "flops"] = Statistic.flops_saved(flops["run"], flops["baseline"])
        if paired is not None:
            statistics[number, "score"] = Statistic.performance_delta(paired["run"], paired["baseline"])
    effects = _effects(statistics, resamples)
    if stars_by != STARS_BY:
        for number, paired in enumerate(scores):
            if paired is not None:
                test = run_test(stars_by, paired["run"], paired["baseline"], rng=SEED, resamples=resamples)
                effects[number, "score"] = Effect(effects[number, "score"].estimate, test)
    return [
        Comparison(effects.get((number, "flops")), effects.get((number, "score")), paired)
        for number, paired in enumerate(scores)
    ]


def _effects(statistics: Mapping[tuple[int, str], Statistic], resamples: int) -> dict[tuple[int, str], Effect]:
    effects = {}
    for key, estimate in bootstrap_all(statistics, resamples).items():
        assert estimate.test is not None, "an effect has a test"
        effects[key] = Effect(estimate, estimate.test)
    return effects


def bootstrap_all(statistics: Mapping[Key, Statistic], resamples: int = RESAMPLES) -> dict[Key, Estimate]:
    """The bootstrap of each, in less time than a call for each: those over as many samples share their resamples."""
    found: dict[Key, Estimate] = {}
    for size in {statistic.n for statistic in statistics.values()}:
        alike = {key: statistic for key, statistic in statistics.items() if statistic.n == size}
        found |= bootstrap(alike, rng=SEED, resamples=resamples)
    return found


def scores_of(run: Run, baseline: Run) -> Paired | None:
    """The scores of both (`paired["run"]`, `paired["baseline"]`); None where no sample is scored in both."""
    return _paired(run, baseline, "score", lambda sample: sample.score)


def adjusted_p(p_values: Sequence[float]) -> list[float]:
    """Holm's p of each, all being one family: those of one table."""
    return [float(p) for p in holm(np.array(p_values))]


def _paired(run: Run, baseline: Run, what: str, of: Callable[[SampleSummary], float | None]) -> Paired | None:
    """The values that both have; None where there is no sample that has one in both."""
    same = run.samples.keys() == baseline.samples.keys()  # otherwise `pair` says which are missing
    if same and all(of(ours) is None or of(baseline.samples[name]) is None for name, ours in run.samples.items()):
        return None
    both = {"run": run, "baseline": baseline} if same else {str(run.path): run, str(baseline.path): baseline}
    columns = {name: [of(sample) for sample in each.samples.values()] for name, each in both.items()}
    return pair(
        {name: (list(each.samples), np.array(columns[name], dtype=np.float64)) for name, each in both.items()},
        what=what,
        incomplete="leave_out",
        unit_of=run.problem_of if run.several_answers else None,
    )


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Every dotted field that two configs differ in, with both values, sorted; None where one has no such field."""
    left, right = dict(flat(theirs)), dict(flat(ours))
    fields = sorted(left.keys() | right.keys())
    return {field: (left.get(field), right.get(field)) for field in fields if left.get(field) != right.get(field)}


def flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of nested mappings, by its dotted path."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
