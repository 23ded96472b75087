"""Every benchmark's scores as an `evaluate.Metric`, usable on its own and offline.

    from dlm_length.metrics import GSM8KMetric

    GSM8KMetric().compute(predictions=["So it is 18."], references=["#### 18"])  # {"exact_match": 1.0, ...}

`compute` takes the benchmark's own parameters as keywords, such as `prompt_style="lm_eval"`. A module of its own: the
library takes seconds to import.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import datasets
import evaluate

from dlm_length.benchmarks import Problem, benchmarks
from dlm_length.benchmarks.ifeval import ifeval_problem
from dlm_length.benchmarks.mbpp import mbpp_problem


class BenchmarkMetric(evaluate.Metric):  # type: ignore[misc]  # evaluate has no types
    """A benchmark's aggregate over predictions and their references."""

    benchmark: ClassVar[str]
    """Name of the benchmark."""
    reference: ClassVar[Any] = datasets.Value("string")
    """What one reference is, as `datasets` declares it."""

    parameters: ClassVar[Mapping[str, Any]] = {}
    """Parameters of the benchmark that a metric on its own begins with; `compute` may give others."""

    def _info(self) -> evaluate.MetricInfo:
        scored = benchmarks()[self.benchmark]
        return evaluate.MetricInfo(
            description=scored.summary(),
            citation=scored.source,
            inputs_description=f"predictions: texts of answers. references: {(self.__doc__ or '').strip()}",
            features=datasets.Features({"predictions": datasets.Value("string"), "references": self.reference}),
        )

    def _compute(self, predictions: Sequence[str], references: Sequence[Any], **parameters: Any) -> dict[str, float]:
        benchmark = benchmarks()[self.benchmark](**{**self.parameters, **parameters})
        problems = [self._problem(index, reference) for index, reference in enumerate(references)]
        scores = [benchmark.score(problem, text) for problem, text in zip(problems, predictions, strict=True)]
        return benchmark.aggregate({problem.id: score for problem, score in zip(problems, scores, strict=True)})

    @abstractmethod
    def _problem(self, index: int, reference: Any) -> Problem:
        """The problem that a reference stands for."""


class GSM8KMetric(BenchmarkMetric):
    """A gold answer that ends in `#### NUMBER`, or the number alone."""

    benchmark = "gsm8k"

    def _problem(self, index: int, reference: str) -> Problem:
        return Problem(str(index), index, reference.rpartition("####")[2].strip(), {})


class MATH500Metric(BenchmarkMetric):
    """The right answer in LaTeX."""

    benchmark = "math500"

    def _problem(self, index: int, reference: str) -> Problem:
        return Problem(str(index), index, reference, {"subject": ""})


class LongFormQAMetric(BenchmarkMetric):
    """The reference answers to one question, a list of texts."""

    benchmark = "longformqa"
    reference = datasets.Sequence(datasets.Value("string"))

    def _problem(self, index: int, reference: list[str]) -> Problem:
        return Problem(str(index), index, reference[0], {"references": reference})


class IFEvalMetric(BenchmarkMetric):
    """A row of the data set: prompt, instruction_id_list, and kwargs as JSON text (a list of mappings)."""

    benchmark = "ifeval"
    reference: ClassVar[Any] = {
        "prompt": datasets.Value("string"),
        "instruction_id_list": datasets.Sequence(datasets.Value("string")),
        "kwargs": datasets.Value("string"),
    }

    def _problem(self, index: int, reference: dict[str, Any]) -> Problem:
        return ifeval_problem(index, {"key": index, **reference, "kwargs": json.loads(reference["kwargs"])})


class HumanEvalMetric(BenchmarkMetric):
    """A row of the data set: prompt, entry_point and test. Runs generated code, in the benchmark's sandbox."""

    benchmark = "humaneval"
    reference: ClassVar[Any] = {name: datasets.Value("string") for name in ("prompt", "entry_point", "test")}
    parameters: ClassVar[Mapping[str, Any]] = {"execute_code": True}

    def _problem(self, index: int, reference: dict[str, str]) -> Problem:
        return Problem(str(index), index, "", reference)


class MBPPMetric(BenchmarkMetric):
    """A row of the sanitized data set: code, test_imports and test_list. Runs generated code, in the sandbox."""

    benchmark = "mbpp"
    reference: ClassVar[Any] = {
        "code": datasets.Value("string"),
        "test_imports": datasets.Sequence(datasets.Value("string")),
        "test_list": datasets.Sequence(datasets.Value("string")),
    }
    parameters: ClassVar[Mapping[str, Any]] = {"execute_code": True}

    def _problem(self, index: int, reference: dict[str, Any]) -> Problem:
        return mbpp_problem(index, {"task_id": index, "prompt": "", **reference})
