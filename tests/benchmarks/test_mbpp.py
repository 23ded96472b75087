import json
from pathlib import Path
from typing import get_args

import pytest

from dlm_length.benchmarks import Score
from dlm_length.benchmarks._prompts import prompt_book
from dlm_length.benchmarks.mbpp import MBPP
from dlm_length.common import UserError

STYLES = get_args(MBPP.model_fields["prompt_style"].annotation)
SANITIZED = {
    "source_file": "a.ipynb",
    "task_id": 11,
    "prompt": "Write a function to double a number.",
    "code": "def half(x):\n    return x / 2\n\ndef double(x):\n    return 2 * x",
    "test_imports": ["import math"],
    "test_list": ["assert double(2) == 4", "assert double(math.pi) == 2 * math.pi", "assert double(0) == 0"],
}
FULL = {
    "task_id": 12,
    "text": "Write a function to double a number.",
    "code": "def double(x):\r\n  return 2 * x",
    "test_setup_code": "two = 2",
    "test_list": ["assert double(two) == 4"],
    "challenge_test_list": [],
}


def written(tmp_path: Path, *rows: object) -> str:
    file = tmp_path / "mbpp.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


@pytest.mark.parametrize(("row", "subset"), [(SANITIZED, "sanitized"), (FULL, "full")])
def test_the_reference_passes_and_no_code_fails_in_both_subsets(tmp_path: Path, row: dict, subset: str) -> None:
    benchmark = MBPP.model_validate(
        {"path": written(tmp_path, row), "subset": subset, "execute_code": True, "isolation": "process_limits"}
    )
    (problem,) = benchmark.problems()
    assert problem.id == f"mbpp/{row['task_id']}"
    right = benchmark.score(problem, f"```python\n{problem.target}\n```")
    assert (right.value, right.details["reason"]) == (1.0, "passed")
    wrong = benchmark.score(problem, "```python\ndef double(x):\n    return None\n```")
    assert (wrong.value, wrong.details["reason"]) == (0.0, "wrong_answer")
    assert benchmark.score(problem, "").details["reason"] == "no_code"


def test_nothing_runs_by_default(tmp_path: Path) -> None:
    benchmark = MBPP(path=written(tmp_path, SANITIZED))
    score = benchmark.score(benchmark.problems()[0], "```python\ndef double(x): return 2 * x\n```")
    assert score.value is None
    assert "benchmark.execute_code=true" in score.details["reason"]
    assert score.extracted["code"] is not None
    assert "return 2 * x" in score.extracted["code"]


def test_every_style_shows_the_task_and_its_tests(tmp_path: Path) -> None:
    for style in STYLES:
        benchmark = MBPP.model_validate({"path": written(tmp_path, SANITIZED), "prompt_style": style})
        prompt = benchmark.prompt(benchmark.problems()[0])
        text = prompt.text if prompt.text is not None else prompt.messages[-1][1]
        assert SANITIZED["prompt"] in text
        assert all(test in text for test in SANITIZED["test_list"])
        assert "{" not in text


def test_code_is_found_where_each_style_puts_it(tmp_path: Path) -> None:
    found = {}
    answers = {
        "chat_fence_3shot": "Sure:\n```python\ndef double(x):\n    return 2 * x\n```",
        "chat_tags": "twice</reasoning>\n<answer>\n```python\ndef double(x):\n    return 2 * x\n```\n</answer>",
        "text_marks_3shot": "def double(x):\n    return 2 * x\n[DONE]\nand more",
    }
    for style, answer in answers.items():
        benchmark = MBPP.model_validate({"path": written(tmp_path, SANITIZED), "prompt_style": style})
        found[style] = (benchmark.score(benchmark.problems()[0], answer).answer or "").strip()
    assert set(found.values()) == {"def double(x):\n    return 2 * x"}


def test_worked_examples_pass_their_own_tests() -> None:
    examples = prompt_book("mbpp").examples
    assert len(examples) == 3
    for example in examples:
        exec(f"{example['code']}\n{example['tests']}", {})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task_id": "11"}, "expected a number in 'task_id'"),
        ({"test_list": "assert True"}, "expected a list of texts in 'test_list'"),
        ({"test_imports": None}, "expected a list of texts in 'test_imports'"),
        ({"test_list": ["assert other(1)"]}, "expected a function in 'code' that 'test_list' calls"),
        ({"code": 3}, "code missing or not text"),
        ({"test_list": ["assert double(2"]}, "expected Python in 'test_list', found something else"),
        ({"test_imports": ["import maths ("]}, "expected Python in 'test_imports'"),
        ({"task_id": 11}, "the id 'mbpp/11' occurs already"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, change: dict, message: str) -> None:
    second = SANITIZED | {"task_id": 12} | change
    with pytest.raises(UserError, match=r"mbpp\.jsonl, row 2: ") as refused:
        MBPP(path=written(tmp_path, SANITIZED, second)).problems()
    assert message in str(refused.value)


@pytest.mark.parametrize("setup", [None, ["two = 2"], "two ="])
def test_a_setup_that_is_not_code_is_an_error(tmp_path: Path, setup: object) -> None:
    with pytest.raises(UserError, match=r"mbpp\.jsonl, row 1: expected .* in 'test_setup_code'"):
        MBPP(path=written(tmp_path, FULL | {"test_setup_code": setup}), subset="full").problems()


@pytest.mark.parametrize(("row", "subset"), [(SANITIZED, "sanitized"), (FULL, "full")])
def test_only_the_test_split_of_the_official_files_is_used(tmp_path: Path, row: dict, subset: str) -> None:
    file = tmp_path / "mbpp.json"
    file.write_text(json.dumps([row | {"task_id": n} for n in range(1, 975)], indent=2))
    problems = MBPP.model_validate({"path": str(file), "subset": subset}).problems()
    assert [problem.id for problem in problems] == [f"mbpp/{n}" for n in range(11, 511)]
    assert [problem.index for problem in problems] == list(range(500))
    file.write_text(json.dumps([row | {"task_id": 600}]))
    with pytest.raises(UserError, match="with a task_id from 11 to 510; found none"):
        MBPP.model_validate({"path": str(file), "subset": subset}).problems()


def test_the_metric_has_lm_evals_name() -> None:
    assert MBPP().aggregate({"a": Score(1.0), "b": Score(0.0)}) == {"pass_at_1": 0.5}
