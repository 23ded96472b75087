"""Prompts from a file: rendering, extraction of answers, and errors in the file."""

from typing import Any

import pytest
from pydantic import ValidationError

from dlm_length.benchmarks import Problem, benchmarks
from dlm_length.benchmarks._prompt_file import PromptFile
from dlm_length.benchmarks._prompts import StyledBenchmark, prompt_book
from dlm_length.benchmarks.gsm8k import GSM8K
from dlm_length.benchmarks.humaneval import HumanEval
from dlm_length.benchmarks.mbpp import MBPP
from dlm_length.common import UserError

PROBLEM = Problem("gsm8k/0", 0, "4", {"question": "What is {{2}} + {2}, as \\boxed{x}?", "answer": "#### 4"})
CHAT: dict[str, Any] = {
    "source": "someone's repository",
    "system": "You count.",
    "examples": [{"question": "1 + 1?", "answer": "2"}, {"question": "1 + 2?", "answer": 3}],
    "example_turns": [
        {"role": "user", "content": "Q: {{question}}\n"},
        {"role": "assistant", "content": "{{ answer }}"},
    ],
    "turns": [{"role": "user", "content": "Q: {{question}}\nPut it in \\boxed{}.\n"}],
    "assistant_prefix": "A:",
    "stop": ["Q:"],
    "extraction": "strict",
}


def test_a_chat_has_its_system_message_examples_question_and_prefix() -> None:
    prompt = GSM8K(prompt_file=CHAT).prompt(PROBLEM)
    assert prompt.messages == (
        ("system", "You count."),
        ("user", "Q: 1 + 1?\n"),
        ("assistant", "2"),
        ("user", "Q: 1 + 2?\n"),
        ("assistant", "3"),
        # What a problem's own text has in braces is no placeholder, and a last line break stays.
        ("user", "Q: What is {{2}} + {2}, as \\boxed{x}?\nPut it in \\boxed{}.\n"),
    )
    assert prompt.prefill == "A:"


def test_a_text_has_its_examples_before_it() -> None:
    shots = {"examples": CHAT["examples"], "example_text": "Q: {{question}}\nA: {{answer}}\n\n"}
    prompt = GSM8K(prompt_file={"text": "Q: {{question}}\nA:", **shots}).prompt(PROBLEM)
    assert prompt.text == f"Q: 1 + 1?\nA: 2\n\nQ: 1 + 2?\nA: 3\n\nQ: {PROBLEM.fields['question']}\nA:"
    assert (prompt.messages, prompt.prefill) == ((), "")


def test_answers_are_extracted_as_the_file_says_or_else_as_the_style() -> None:
    answer = "It is #### 4\nQ: 5 + 5? 10"
    assert GSM8K().score(PROBLEM, answer).value == 0.0
    assert GSM8K(prompt_file=CHAT).score(PROBLEM, answer).value == 1.0
    plain = {"text": "{{question}}", "stop": ["Q:"]}
    assert GSM8K(prompt_file=plain).score(PROBLEM, "4\nQ: 5").extracted["flexible"] == "4"
    assert GSM8K(prompt_file=plain, prompt_style="chat_tags").score(PROBLEM, "4\nQ: 5").value == 0.0, "no box"


def test_placeholders_may_be_lists() -> None:
    """As in lm-eval's own template of MBPP, which takes the tests one by one."""
    tests = ["assert f(1) == 1", "assert f(2) == 2"]
    fields = {"task": "Identity.", "test_list": tests, "tests": "\n".join(tests), "setup": "", "entry_point": "f"}
    problem = Problem("mbpp/11", 0, "", fields | {"task_id": 11})
    template = {"text": "{{task}}\n{{test_list[0]}}\n{% for test in test_list %}{{test}};{% endfor %}"}
    assert MBPP(prompt_file=template).prompt(problem).text == f"Identity.\n{tests[0]}\n{tests[0]};{tests[1]};"
    with pytest.raises(UserError, match=r"prompt_file: text: cannot be filled in for 'mbpp/11' \(UndefinedError: "):
        MBPP(prompt_file={"text": "{{test_list[2].x}}"}).prompt(problem)


def test_a_style_of_the_book_is_the_same_from_a_file() -> None:
    """Every style's text, written as a file, gives the same prompt."""
    problem = Problem("HumanEval/0", 0, "", {"prompt": "def f(x):\n", "entry_point": "f", "task_id": "HumanEval/0"})
    for name, style in prompt_book("humaneval").styles.items():
        ask, prefill = (text.replace("{prompt}", "{{prompt}}") for text in (style.ask, style.prefill))
        turns = {"turns": [{"role": "user", "content": ask}]} if style.chat else {"text": ask}
        given = HumanEval(prompt_file={**turns, "assistant_prefix": prefill})
        own = HumanEval.model_validate({"prompt_style": name})
        assert given.prompt(problem) == own.prompt(problem)


@pytest.mark.parametrize(
    ("change", "place", "message"),
    [
        ({"turns": None}, (), "either turns, for a chat, or text"),
        ({"text": "{{question}}"}, (), "either turns, for a chat, or text"),
        ({"turns": [{"role": "assistant", "content": "{{question}}"}]}, (), "the last of the turns must be the user's"),
        ({"example_text": "x"}, (), "example_text has no use in a prompt of turns"),
        ({"turns": None, "text": "{{question}}"}, (), "system has no use in a prompt of text"),
        ({"examples": None}, (), "examples and example_turns belong together"),
        ({"example_turns": None}, (), "examples and example_turns belong together"),
        ({"turns": [{"role": "user", "content": "Well?"}]}, ("turns",), "has no placeholder"),
        ({"system": "{{qestion}}"}, ("system",), "no placeholder 'qestion'; allowed: question. Did you mean"),
        ({"assistant_prefix": "{{answer}}"}, ("assistant_prefix",), "no placeholder 'answer'"),
        ({"examples": [{"question": "1"}]}, ("example_turns", 1, "content"), r"examples\[0\] has no field 'answer'"),
        ({"extraction": "last"}, ("extraction",), "found 'last'; allowed: flexible, boxed or strict"),
        ({"system": "{{question"}, ("system",), "line 1 of the text is not a Jinja template"),
        ({"system": "\n{% for %}"}, ("system",), "line 2 of the text is not a Jinja template"),
        ({"turns": [{"role": "system", "content": "x"}]}, ("turns", 0, "role"), "'user' or 'assistant'"),
        ({"sytem": "x"}, ("sytem",), "Extra inputs"),
    ],
)
def test_a_fault_is_reported_with_its_field(change: dict[str, Any], place: tuple, message: str) -> None:
    file = {name: value for name, value in (CHAT | change).items() if value is not None}
    with pytest.raises(ValidationError, match=message) as refused:
        GSM8K(prompt_file=file)
    assert [error["loc"] for error in refused.value.errors()] == [("prompt_file", *place)]


def test_a_template_cannot_reach_python() -> None:
    with pytest.raises(UserError, match="cannot be filled in"):
        PromptFile(text="{{question.__class__.__mro__}}").render("0", {"question": "x"})


def test_the_digest_depends_on_the_fields_only() -> None:
    digest = PromptFile.model_validate(CHAT).digest
    assert PromptFile.model_validate(CHAT | {"example_text": ""}).digest == digest
    others = [CHAT | {"system": "You sum."}, CHAT | {"examples": CHAT["examples"][::-1]}, CHAT | {"stop": []}]
    assert len({digest, *(PromptFile.model_validate(other).digest for other in others)}) == 4
    message = GSM8K(prompt_file=CHAT).prompt_description
    assert message == f"prompt file sha256 {digest[:12]}, someone's repository"


@pytest.mark.parametrize("benchmark", [cls for cls in benchmarks().values() if issubclass(cls, StyledBenchmark)])
def test_every_style_states_the_origin_of_its_form_and_words(benchmark: type[StyledBenchmark]) -> None:
    """None of them claims an evaluation's own words, in its name or its description."""
    book = prompt_book(benchmark().name)
    for name, style in book.styles.items():
        made = benchmark.model_validate({"prompt_style": name})
        assert made.prompt_description.startswith(f"{name}/{style.version}, ")
        assert made.prompt_description.endswith(("our wording", "the data set's own wording"))
        assert not {"llada", "daedal", "lm", "eval"} & set(name.split("_"))
        assert f"prompt_style {name}: {style.description}" in benchmark.remarks()
        words = style.ask
        for field in benchmark.placeholders:
            words = words.replace(f"{{{field}}}", "")
        assert (style.wording == "ours") == bool(words), "its wording is ours unless it adds no word"


OLD = {
    "gsm8k": ("llada", "daedal", "lm_eval", "lm_eval_cot_zeroshot"),
    "humaneval": ("llada", "daedal", "lm_eval", "lm_eval_instruct"),
    "ifeval": ("llada", "lm_eval"),
    "math500": ("llada", "daedal"),
    "mbpp": ("llada", "daedal", "lm_eval"),
}


@pytest.mark.parametrize(("benchmark", "old"), [(name, old) for name, styles in OLD.items() for old in styles])
def test_an_old_name_is_an_error_with_the_new_name(benchmark: str, old: str) -> None:
    with pytest.raises(ValidationError) as refused:
        benchmarks()[benchmark].model_validate({"prompt_style": old})
    (error,) = refused.value.errors()
    (now,) = [name for name, style in prompt_book(benchmark).styles.items() if style.former == old]
    assert error["loc"] == ("prompt_style",)
    assert f"found prompt_style {old!r}, which is called {now!r} now: it has the form of" in error["msg"]
