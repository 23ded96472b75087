"""What a benchmark is: problems, a prompt for each, a score for each answer."""

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
    """One item of a benchmark. `id` is unique within it and stable across runs; `index` is its row in the data set."""

    id: str
    index: int
    target: str
    """The reference answer, as recorded next to the model's."""
    fields: Mapping[str, Any]
    """The data set's own row."""


@dataclass(frozen=True)
class Prompt:
    """What the model is asked: either chat `messages` (role, text) or, for a completion, bare `text`.

    `prefill` is the beginning of the answer, put behind the generation prompt; it is not part of the canvas.
    """

    messages: tuple[tuple[Role, str], ...] = ()
    text: str | None = None
    prefill: str = ""

    def __post_init__(self) -> None:
        assert bool(self.messages) != (self.text is not None), "a prompt is either a chat or a text to complete"


@dataclass(frozen=True)
class Score:
    """The verdict on one answer. `value` in [0, 1] is the benchmark's main metric, None where it was not scored."""

    value: float | None
    answer: str | None = None
    """What was scored: the main extraction's finding."""
    extracted: Mapping[str, str | None] = field(default_factory=dict)
    """What each extraction found in the answer, by the extraction's name."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Other per-sample metrics, failure reasons, isolation of the sandbox; JSON values."""


Column = Mapping[str, tuple[float, float]]
"""A metric by its independent units, samples or problems: sum of the first numbers by sum of the second."""


class Benchmark(Named):
    """Parameters that every benchmark has. A concrete one adds its own and says how to load, ask and score."""

    version: ClassVar[int]
    """Raised when problems, prompts or scores change; enters the run's hash."""
    metric: ClassVar[str]
    """Name of the main metric, in the field's own words."""
    metric_title: ClassVar[str] = ""
    """What readers of a paper know it by; where empty, its name without underscores."""
    undecisive: ClassVar[tuple[str, ...]] = ()
    """Fields that decide nothing by themselves, such as where a folder is; left out of the run's hash."""

    path: str | None = None
    """A local file of the data set's official form (JSONL or Parquet), instead of the default source. A relative name
    is relative to the config that says it, or else to the working directory."""
    limit: PositiveInt | None = None
    """Only this many problems: the first ones, or with `subset_seed` a random choice."""
    subset_seed: int | None = Field(default=None, ge=0)
    """Seed of the random choice of `limit` problems; the same seed chooses the same problems on every machine."""
    sample_ids: tuple[str, ...] | None = Field(default=None, strict=False, min_length=1)
    """Only these problems, in this order."""
    repeats: int = Field(default=1, ge=1, le=1_000)
    """Runs of the same problems under as many seeds, from `hardware.seed` on; `--seeds` names them instead."""

    @model_serializer(mode="wrap")
    def _without_one_repeat(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Every run that is made is one of its repeats, and its records say nothing of the others."""
        fields: dict[str, Any] = dump(self)
        if fields.get("repeats") == 1:
            del fields["repeats"]
        return fields

    @property
    def label(self) -> str:
        """The benchmark in tables and records: its name, with more where that does not say which questions it has."""
        return self.name

    @property
    def main_metric(self) -> str:
        """Name of the metric that is the score."""
        return self.metric

    @property
    def max_answer_tokens(self) -> int | None:
        """The most tokens that an answer may have by the benchmark's own definition; None where it does not say."""
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
    @abstractmethod
    def prompt_digest(self) -> str | None:
        """SHA-256 of the prompt file's content, None where there is none; enters the run's hash."""

    @property
    @abstractmethod
    def prompt_description(self) -> str:
        """Whose form and whose words the prompt has, for the records."""

    @abstractmethod
    def problems(self) -> list[Problem]:
        """The chosen problems. Raises UserError, by file and row, for data that is missing or malformed."""

    @abstractmethod
    def prompt(self, problem: Problem) -> Prompt:
        """What the model is asked, in this benchmark's prompt style."""

    @abstractmethod
    def score(self, problem: Problem, answer: str) -> Score:
        """The verdict on an answer's text (the prefill excluded). Never raises for anything a model can write."""

    def aggregate(self, scores: Mapping[str, Score]) -> dict[str, float]:
        """The run's metrics by name, in lm-eval's names where it has one, over the samples that were scored.

        `scores`: by sample id, in any order. The main metric is the mean of the values; a metric that is undefined is
        left out.
        """
        return {
            name: math.fsum(value for value, _ in column.values()) / math.fsum(weight for _, weight in column.values())
            for name, column in self.columns(scores).items()
        }

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        """What `aggregate` computes the metrics from, and their uncertainty is computed from; what is undefined is left
        out.
        """
        values = {name: (score.value, 1.0) for name, score in scores.items() if score.value is not None}
        return {self.main_metric: values} if values else {}


def detail_columns(scores: Mapping[str, Score], names: Iterable[str]) -> dict[str, Column]:
    """Details whose means over the samples that were scored are metrics; nothing where none was."""
    scored = {name: score.details for name, score in scores.items() if score.value is not None}
    if not scored:
        return {}
    return {name: {sample: (float(details[name]), 1.0) for sample, details in scored.items()} for name in names}
