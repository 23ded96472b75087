"""The interface of a benchmark: problems, a prompt for each, and a score for each answer."""

import math
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PositiveInt, SerializerFunctionWrapHandler, model_serializer

from dlm_length.common import SELECTION, Named, file_digest

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Problem:
    """One item of a benchmark."""

    id: str
    """Unique within the benchmark, and the same in every run."""
    index: int
    """Number of its row in the data set, from 0."""
    target: str
    """The reference answer, as recorded."""
    fields: Mapping[str, Any]
    """The row of the data set."""


@dataclass(frozen=True)
class Prompt:
    """A prompt: either `messages` of a chat, or a `text` to complete."""

    messages: tuple[tuple[Role, str], ...] = ()
    """(role, text) of each turn."""
    text: str | None = None
    prefill: str = ""
    """The beginning of the answer, after the generation prompt; it is not part of the canvas."""

    def __post_init__(self) -> None:
        assert bool(self.messages) != (self.text is not None), "a prompt is either a chat or a text to complete"


@dataclass(frozen=True)
class Score:
    """The score of one answer."""

    value: float | None
    """The benchmark's main metric, in [0, 1]; None where the answer was not scored."""
    answer: str | None = None
    """The result of the main extraction, which was scored; None where it has none."""
    extracted: Mapping[str, str | None] = field(default_factory=dict)
    """Extraction -> its result."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Other metrics of the sample, failure reasons, isolation of the sandbox; JSON values."""


Column = Mapping[str, tuple[float, float]]
"""Independent unit (sample or problem) -> (numerator, denominator); the metric is the ratio of their sums."""


class Benchmark(Named):
    """The parameters of every benchmark. A subclass adds its own, and implements problems, prompts and scores."""

    version: ClassVar[int]
    """Raised when problems, prompts or scores change; enters the run's hash."""
    metric: ClassVar[str]
    """Name of the main metric, lm-eval's where it has the metric."""
    metric_title: ClassVar[str] = ""
    """The metric's name for readers of a paper; where empty, `metric` without underscores."""
    undecisive: ClassVar[tuple[str, ...]] = ()
    """Fields that do not affect results by themselves, such as the place of a folder; left out of the run's hash."""

    path: str | None = None
    """A local file in the data set's official form (JSONL or Parquet), instead of the default source. A relative name
    is relative to the config that names it, or else to the working directory."""
    limit: PositiveInt | None = None
    """Only this many problems: the first ones, or a random choice with `subset_seed`."""
    subset_seed: int | None = Field(default=None, ge=0)
    """Seed of the random choice of `limit` problems; the same seed chooses the same problems on every machine."""
    sample_ids: tuple[str, ...] | None = Field(default=None, strict=False, min_length=1)
    """Only these problems, in this order."""
    repeats: int = Field(default=1, ge=1, le=1_000)
    """Number of runs of the same problems, under consecutive seeds from `hardware.seed`; `--seeds` lists seeds."""

    @model_serializer(mode="wrap")
    def _without_one_repeat(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """All fields without `repeats: 1`: each repeat is a run of its own, whose record does not mention others."""
        fields: dict[str, Any] = dump(self)
        if fields.get("repeats") == 1:
            del fields["repeats"]
        return fields

    @property
    def label(self) -> str:
        """The benchmark's name in tables and records, with an addition where it does not identify the problems."""
        return self.name

    @property
    def main_metric(self) -> str:
        """Name of the metric that is the score."""
        return self.metric

    @property
    def max_answer_tokens(self) -> int | None:
        """Most tokens of an answer by the benchmark's definition; None where it has no limit."""
        return None

    @property
    def data_digest(self) -> str | None:
        """SHA-256 of the local file behind `path`; None where there is no such file, or the data come from the hub."""
        return None if self.path is None else file_digest(Path(os.path.expanduser(self.path)))  # noqa: PTH111 - of any user's

    def with_every_problem(self) -> Self:
        """The same benchmark without `limit`, `subset_seed` and `sample_ids`."""
        return self.model_copy(update=dict.fromkeys(SELECTION))

    @property
    @abstractmethod
    def prompt_version(self) -> str:
        """The prompt style with the version of its text, such as `chat_tags/1`; enters the run's hash."""

    @property
    def prompt_digest(self) -> str | None:
        """SHA-256 of the prompt file's content, None where there is none; enters the run's hash."""
        return None

    @property
    @abstractmethod
    def prompt_description(self) -> str:
        """Origin of the prompt's form and of its words, for the records."""

    @abstractmethod
    def problems(self) -> list[Problem]:
        """The problems that `limit`, `subset_seed` and `sample_ids` select; `chosen` applies these fields.

        Raises UserError, naming file and row, for data that are missing or malformed.
        """

    @abstractmethod
    def prompt(self, problem: Problem) -> Prompt:
        """The prompt of a problem, in this benchmark's prompt style."""

    @abstractmethod
    def score(self, problem: Problem, answer: str) -> Score:
        """The score of an answer's text, without the prefill. Does not raise for any text."""

    def aggregate(self, scores: Mapping[str, Score]) -> dict[str, float]:
        """Name -> metric of the run, over the scored samples; names are lm-eval's where it has the metric.

        `scores`: sample id -> score, in any order. The main metric is the mean of `Score.value`. Undefined metrics are
        left out.
        """
        return {
            name: math.fsum(value for value, _ in column.values()) / math.fsum(weight for _, weight in column.values())
            for name, column in self.columns(scores).items()
        }

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        """Metric -> column from which it and its uncertainty are computed; undefined metrics are left out."""
        values = {name: (score.value, 1.0) for name, score in scores.items() if score.value is not None}
        return {self.main_metric: values} if values else {}


def detail_columns(scores: Mapping[str, Score], names: Iterable[str]) -> dict[str, Column]:
    """Columns of metrics that are means of a detail over the scored samples; empty where no sample was scored."""
    scored = {name: score.details for name, score in scores.items() if score.value is not None}
    if not scored:
        return {}
    return {name: {sample: (float(details[name]), 1.0) for sample, details in scored.items()} for name in names}
