"""The mini benchmarks: reproducible, disjoint from the training data, and scored like the large benchmarks."""

import json
import re
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from mini_benchmarks import GENERATORS
from mini_benchmarks.__main__ import main
from mini_benchmarks.item import LONGEST_ANSWER, Item, items

import dlm_length.benchmarks
from dlm_length.benchmarks import benchmarks
from dlm_length.benchmarks._data import packaged_rows
from dlm_length.benchmarks._ifeval.instructions import INSTRUCTIONS

NAMES = sorted(GENERATORS)


def answer_of(fields: dict[str, Any]) -> str:
    """The generator's own answer to a row."""
    if "canonical_solution" in fields:
        return fields["prompt"].split("\n")[0] + "\n" + fields["canonical_solution"].rstrip()
    if "references" in fields:
        return fields["references"][0]
    return fields.get("reference", fields.get("answer"))


def test_the_generators_reproduce_the_shipped_files(tmp_path: Path) -> None:
    main(tmp_path)
    shipped = Path(dlm_length.benchmarks.__file__).with_name("data")
    assert {file.name for file in shipped.iterdir()} == {f"{name}.jsonl" for name in NAMES}
    for name in NAMES:
        assert (tmp_path / f"{name}.jsonl").read_text() == (shipped / f"{name}.jsonl").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_no_test_item_occurs_in_the_training_data(name: str) -> None:
    """Judged by the rows alone, independently of the generators' notion of meaning."""
    test = {request_of(fields) for fields in rows(name)}
    assert len(test) == 200
    prompts = {fields.get("question", fields.get("prompt")) for fields in rows(name)}
    train = list(islice(items(GENERATORS[name], "train", "any seed"), 20_000))
    assert not test & {request_of(with_reference(item)) for item in train}
    assert not prompts & {item.prompt for item in train}


def rows(name: str) -> list[dict[str, Any]]:
    return [fields for _, fields in packaged_rows(name, None)]


def with_reference(item: Item) -> dict[str, Any]:
    return {**item.row, "reference": item.answer}


def request_of(fields: dict[str, Any]) -> str:
    """The request of a row, independent of its wording."""
    if "entry_point" in fields:  # on what kind of argument, the tests show
        variable = re.search(r"\((\w+)\)", fields["prompt"])
        assert variable is not None
        inputs = re.findall(r"candidate\((.*)\) ==", fields["test"])
        return str(inputs) + re.sub(rf"\b{variable[1]}\b", "v", fields["canonical_solution"])
    if "instruction_id_list" in fields:
        pairs = zip(fields["instruction_id_list"], map(json.dumps, fields["kwargs"]), strict=True)
        choice = fields["prompt"].split("?")[0] if "My answer is" in fields["reference"] else ""
        return choice + fields["reference"] + str(sorted(pairs))
    if "####" in fields["answer"]:
        worth = "dollars" in fields["question"]
        return str(re.findall(r"\d+ [-+*/] \d+ = \d+", fields["answer"])) + worth * " dollars"
    return str(sorted(fields["answer"].rstrip(".").split(". ")))


def test_kinds_occur_as_often_in_tests_as_the_generator_makes_them() -> None:
    """Except that requests with three wordings, and pairs in two orders, are held out less often."""
    rng = Random("kinds")
    for name, kind, telling in (
        ("mini_ifeval", "_sentences", lambda row: '"num_sentences"' in row and '"at least"' in row),
        ("mini_longformqa", "two things", lambda row: re.search(r'"(Compare|About|Take) the ', row)),
    ):
        made = np.mean([GENERATORS[name](rng).kind == kind for _ in range(2000)])
        tested = np.mean([bool(telling(json.dumps(fields))) for fields in rows(name)])
        assert abs(tested - made) < 0.08


@pytest.mark.parametrize("name", NAMES)
def test_the_stream_is_seeded_and_varied(name: str) -> None:
    one, same, other = (list(islice(items(GENERATORS[name], "train", seed), 500)) for seed in ("a", "a", "b"))
    assert one == same != other
    assert len({item.meaning for item in one}) > 400
    assert all(0 < len(item.answer) <= LONGEST_ANSWER for item in one)
    lengths = sorted(len(item.answer) for item in one)
    assert lengths[-25] > 4 * lengths[25], "lengths that hardly differ teach nothing about length"


@pytest.mark.parametrize("name", ["mini_gsm8k", "mini_ifeval", "mini_longformqa"])
def test_the_generators_own_answers_are_correct_and_nonsense_is_wrong(name: str) -> None:
    benchmark = benchmarks()[name]()
    for problem in benchmark.problems():
        assert benchmark.score(problem, answer_of(dict(problem.fields))).value == 1.0
        assert benchmark.score(problem, "").value == 0.0
    nonsense = [benchmark.score(problem, "#### 987654").value for problem in benchmark.problems()]
    allowed = 0.2 if name == "mini_ifeval" else 0.0
    assert np.mean(nonsense) <= allowed, "it has less than 20 words, no comma, and so on"


def test_the_generators_own_functions_pass_and_empty_ones_fail() -> None:
    benchmark = benchmarks()["mini_humaneval"](execute_code=True)
    for problem in benchmark.problems()[:24]:
        assert benchmark.score(problem, answer_of(dict(problem.fields))).value == 1.0
        header = problem.fields["prompt"].split("\n")[0]
        assert benchmark.score(problem, f"{header}\n    return None").value == 0.0


def test_every_type_of_instruction_occurs() -> None:
    occurring = {name for p in benchmarks()["mini_ifeval"]().problems() for name in p.fields["instruction_id_list"]}
    assert occurring == set(INSTRUCTIONS)


def test_word_problems_have_one_to_six_steps_that_add_up() -> None:
    steps = set()
    for item in islice(items(GENERATORS["mini_gsm8k"], "train", "steps"), 300):
        *lines, last = item.answer.split("\n")
        steps.add(len(lines))
        for line in lines:
            sum_, result = line.rstrip(".").split(" = ")
            left, operator, right = sum_.split()[-3:]
            assert eval(f"{left} {operator} {right}") == int(result.split()[0])
        assert last == f"#### {result.split()[0]}"
    assert steps == {1, 2, 3, 4, 5, 6}


def test_prompts_are_the_bare_text() -> None:
    for name in NAMES:
        benchmark = benchmarks()[name]()
        problem = benchmark.problems()[0]
        text = problem.fields.get("question", problem.fields.get("prompt"))
        assert benchmark.prompt(problem).messages == (("user", text),)


def test_another_file_of_the_same_form_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps({"question": "How many?", "answer": "#### 3"}) + "\n")
    assert [p.target for p in benchmarks()["mini_gsm8k"](path=str(file)).problems()] == ["3"]


def test_a_function_is_tested_on_its_own_steps() -> None:
    """The expected values come from running the solution; another solution for the same header must fail."""
    rng = Random("functions")
    differ = 0
    for _ in range(20):
        one, other = (GENERATORS["mini_humaneval"](rng) for _ in range(2))
        differ += one.row["test"] != other.row["test"]
    assert differ > 15
