"""Variants of the answers that were once scored wrong; see `cases/README.md`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dlm_length.benchmarks import Benchmark, Problem
from dlm_length.benchmarks.gsm8k import GSM8K, gsm8k_problem
from dlm_length.benchmarks.math500 import MATH500, math500_problem

FILE = Path(__file__).with_name("cases") / "variants.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def problem_of(case: Mapping[str, Any]) -> tuple[Benchmark, Problem]:
    style = {"prompt_style": case["style"]} if case["style"] else {}
    if case["benchmark"] == "gsm8k":
        return GSM8K.model_validate(style), gsm8k_problem(0, {"answer": f"work\n#### {case['reference']}"})
    row = {"unique_id": "", "subject": "", "answer": case["reference"]}
    return MATH500.model_validate(style), math500_problem(0, row)


@pytest.mark.parametrize("benchmark", ["gsm8k", "math500"])
def test_each_variant_is_scored_correctly(benchmark: str) -> None:
    """In one test per benchmark, as each answer takes milliseconds; a failure names all that are wrong."""
    wrong = []
    for case in (each for each in CASES if each["benchmark"] == benchmark):
        scorer, problem = problem_of(case)
        score = scorer.score(problem, case["text"])
        if score.value != case["expected"]:
            wrong.append((case, score.answer))
    assert not wrong


def test_there_are_right_and_wrong_variants_of_both_and_none_twice() -> None:
    assert len({json.dumps(case, sort_keys=True) for case in CASES}) == len(CASES)
    assert {(case["benchmark"], case["expected"]) for case in CASES} == {
        (name, expected) for name in ("gsm8k", "math500") for expected in (0, 1)
    }
