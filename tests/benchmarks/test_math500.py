import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dlm_length.benchmarks import Problem, _equivalence
from dlm_length.benchmarks.math500 import MATH500
from dlm_length.common import UserError

ROW = {
    "problem": "What is half of one?",
    "solution": "It is $\\boxed{\\frac{1}{2}}$.",
    "answer": "\\frac{1}{2}",
    "subject": "Algebra",
    "level": 1,
    "unique_id": "test/algebra/1.json",
}


def problem(answer: str) -> Problem:
    return Problem("x", 0, answer, ROW | {"answer": answer})


def test_rows_become_problems_and_prompts(tmp_path: Path) -> None:
    file = tmp_path / "math.jsonl"
    file.write_text(json.dumps(ROW))
    (found,) = MATH500(path=str(file)).problems()
    assert (found.id, found.target) == ("test/algebra/1.json", "\\frac{1}{2}")
    (turn,) = MATH500().prompt(found).messages
    assert turn[1].startswith("What is half of one?\n")
    assert "\\boxed{}" in turn[1]
    assert MATH500(prompt_style="chat_tags").prompt(found).prefill == "<reasoning>"


@pytest.mark.parametrize(
    "change",
    [
        {"answer": " "},
        {"answer": None},
        {"unique_id": 3},
        {"answer": "\\frac{"},
        {"answer": "}{"},
        {"answer": "$\\text{ }$"},
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, change: dict) -> None:
    file = tmp_path / "math.jsonl"
    file.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW | {"unique_id": "2"} | change))
    with pytest.raises(UserError, match=r"math.jsonl, row 2: "):
        MATH500(path=str(file)).problems()


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("\\frac{1}{2}", "Half, so $\\boxed{0.5}$."),
        ("\\frac{1}{2}", "\\boxed{x} and then \\boxed{\\dfrac12}"),
        ("p - q", "\\boxed{-q + p}"),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\boxed{(3,\\pi/2)}"),
        ("\\text{Evelyn}", "\\boxed{Evelyn}"),
        ("11,\\! 111", "\\boxed{11111}"),
        ("5", "\\boxed{x=5}"),
        ("10\\%", "\\boxed{10}"),
        ("90^\\circ", "\\boxed{90}"),
        ("\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix}", "\\boxed{\\begin{pmatrix}1\\\\2\\end{pmatrix}}"),
        ("14", "After all that the answer is 14"),
    ],
)
def test_equal_expressions_are_correct(reference: str, answer: str) -> None:
    score = MATH500().score(problem(reference), answer)
    assert (score.value, score.details["reason"]) == (1.0, "correct")


@pytest.mark.parametrize(
    ("reference", "answer", "reason"),
    [
        ("14", "\\boxed{15}", "wrong_answer"),
        ("14", "\\boxed{14} or rather \\boxed{13}", "wrong_answer"),
        ("p - q", "\\boxed{q - p}", "wrong_answer"),
        ("14", "", "no_answer"),
        ("14", "I do not know.", "no_answer"),
        ("14", "é 語 🙂 ∎" * 10_000, "no_answer"),
    ],
)
def test_other_answers_are_not(reference: str, answer: str, reason: str) -> None:
    score = MATH500().score(problem(reference), answer)
    assert (score.value, score.details["reason"]) == (0.0, reason)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("42", "It is $42$. I put it in \\boxed{...}."),
        ("42", "\\boxed{42}, as asked in \\boxed{} or \\boxed{\\quad}"),
        ("42", "So 42 \\boxed{"),
        ("42", "$\\boxed 42$"),
        ("42", "\\boxed{42\\text{.}}"),
        ("42", "\\boxed{42,}"),
        ("\\text{Evelyn}", "\\boxed{\\text{Evelyn.}}"),
        ("(3,4)", "So $(3,4).$"),
        ("\\frac12", "$$x = \\frac12,$$"),
        ("10080", "\\boxed{10~080}"),
        ("10080", "\\boxed{10 080}"),
        ("10080", "so \\(10\\;080\\)."),
        ("10080", "\\boxed{10{,}080}"),
        ("1234567.89", "\\boxed{1\\,234\\,567.89}"),
        ("1.5", "\\boxed{1{,}5}"),
        ("-4", "\\boxed{\u20134}"),
        ("\\frac{3}{2}", "\\boxed{1 1/2}"),
        ("2i", "\\boxed{2\\mathrm{i}}"),
        ("a+bi", "\\boxed{a + b \\cdot i}"),
        ("-3, 2i", "\\boxed{2i, -3}"),
        ("1+2i", "\\boxed{2\\imath + 1}"),
        ("\\frac{1+i}{2}", "\\boxed{\\frac12 + \\frac12 i}"),
        ("\\frac{1}{10^{20}}", "\\boxed{10^{-20}}"),
        ("\\frac{1}{3}", "\\boxed{0.333333}"),
        ("52_8", "\\boxed{52_{8}}"),
        ("52_8", "\\boxed{52}"),
        ("52_8", "\\boxed{(52)_8}"),
        ("52_8", "\\boxed{52_{\\text{eight}}}"),
    ],
)
def test_different_notations_of_an_expression_are_correct(reference: str, answer: str) -> None:
    score = MATH500().score(problem(reference), answer)
    assert (score.value, score.details["reason"]) == (1.0, "correct")


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("52_8", "so it is $52_{10}$"),
        ("52_8", "\\boxed{52_{\\text{ten}}}"),
        ("A5_{16}", "\\boxed{A5_{12}}"),
        ("0.0000001", "\\boxed{0.0000002}"),
        ("\\frac{1}{3^{30}}", "\\boxed{3^{-31}}"),
        ("\\frac{1}{2^{99}}", "\\boxed{0}"),
        ("(10^{-20}, 1)", "\\boxed{(10^{-21}, 1)}"),
        ("12", "\\boxed{1 2}"),
        ("2i", "\\boxed{2}"),
        ("1 + 2i", "\\boxed{1 - 2 \\cdot i}"),
    ],
)
def test_expressions_that_only_look_equal_are_wrong(reference: str, answer: str) -> None:
    score = MATH500().score(problem(reference), answer)
    assert (score.value, score.details["reason"]) == (0.0, "wrong_answer")


def test_an_empty_box_is_no_answer_where_a_box_is_required() -> None:
    score = MATH500(prompt_style="chat_tags").score(problem("42"), "So $42$, in \\boxed{\\text{}}.")
    assert (score.value, score.details["reason"], score.extracted["boxed"]) == (0.0, "no_answer", None)


def test_the_prompt_style_determines_whether_a_box_is_needed() -> None:
    unboxed = "The answer is $\\frac{2}{4}$."
    assert MATH500().score(problem("\\frac{1}{2}"), unboxed).value == 1.0
    strict = MATH500(prompt_style="chat_tags").score(problem("\\frac{1}{2}"), unboxed)
    assert (strict.value, strict.details["reason"], strict.extracted["boxed"]) == (0.0, "no_answer", None)
    assert strict.details["math_verify_flexible"] == 1.0


def test_an_answer_that_takes_forever_times_out_and_the_next_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_equivalence, "CPU_SECONDS", 2.0)
    endless = MATH500().score(problem("2"), "\\boxed{9^{9^{9^{9}}}}")
    assert (endless.value, endless.details["reason"]) == (0.0, "timeout")
    assert MATH500().score(problem("\\frac{2}{4}"), "\\boxed{0.5}").value == 1.0


def test_a_judge_that_died_is_replaced() -> None:
    judge = _equivalence.Judge()
    try:
        assert judge.compare("\\frac{2}{4}", "\\boxed{0.5}").outcome == "equal"
        assert judge._worker is not None
        judge._worker.terminate()
        judge._worker.wait()
        assert judge.compare("\\frac{2}{4}", "\\boxed{0.5}").outcome == "equal"
    finally:
        judge.close()


def test_answers_are_judged_from_several_threads_at_once() -> None:
    barrier = threading.Barrier(2)

    def judged(n: int) -> float | None:
        barrier.wait(timeout=60)
        return MATH500().score(problem(f"\\frac{{{n}}}{{2}}"), f"\\boxed{{{n / 2}}}").value

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(judged, [1, 3])) == [1.0, 1.0]
