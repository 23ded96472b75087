"""Finished runs as read from disk, and the fields that their configs differ in."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from dlm_length.analysis.declarations import Declared, declared
from dlm_length.benchmarks import benchmarks
from dlm_length.common import counted
from dlm_length.models.spec import ModelSpec
from dlm_length.policies import policies
from dlm_length.records import (
    RunMetrics,
    SampleSummary,
    TimingRecord,
    check_whole,
    read_config,
    read_metrics,
    read_summaries,
    read_timing,
    seed_of,
)
from dlm_length.stats import mean, pair


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run as read from disk."""

    path: Path
    metrics: RunMetrics
    samples: dict[str, SampleSummary]
    config: Mapping[str, Any]
    repeats: tuple["Run", ...] = ()
    """The runs on disk, which differ only in their seed, if this one is a row of several; else empty.

    `path` and `config` are then those of the first, `samples` those of all, by `SAMPLE@SEED`; see `analysis.repeats`.
    """

    timing: TimingRecord | None = None
    """Its wall-clock when timed by itself, where that was measured."""

    def __repr__(self) -> str:
        score = "no score" if self.metrics.score is None else f"{self.metrics.metric} {self.metrics.score:.4f}"
        return f"<Run {self.path}: {self.metrics.policy_label}, {self.n_label}, {score}>"

    @property
    def declared(self) -> Declared:
        """What its policy declared when the run was made, or declares now if the records are older than that field."""
        now, metrics = declared(self.metrics.policy), self.metrics
        if metrics.policy_role is None or metrics.lengths_charged is None:
            return now
        # The default that is known now belongs to the field that the policy names now.
        default = now.series_default if now.series_field == metrics.series_field else None
        return replace(
            now,
            role=metrics.policy_role,
            lengths_charged=metrics.lengths_charged,
            series_field=metrics.series_field,
            series_default=default,
        )

    @property
    def members(self) -> tuple["Run", ...]:
        """The runs on disk: the repeats, or the run itself."""
        return self.repeats or (self,)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The folders of the runs on disk."""
        return tuple(run.path for run in self.members)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the runs on disk."""
        return tuple(seed_of(run.config) for run in self.members)

    @property
    def n_label(self) -> str:
        """`n = 1,319`, or the numbers of problems, seeds and samples where problems have several samples."""
        if not self.multi_sample:
            return f"n = {len(self.samples):,}"
        problems = len(set(map(self.problem_of, self.samples)))
        seeds = f", {counted(len(self.repeats), 'seed')}" if self.repeats else ""
        return f"n = {counted(problems, 'problem')}{seeds}, {counted(len(self.samples), 'sample')}"

    def problem_of(self, sample_id: str) -> str:
        """The id of the problem that a sample answers."""
        sample = sample_id.rpartition("@")[0] if self.repeats else sample_id
        return sample.rpartition("#")[0] if self._several_of_a_run else sample

    @property
    def unit_of(self) -> Callable[[str], str] | None:
        """`problem_of` where problems have several samples, which are not independent; else None."""
        return self.problem_of if self.multi_sample else None

    @property
    def multi_sample(self) -> bool:
        """Whether problems have several samples, in one run or over its repeats."""
        return bool(self.repeats) or self._several_of_a_run

    @property
    def _several_of_a_run(self) -> bool:
        """Whether the ids of a run's own samples are `PROBLEM#0`, `PROBLEM#1`, ..."""
        return int(self.config["benchmark"].get("samples_per_problem", 1)) > 1

    @cached_property
    def scores(self) -> NDArray[np.float64]:
        """(n,), the scores of the samples that have one; means by problem where problems have several answers."""
        scores = {name: sample.score for name, sample in self.samples.items() if sample.score is not None}
        if not scores:
            return np.empty(0)
        column = (list(scores), np.array(list(scores.values()), dtype=np.float64))
        return pair({"": column}, unit_of=self.unit_of)[""]


def read_run(path: Path, metrics: RunMetrics | None = None) -> Run:
    """Read a finished run: its metrics, and the samples that these were computed from.

    `metrics`: those to use in place of metrics.json. Raises RecordError for a run that is not finished, that lacks any
    of these samples, or whose files cannot be read.
    """
    known = read_metrics(path) if metrics is None else metrics
    samples = {sample.id: sample for sample in read_summaries(path, only=known.sample_ids)}
    check_whole(path, known, len(samples))
    return Run(path, known, samples, _with_defaults(read_config(path)), timing=read_timing(path))


def _with_defaults(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A recorded config with the fields that its policy, benchmark and model have gained since, at their defaults.

    A new field at its default changes nothing, so that runs from before and after it have equal configs.
    """
    classes = {
        "policy": policies().get(config["policy"]["name"]),
        "benchmark": benchmarks().get(config["benchmark"]["name"]),
        "model": ModelSpec,
    }
    return {
        **config,
        **{name: _defaults(cls) | config[name] for name, cls in classes.items() if cls is not None},
    }


def _defaults(cls: type[BaseModel]) -> dict[str, Any]:
    """The default values of optional fields, in the types that a config's YAML has."""
    fields = ((name, info.get_default()) for name, info in cls.model_fields.items() if not info.is_required())
    return {
        name: list(default) if isinstance(default, tuple) else default
        for name, default in fields
        if default is None or isinstance(default, bool | int | float | str | tuple)
    }


def mean_score(run: Run) -> float:
    """The mean score; NaN where nothing was scored."""
    return mean(run.scores)


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields, by dotted path and sorted, that differ between two configs, with both values; None for no value."""
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
