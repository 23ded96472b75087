"""Answers that were once scored wrong, each of a different kind; see `cases/README.md`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dlm_length.benchmarks import Benchmark, Problem, _execution, benchmarks
from dlm_length.benchmarks.gsm8k import gsm8k_problem
from dlm_length.benchmarks.humaneval import humaneval_problem
from dlm_length.benchmarks.math500 import math500_problem
from dlm_length.benchmarks.mbpp import mbpp_problem
from dlm_length.sandbox import ProcessLimits

FILE = Path(__file__).with_name("cases") / "scoring.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox that is available on every machine."""
    monkeypatch.setattr(_execution, "sandbox", lambda _: ProcessLimits())


def problem_of(case: Mapping[str, Any]) -> tuple[Benchmark, Problem]:
    name, row = case["benchmark"], case["row"]
    parameters: dict[str, Any] = {"prompt_style": case["style"]} if case["style"] else {}
    if name in ("humaneval", "mbpp"):
        parameters["execute_code"] = True
    problem = {
        "gsm8k": lambda: gsm8k_problem(0, row),
        "math500": lambda: math500_problem(0, {"unique_id": "", "subject": ""} | row),
        "humaneval": lambda: humaneval_problem(0, {"task_id": "", "canonical_solution": ""} | row),
        "mbpp": lambda: mbpp_problem(0, {"text": "", "task_id": 11} | row),
    }[name]()
    return benchmarks()[name].model_validate(parameters), problem


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
@pytest.mark.usefixtures("limited")
def test_each_kind_of_answer_is_scored_correctly(case: Mapping[str, Any]) -> None:
    benchmark, problem = problem_of(case)
    score = benchmark.score(problem, case["text"])
    assert score.value == case["expected"], (score.answer, score.details)


def test_no_case_occurs_twice_and_both_verdicts_occur() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES) == 77
    assert {case["expected"] for case in CASES} == {0, 1}
