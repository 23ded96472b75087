import hashlib
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pandas as pd
import pytest

from dlm_length.benchmarks import Problem, Score, benchmarks
from dlm_length.benchmarks._ifeval import patterns, verify
from dlm_length.benchmarks._ifeval.instructions import INSTRUCTIONS
from dlm_length.benchmarks.ifeval import IFEval
from dlm_length.common import UserError

STYLES = get_args(IFEval.model_fields["prompt_style"].annotation)
SHARED = Path(__file__).parents[3] / "shared" / "data" / "ifeval_input_data.jsonl"
ROW: dict[str, Any] = {
    "key": 1001,
    "prompt": "Write {prompt} without commas,\nand in quotes.",
    "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
    "kwargs": [{}, {}],
}
PROBLEM = Problem("ifeval/1001", 0, "", ROW)


def written(tmp_path: Path, *rows: object) -> str:
    file = tmp_path / "ifeval.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def official() -> list[Problem]:
    if not SHARED.exists():
        pytest.skip("the data set is not on this machine")
    return IFEval(path=str(SHARED)).problems()


def test_the_official_prompts_load(official: list[Problem]) -> None:
    assert len(official) == 541
    assert len({problem.id for problem in official}) == 541
    kinds = Counter(name for problem in official for name in problem.fields["instruction_id_list"])
    assert set(kinds) == set(INSTRUCTIONS)
    assert kinds.total() == 834


def test_every_official_prompt_can_be_scored(official: list[Problem]) -> None:
    benchmark = IFEval()
    scores = {problem.id: benchmark.score(problem, problem.fields["prompt"]) for problem in official}
    blank = {problem.id: benchmark.score(problem, " \n") for problem in official}
    found = benchmark.aggregate(scores)
    assert 0 < found["prompt_level_strict_acc"] < found["prompt_level_loose_acc"] < found["inst_level_loose_acc"] < 1
    assert set(benchmark.aggregate(blank).values()) == {0.0}


def test_a_row_of_the_hub_is_read_without_the_arguments_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(*arguments: object, **keywords: object) -> list[dict[str, Any]]:
        asked.append((arguments, keywords))
        every = {"num_words": None, "relation": None, "keywords": None, "letter": None}
        return [ROW | {"kwargs": [every, every]}]

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset, config=None))
    (problem,) = IFEval().problems()
    assert asked == [(("google/IFEval", None), {"split": "train"})]
    assert problem.id == "ifeval/1001"
    assert IFEval().score(problem, '"Yes."').value == 1.0


WORDS = {
    "key": 7,
    "prompt": "Write it in three words or more, with the word yes.",
    "instruction_id_list": ["length_constraints:number_words", "keywords:existence"],
    "kwargs": [{"num_words": 3, "relation": "at least"}, {"keywords": ["yes"]}],
}
PANDAS = WORDS | {
    "key": 7.0,
    "kwargs": [
        {"num_words": 3.0, "relation": "at least", "keywords": float("nan"), "num_sentences": float("nan")},
        {"num_words": float("nan"), "relation": float("nan"), "keywords": ["yes"], "num_sentences": None},
    ],
}


@pytest.mark.parametrize("answer", ["yes", "oh yes, yes", "no no no", ""])
def test_rows_as_pandas_writes_them_are_read(tmp_path: Path, answer: str) -> None:
    """Integers as floats, and NaN for absent values: in JSON, and in a Parquet file."""
    (clean,) = IFEval(path=written(tmp_path, WORDS)).problems()
    (odd,) = IFEval(path=written(tmp_path, PANDAS)).problems()
    pd.DataFrame([WORDS, WORDS | {"key": 8}]).to_parquet(tmp_path / "ifeval.parquet")
    packed = IFEval(path=str(tmp_path / "ifeval.parquet")).problems()
    assert [problem.id for problem in packed] == ["ifeval/7", "ifeval/8"]
    assert odd.id == clean.id == "ifeval/7"
    scores = [IFEval().score(problem, answer) for problem in (clean, odd, *packed)]
    assert scores == [scores[0]] * 4
    assert verify(PANDAS["instruction_id_list"], PANDAS["kwargs"], answer).strict == tuple(
        scores[0].details["inst_level_strict_acc"]
    )


@pytest.mark.parametrize("value", [2.5, "3", float("inf")])
def test_a_number_that_is_not_an_integer_is_still_refused(tmp_path: Path, value: object) -> None:
    path = written(tmp_path, WORDS | {"kwargs": [{"num_words": value, "relation": "at least"}, {"keywords": ["yes"]}]})
    with pytest.raises(UserError, match=r"row 1: instruction 'length_constraints:number_words': num_words: "):
        IFEval(path=path).problems()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": None}, "expected a number or a text in key, found None"),
        ({"prompt": 3}, "expected the fields prompt as text"),
        ({"instruction_id_list": None}, "list of instruction ids"),
        ({"kwargs": [{}]}, "as many objects in kwargs as instructions \\(2\\), found 1"),
        ({"instruction_id_list": ["punctuation:no_comma", "startend:quotes"]}, "Did you mean 'startend:quotation'?"),
        ({"kwargs": [{}, {"end_phrase": "Bye."}]}, "'startend:quotation': it has no argument 'end_phrase'"),
        ({}, "the id 'ifeval/1001' occurs already at .*, row 1"),
    ],
)
def test_a_malformed_row_is_refused_by_file_and_row(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = written(tmp_path, ROW, ROW | {"key": 1001 if not change else 1002} | change)
    with pytest.raises(UserError, match=rf"ifeval\.jsonl, row 2: .*{message}"):
        IFEval(path=path).problems()


@pytest.mark.parametrize("missing", ["key", "prompt", "instruction_id_list", "kwargs"])
def test_a_row_that_lacks_a_field_is_refused(tmp_path: Path, missing: str) -> None:
    path = written(tmp_path, {name: value for name, value in ROW.items() if name != missing})
    with pytest.raises(UserError, match=rf"ifeval\.jsonl, row 1: .*{missing}"):
        IFEval(path=path).problems()


def test_the_prompt_is_used_unchanged() -> None:
    assert IFEval().prompt(PROBLEM).messages == (("user", ROW["prompt"]),)
    assert IFEval(prompt_style="text_bare").prompt(PROBLEM).text == ROW["prompt"]


def test_a_changed_text_needs_a_new_version() -> None:
    digests = {
        IFEval(prompt_style=style).prompt_version: hashlib.sha256(
            repr(IFEval(prompt_style=style).prompt(PROBLEM)).encode()
        ).hexdigest()[:12]
        for style in STYLES
    }
    assert digests == {"chat_bare/1": "8d5f6b93fb9b", "text_bare/1": "803875b93245"}


def test_a_score_records_every_verdict_and_what_failed() -> None:
    score = IFEval().score(PROBLEM, 'Sure, here:\n"Yes sir."')
    assert score.value == 0.0
    assert score.details == {
        "reason": "not_followed",
        "prompt_level_loose_acc": True,
        "inst_level_strict_acc": [False, False],
        "inst_level_loose_acc": [True, True],
        "failed_instructions": ["punctuation:no_comma", "startend:quotation"],
    }
    assert score.details == json.loads(json.dumps(score.details))
    assert IFEval().score(PROBLEM, '"Yes."').details["reason"] == "followed"
    assert IFEval().score(PROBLEM, " ").details["reason"] == "no_answer"


def test_instructions_are_pooled_over_prompts() -> None:
    one = Problem("ifeval/1", 0, "", ROW | {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]})
    benchmark = IFEval()
    scores = {
        "a": benchmark.score(one, "Yes."),  # 1 of 1
        "b": benchmark.score(PROBLEM, "Yes:\n“no”"),  # 1 of 2
        "c": benchmark.score(PROBLEM, 'Yes, sir:\n"no"'),  # 0 of 2, loosely 2
        "d": Score(None, details={"reason": "not generated"}),
    }
    assert benchmark.aggregate(scores) == {
        "prompt_level_strict_acc": pytest.approx(1 / 3),
        "inst_level_strict_acc": pytest.approx(2 / 5),
        "prompt_level_loose_acc": pytest.approx(2 / 3),
        "inst_level_loose_acc": pytest.approx(4 / 5),
    }
    assert benchmark.aggregate({"d": scores["d"]}) == {}


def test_the_benchmark_is_found_by_its_name() -> None:
    assert benchmarks()["ifeval"] is IFEval


def test_a_data_sets_own_expression_that_never_ends_leaves_the_answer_unscored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "CPU_SECONDS", 1.0)
    keywords = {
        "keywords:existence": {"keywords": ["(a+)+$"]},
        "keywords:forbidden_words": {"forbidden_words": ["(b|b?)+c"]},
    }
    row = ROW | {"instruction_id_list": list(keywords), "kwargs": list(keywords.values())}
    benchmark, asked = IFEval(), Problem("ifeval/1", 0, "", row)
    endless = benchmark.score(asked, "a" * 40 + "!")
    assert endless.value is None
    assert endless.details["reason"] == (
        "not scored: the data set's regular expression '(a+)+$' took more than 1 s on an answer of 41 characters"
    )
    followed = benchmark.score(asked, "It is aaa")
    assert followed.value == 1.0
    assert benchmark.aggregate({"a": endless, "b": followed})["prompt_level_strict_acc"] == 1.0
    assert benchmark.score(asked, "aaa bc").details["failed_instructions"] == [
        "keywords:existence",
        "keywords:forbidden_words",
    ]


def test_expressions_are_counted_as_findall_counts_them() -> None:
    for pattern in ("the", "a+", "(the|a) b", r"\bthe\b", "x*", r"\d{2}"):
        text = "The a b, the other aa b 123\n" * 3
        assert patterns.occurrences(pattern, text, re.IGNORECASE) == len(re.findall(pattern, text, re.IGNORECASE))
