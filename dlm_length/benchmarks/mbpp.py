"""MBPP: small Python functions to write from a sentence and tests, scored by running these tests."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from dlm_length.benchmarks._data import Row, chosen, hub_rows, local_rows, problems_of, whole
from dlm_length.benchmarks._execution import CodeExecution, extracted_code, parsed
from dlm_length.benchmarks._prompts import StyledBenchmark
from dlm_length.benchmarks.base import Problem, Score
from dlm_length.common import UserError

HUB = "google-research-datasets/mbpp"
FIELDS = {"sanitized": ("prompt", "code"), "full": ("text", "code")}
"""Subset -> required text fields of a row."""
OTHER_SPLITS = (range(1, 11), range(511, 975))
"""The task_id of the worked examples, and of validation and training."""


class MBPP(CodeExecution, StyledBenchmark):
    """MBPP: small Python functions to write from a sentence and three tests, scored by running the tests.

    257 problems of the sanitized test split, or 500 of the full one. In a local file, such as the official ones, which
    have all splits, rows of other splits (task_id 1 to 10 and 511 to 974) are ignored. Generated code runs only with
    `execute_code: true`, in a sandbox; without it answers are recorded unscored.
    """

    version: ClassVar[int] = 3
    metric: ClassVar[str] = "pass_at_1"
    metric_title: ClassVar[str] = "pass@1"
    placeholders: ClassVar[tuple[str, ...]] = ("task", "tests", "test_list", "setup", "entry_point", "task_id")
    title: ClassVar[str] = "MBPP"
    source: ClassVar[str] = "Austin et al. 2021, arXiv 2108.07732; google-research-datasets/mbpp, split test"

    name: Literal["mbpp"] = "mbpp"
    prompt_style: Literal["chat_fence_3shot", "chat_tags", "text_marks_3shot"] = "chat_fence_3shot"
    """The form of prompt and extraction; the words are ours.

    chat_fence_3shot: three worked examples as chat turns, first code fence, as in LLaDA's evaluation. chat_tags:
    zero-shot chat with tags, fence of the answer, as in DAEDAL's. text_marks_3shot: three worked examples in one text,
    code between [BEGIN] and [DONE], as in lm-eval's mbpp.
    """
    subset: Literal["sanitized", "full"] = "sanitized"
    """sanitized: the problems that its authors revised; full: the whole test split, as in DAEDAL's tables."""

    def problems(self) -> list[Problem]:
        self.check_execution()
        rows = _test_split(self.path) if self.path is not None else hub_rows(HUB, self.subset, "test")
        return chosen(problems_of(rows, FIELDS[self.subset], mbpp_problem), self)

    def score(self, problem: Problem, answer: str) -> Score:
        code = extracted_code(self.style, answer, "", problem.fields["entry_point"])
        tests = f"{problem.fields['setup']}\n{problem.fields['tests']}\n"
        value, details = self.run_tests(code, tests, {problem.fields["entry_point"]})
        return Score(value, code, {"code": code}, details)


def _test_split(path: str) -> Iterator[Row]:
    rows = list(local_rows(path))
    kept = [row for row in rows if not any(row[1].get("task_id") in ids for ids in OTHER_SPLITS)]
    if rows and not kept:
        raise UserError(f"{path}: expected rows of the test split, with a task_id from 11 to 510; found none.")
    return iter(kept)


def mbpp_problem(index: int, fields: Mapping[str, Any]) -> Problem:
    """The problem of a row of either subset. Raises ValueError for a malformed one."""
    task_id = whole(fields.get("task_id"))
    if not isinstance(task_id, int) or isinstance(task_id, bool):
        raise ValueError(f"expected a number in 'task_id', found {task_id!r}.")
    tests = _lines(fields, "test_list")
    entry_point = next((n for n in re.findall(r"^def\s+(\w+)", fields["code"], re.M) if _called(n, tests)), None)
    if entry_point is None:
        raise ValueError("expected a function in 'code' that 'test_list' calls, found none.")
    parsed("\n".join(tests), "test_list")
    setup = _setup(fields)
    return Problem(
        id=f"mbpp/{task_id}",
        index=index,
        target=fields["code"],
        fields={
            **fields,
            "task": fields["prompt"] if "prompt" in fields else fields["text"],
            "tests": "\n".join(tests),
            "setup": setup,
            "entry_point": entry_point,
        },
    )


def _setup(fields: Mapping[str, Any]) -> str:
    name = "test_imports" if "test_imports" in fields else "test_setup_code"
    setup = "\n".join(_lines(fields, name)) if name == "test_imports" else fields.get(name, "")
    if not isinstance(setup, str):
        raise ValueError(f"expected text in {name!r}, found {setup!r:.60}.")
    parsed(setup, name)
    return setup


def _lines(fields: Mapping[str, Any], name: str) -> list[str]:
    lines = fields.get(name)
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise ValueError(f"expected a list of texts in {name!r}, found {lines!r:.60}.")
    return lines


def _called(function: str, tests: list[str]) -> bool:
    return any(re.search(rf"\b{function}\(", test) for test in tests)
