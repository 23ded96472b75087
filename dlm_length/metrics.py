"""Every benchmark's scores as an `evaluate.Metric`, usable on its own and offline.

    from dlm_length.metrics import GSM8KMetric

    GSM8KMetric().compute(predictions=["So it is 18."], references=["#### 18"])  # {"exact_match": 1.0, ...}

`compute` takes the benchmark's own parameters as keywords, such as `prompt_style="text_cot_5shot"`. A reference is a
row of the data set, or what its class says may stand for one. A module of its own: the library takes seconds to import.
"""

import json
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import datasets
import evaluate
from pydantic import ValidationError

from dlm_length.benchmarks import Benchmark, Problem, benchmarks, problem_of
from dlm_length.benchmarks.gsm8k import gsm8k_problem
from dlm_length.benchmarks.humaneval import humaneval_problem
from dlm_length.benchmarks.ifeval import ifeval_problem
from dlm_length.benchmarks.longformqa import LongFormQA, longformqa_problem
from dlm_length.benchmarks.math500 import math500_problem
from dlm_length.benchmarks.mbpp import mbpp_problem
from dlm_length.common import ConfigError, UserError, faults_of


class BenchmarkMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """A benchmark's aggregate over predictions and their references.

    Both pass through evaluate's files as JSON, so that a row fits with all its fields, and any text a model can write.
    """

    benchmark: ClassVar[str]
    """Name of the benchmark."""
    required: ClassVar[Sequence[str]] = ()
    """Fields of a row that have to be texts."""
    parameters: ClassVar[Mapping[str, Any]] = {}
    """Parameters of the benchmark that a metric on its own begins with; `compute` may give others."""

    def _info(self) -> evaluate.MetricInfo:
        scored = benchmarks()[self.benchmark]
        return evaluate.MetricInfo(
            description=scored.summary(),
            citation=scored.source,
            inputs_description=f"predictions: texts of answers. references: {(self.__doc__ or '').strip()}",
            features=datasets.Features({name: datasets.Value("string") for name in ("predictions", "references")}),
        )

    def add_batch(self, *, predictions: Iterable[Any], references: Iterable[Any], **others: Any) -> None:
        """Take answers and their references, to be scored by `compute`."""
        given = {"predictions": predictions, "references": references}
        super().add_batch(**{name: list(map(_written, values)) for name, values in given.items()}, **others)

    def add(self, *, prediction: Any, reference: Any, **others: Any) -> None:
        """Take one answer and its reference, to be scored by `compute`."""
        super().add(prediction=_written(prediction), reference=_written(reference), **others)

    def _compute(self, predictions: Sequence[str], references: Sequence[str], **parameters: Any) -> dict[str, float]:
        benchmark = self._benchmark(parameters)
        answers = [_text(index, json.loads(prediction)) for index, prediction in enumerate(predictions)]
        rows = [json.loads(reference) for reference in references]
        problems = [self._problem_of(benchmark, index, row) for index, row in enumerate(rows)]
        scores = [benchmark.score(problem, answer) for problem, answer in zip(problems, answers, strict=True)]
        return benchmark.aggregate(dict(zip(self._names(rows), scores, strict=True)))

    def _benchmark(self, parameters: Mapping[str, Any]) -> Benchmark:
        scored = benchmarks()[self.benchmark]
        try:
            return scored(**{**self.parameters, **parameters})
        except ValidationError as error:
            raise ConfigError(f"{type(self).__name__}: {faults_of(scored, error)}.") from error

    def _problem_of(self, benchmark: Benchmark, index: int, reference: object) -> Problem:
        """The problem of one reference. Raises UserError, by its number, for what is none."""
        where, row = f"references, item {index}", self._row(reference)
        if not isinstance(row, Mapping):
            raise UserError(f"{where}: expected {(self.__doc__ or '').strip()} Found {reference!r:.60}.")
        return problem_of(index, (where, dict(row)), self.required, partial(self._problem, benchmark))

    def _names(self, references: Sequence[object]) -> list[str]:
        """An id for each reference."""
        return [str(index) for index in range(len(references))]

    def _row(self, reference: object) -> object:
        """The row of the data set that a reference is or stands for."""
        return reference

    @abstractmethod
    def _problem(self, benchmark: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        """The problem of a row; ValueError says what is wrong with it."""


class GSM8KMetric(BenchmarkMetric):
    """A row of the data set, its answer that ends in `#### NUMBER`, or the number alone."""

    benchmark = "gsm8k"
    required = ("answer",)

    def _row(self, reference: object) -> object:
        if not isinstance(reference, str | int | float):
            return reference
        return {"answer": reference if "####" in str(reference) else f"#### {reference}"}

    def _problem(self, _: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        return gsm8k_problem(index, row)


class MATH500Metric(BenchmarkMetric):
    """A row of the data set, or the right answer in LaTeX."""

    benchmark = "math500"
    required = ("answer",)

    def _row(self, reference: object) -> object:
        return {"answer": reference} if isinstance(reference, str) else reference

    def _problem(self, _: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        return math500_problem(index, {"unique_id": "", "subject": "", **row})


class LongFormQAMetric(BenchmarkMetric):
    """The reference answers to one question: a text, or a list of texts."""

    benchmark = "longformqa"
    parameters: ClassVar[Mapping[str, Any]] = {"question_field": "question", "answer_field": "answer"}

    def _row(self, reference: object) -> object:
        return {"question": "?", "answer": reference} if isinstance(reference, str | list) else None

    def _problem(self, benchmark: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        assert isinstance(benchmark, LongFormQA), "the benchmark of this metric's name"
        return longformqa_problem(benchmark, index, row)


class IFEvalMetric(BenchmarkMetric):
    """A row of the data set: prompt, instruction_id_list and kwargs, a list of mappings or its JSON."""

    benchmark = "ifeval"
    required = ("prompt",)

    def _problem(self, _: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        kwargs = row.get("kwargs")
        if isinstance(kwargs, str):
            try:
                kwargs = json.loads(kwargs)
            except ValueError:
                raise ValueError(f"expected a list of objects in kwargs, or its JSON; found {kwargs!r:.60}.") from None
        return ifeval_problem(index, {**row, "key": index, "kwargs": kwargs})


class HumanEvalMetric(BenchmarkMetric):
    """A row of the data set: prompt, entry_point and test. Runs generated code, in the benchmark's sandbox.

    Equal rows are samples of one problem: for pass@k give each n times, and `samples_per_problem=n`.
    """

    benchmark = "humaneval"
    required = ("prompt", "entry_point", "test")
    parameters: ClassVar[Mapping[str, Any]] = {"execute_code": True}

    def _names(self, references: Sequence[object]) -> list[str]:
        rows = [json.dumps(reference, sort_keys=True) for reference in references]
        first = {row: index for index, row in reversed(list(enumerate(rows)))}
        seen = Counter[str]()
        names = []
        for row in rows:
            names.append(f"{first[row]}#{seen[row]}")
            seen[row] += 1
        return names

    def _problem(self, _: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        return humaneval_problem(index, {"task_id": str(index), "canonical_solution": "", **row})


class MBPPMetric(BenchmarkMetric):
    """A row of the data set, of either subset: code, test_list, and test_imports or test_setup_code.

    Runs generated code, in the benchmark's sandbox.
    """

    benchmark = "mbpp"
    required = ("code",)
    parameters: ClassVar[Mapping[str, Any]] = {"execute_code": True}

    def _problem(self, _: Benchmark, index: int, row: Mapping[str, Any]) -> Problem:
        return mbpp_problem(index, {"text": "", **row, "task_id": index})


def _written(value: object) -> str:
    """As JSON; arrays and their numbers as lists and numbers."""
    return json.dumps(value, default=lambda other: other.tolist() if hasattr(other, "tolist") else str(other))


def _text(index: int, prediction: object) -> str:
    if not isinstance(prediction, str):
        raise UserError(f"predictions, item {index}: expected a text, found {prediction!r:.60}.")
    return prediction
