import hashlib
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.benchmarks import Problem
from dlm_length.benchmarks._prompts import prompt_book
from dlm_length.benchmarks.gsm8k import GSM8K

STYLES = get_args(GSM8K.model_fields["prompt_style"].annotation)
SHARED = Path(__file__).parents[3] / "shared" / "data" / "gsm8k_test.jsonl"
PROBLEM = Problem("gsm8k/0", 0, "1450", {"question": "How many {question} are {100}?", "answer": "#### 1,450"})


@pytest.fixture(scope="module")
def official() -> str:
    if not SHARED.exists():
        pytest.skip("the data set is not on this machine")
    return str(SHARED)


def test_every_official_answer_scores_under_its_extractions(official: str) -> None:
    problems = GSM8K(path=official).problems()
    assert len(problems) == 1319
    few_shot, last_number, in_box = GSM8K(prompt_style="text_cot_5shot"), GSM8K(), GSM8K(prompt_style="chat_tags")
    for problem in problems:
        assert few_shot.score(problem, problem.fields["answer"]).value == 1.0
        assert last_number.score(problem, problem.fields["answer"]).value == 1.0
        assert in_box.score(problem, rf"</reasoning><answer>\boxed{{{problem.target}}}</answer>").value == 1.0
        assert last_number.score(problem, f"It is {int(problem.target) + 1}.").value == 0.0


def test_no_worked_example_is_a_test_problem(official: str) -> None:
    questions = {json.loads(line)["question"] for line in SHARED.read_text(encoding="utf-8").splitlines()}
    numbers = [sorted(re.findall(r"\d+", question)) for question in questions]
    for example in prompt_book("gsm8k").examples:
        assert example["question"] not in questions
        assert sorted(re.findall(r"\d+", example["question"])) not in numbers


def test_worked_examples_are_correct() -> None:
    examples = prompt_book("gsm8k").examples
    assert len(examples) == 5
    for example in examples:
        equations = re.findall(r"([\d.]+) ([-+*/]) ([\d.]+) = ([\d.]*\d)", example["steps"])
        assert len(equations) == example["steps"].count("=")
        for left, sign, right, result in equations:
            a, b = Fraction(left), Fraction(right)
            assert {"+": a + b, "-": a - b, "*": a * b, "/": a / b}[sign] == Fraction(result)
        assert GSM8K().score(Problem("x", 0, example["answer"], {}), example["steps"]).value == 1.0


def test_a_changed_text_needs_a_new_version() -> None:
    digests = {
        GSM8K(prompt_style=style).prompt_version: hashlib.sha256(
            repr(GSM8K(prompt_style=style).prompt(PROBLEM)).encode()
        ).hexdigest()[:12]
        for style in STYLES
    }
    assert digests == {
        "chat_cot_4shot/1": "bc6af145b988",
        "chat_tags/1": "1d5a395915d5",
        "text_cot_5shot/1": "9629e516c6bc",
        "text_cot_0shot/1": "14176ee4a068",
    }


def test_chat_cot_has_four_examples_as_turns() -> None:
    prompt = GSM8K().prompt(PROBLEM)
    assert [role for role, _ in prompt.messages] == ["user", "assistant"] * 4 + ["user"]
    assert prompt.messages[1][1].endswith("The answer is 42.")
    question = "Question: How many {question} are {100}?\nLet's think step by step\nAnswer:"
    assert prompt.messages[-1] == ("user", question)
    assert prompt.prefill == ""


def test_chat_tags_has_its_instructions_in_the_users_turn_and_opens_the_reasoning() -> None:
    prompt = GSM8K(prompt_style="chat_tags").prompt(PROBLEM)
    ((role, text),) = prompt.messages
    assert role == "user"
    assert text.startswith("You are an expert")
    assert r"\boxed{result}" in text
    assert text.endswith("How many {question} are {100}?")
    assert prompt.prefill == "<reasoning>"


def test_text_cot_is_a_text_to_complete() -> None:
    few_shot = GSM8K(prompt_style="text_cot_5shot").prompt(PROBLEM).text
    assert few_shot is not None
    assert few_shot.count("Question: ") == 6
    assert re.findall(r"#### (\d+)\n\n", few_shot) == ["42", "3", "66", "32", "9"]
    assert few_shot.endswith("\n\nQuestion: How many {question} are {100}?\nAnswer:")
    zero_shot = GSM8K(prompt_style="text_cot_0shot").prompt(PROBLEM).text
    assert zero_shot == "Q: How many {question} are {100}?\nA: Let's think step by step."


ANSWER = r"7 then #### 1,450 then \boxed{8} then 9"


@pytest.mark.parametrize(
    ("style", "extraction", "value"),
    [
        ("chat_cot_4shot", "flexible", 0.0),
        ("chat_tags", "boxed", 0.0),
        ("text_cot_5shot", "strict", 1.0),
        ("text_cot_0shot", "flexible", 0.0),
    ],
)
def test_the_style_chooses_the_main_extraction_and_all_are_recorded(style: str, extraction: str, value: float) -> None:
    score = GSM8K.model_validate({"prompt_style": style}).score(PROBLEM, ANSWER)
    assert score.value == value
    assert score.extracted == {"strict": "1,450", "flexible": "9", "boxed": "8"}
    assert score.details == {
        "reason": "correct" if value else "wrong_answer",
        "extraction": extraction,
        "exact_match_strict": 1.0,
        "exact_match_flexible": 0.0,
        "exact_match_boxed": 0.0,
    }


def test_only_styles_with_stop_strings_are_cut() -> None:
    runs_on = "It is 1450.\n\nQuestion: What is 2 + 2?\nAnswer: 4 #### 4"
    assert GSM8K(prompt_style="text_cot_5shot").score(PROBLEM, runs_on).extracted["flexible"] == "1450"
    assert GSM8K(prompt_style="text_cot_5shot").score(PROBLEM, runs_on).extracted["strict"] is None
    assert GSM8K(prompt_style="chat_cot_4shot").score(PROBLEM, runs_on).extracted["flexible"] == "1450"
    assert GSM8K(prompt_style="chat_tags").score(PROBLEM, runs_on).extracted["flexible"] == "4"
    zero_shot = GSM8K(prompt_style="text_cot_0shot")
    assert zero_shot.score(PROBLEM, "It is 1450.\nQ: And 3?").value == 1.0
    assert zero_shot.score(PROBLEM, "Q: 1450").details["reason"] == "no_answer"


@pytest.mark.parametrize("answer", ["", " \n\t ", "none", "####", r"\boxed{}", "é" * 100_000, "\0\ud800"])
@pytest.mark.parametrize("style", STYLES)
def test_an_answer_without_a_number_is_wrong_and_says_so(style: str, answer: str) -> None:
    score = GSM8K.model_validate({"prompt_style": style}).score(PROBLEM, answer)
    assert score.value == 0.0
    assert score.details["reason"] == "no_answer"
    assert set(score.extracted.values()) == {None}


@given(st.text())
def test_scoring_does_not_raise_for_any_text(answer: str) -> None:
    assert GSM8K(prompt_style="text_cot_5shot").score(PROBLEM, answer).value in {0.0, 1.0}
