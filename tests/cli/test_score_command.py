"""`dlmlen score` on recorded answers and on files of them."""

import json
from pathlib import Path

import pandas as pd
import pytest
from command_fixtures import CommandLine
from typer.testing import CliRunner, Result

from dlm_length.cli.main import app
from dlm_length.common import UserError
from dlm_length.config import load_config
from dlm_length.records import read_samples

QUESTIONS = [
    ("What is 2 plus 2?", "2 + 2 = 4\n#### 4"),
    ("What is 3 plus 3?", "3 + 3 = 6\n#### 6"),
    ("And 1?", "#### 1"),
]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "gsm8k.jsonl"
    file.write_text("".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in QUESTIONS))
    return f"benchmark.path={file}"


def score(*arguments: str, fails: bool = False) -> Result:
    done = CliRunner().invoke(app, ["score", *arguments])
    assert (done.exception is None) is not fails, done.exception
    return done


def metrics(*arguments: str) -> dict:
    return json.loads(score(*arguments, "--json").stdout)


def written(lines: list[dict]) -> str:
    Path("answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return "answers.jsonl"


def test_answers_by_id_or_row_are_scored(data: str) -> None:
    answers = written([{"id": "gsm8k/0", "text": "It is 4."}, {"id": 2, "text": "It is 2."}])
    assert metrics("--answers", answers, "--benchmark", "gsm8k", data) == {
        "benchmark": "gsm8k",
        "problems": 3,
        "samples": 2,
        "scored": 2,
        "exact_match": 0.5,
        "exact_match_strict": 0.0,
        "exact_match_flexible": 0.5,
        "exact_match_boxed": 0.0,
        "exact_match_stderr": 0.5,
        "exact_match_strict_stderr": 0.0,
        "exact_match_flexible_stderr": 0.5,
        "exact_match_boxed_stderr": 0.0,
    }


def test_the_sample_logs_of_lm_eval_are_read(data: str) -> None:
    log = {"doc": {"question": QUESTIONS[1][0]}, "target": "#### 6", "filtered_resps": ["6"], "exact_match": 1.0}
    answers = written([log | {"doc_id": 1, "resps": [["So #### 6"]]}])
    found = metrics(data, "benchmark.prompt_style=text_cot_5shot", "--answers", answers, "--benchmark", "gsm8k")
    assert (found["samples"], found["exact_match"]) == (1, 1.0)


def test_a_sample_that_lm_eval_logged_once_a_filter_is_one_answer(data: str) -> None:
    lines = [
        {"doc_id": n, "doc": {"question": QUESTIONS[n][0]}, "resps": [[f"#### {n}"]], "filter": name}
        for name in ("strict-match", "flexible-extract")
        for n in range(2)
    ]
    assert metrics("--answers", written(lines), "--benchmark", "gsm8k", data)["samples"] == 2
    lines[3]["resps"] = [["another"]]
    done = score("--answers", written(lines), "--benchmark", "gsm8k", data, fails=True)
    assert "row 4: answers 1 a second time" in str(done.exception)


def two_filters(
    find: tuple[list, list], texts: tuple[str, ...] = ("    return 2 * x\n", "    return x\n")
) -> list[dict]:
    """A log of before lm-eval named the filter: every sample once a filter, with what that found in it."""
    return [
        {"doc_id": n, "resps": [[text]], "filtered_resps": found[n]} for found in find for n, text in enumerate(texts)
    ]


def test_two_filters_without_a_name_are_one_answer_each(data: str) -> None:
    """Where they found the same, their lines are equal."""
    lines = two_filters((["4", "[invalid]"], ["4", "6"]), ("It is #### 4", "It is 6"))
    assert metrics("--answers", written(lines), "--benchmark", "gsm8k", data)["samples"] == 2


def test_two_filters_without_a_name_are_no_second_sample(humaneval: tuple[str, ...]) -> None:
    """Where two samples of each problem are expected, a second filter's line must not become one of them."""
    twice = (*humaneval, "benchmark.samples_per_problem=2")
    lines = two_filters((["a", "b"], ["c", "d"]))
    assert metrics("--answers", written(lines), *twice)["samples"] == 2
    others = [{"doc_id": n, "resps": [["    return 3\n"]], "filtered_resps": ["x"]} for n in range(2)]
    assert metrics("--answers", written(lines + others), *twice)["samples"] == 4
    refused = score("--answers", written(two_filters((["a", "b"], ["a", "b"]))), *twice, fails=True)
    assert "row 3: answers 'HumanEval/0' as answers.jsonl, row 1 does, word for word" in str(refused.exception)
    assert "neither line names its `filter`" in str(refused.exception)
    plain = [{"task_id": f"HumanEval/{n}", "completion": RIGHT} for n in (0, 0, 1, 1)]
    assert metrics("--answers", written(plain), *twice)["pass@1"] == 1.0, "no log of lm-eval's"


def test_answers_as_pandas_writes_them_are_read(data: str) -> None:
    """A Parquet file, whose numbers are in floating point and whose absent fields are NaN."""
    rows = {"doc_id": [0.0, 1.0, 2.0], "text": ["It is 4", "5", "1"], "filter": [float("nan")] * 3}
    pd.DataFrame(rows).to_parquet("answers.parquet")
    found = metrics("--answers", "answers.parquet", "--benchmark", "gsm8k", data)
    assert (found["samples"], found["exact_match"]) == (3, pytest.approx(2 / 3))


def test_an_answers_file_that_steers_the_terminal_is_printed_harmlessly(data: str, command_line: CommandLine) -> None:
    answers = written([{"id\x1b[2J\u202e": 0, "answer\x9b": "x"}])
    message = command_line("score", "--answers", answers, "--benchmark", "gsm8k", data).stderr
    assert "found id\\x1b[2J\\u202e, answer\\x9b." in message
    assert message.isascii()


def test_a_log_of_another_data_set_is_refused(data: str) -> None:
    log = {"doc_id": 0, "doc": {"question": "another"}, "target": "#### 99", "resps": [["#### 4"]]}
    done = score("--answers", written([log]), "--benchmark", "gsm8k", data, fails=True)
    message = f"row 1: answers another data set: question is 'another' there, {QUESTIONS[0][0]!r} in 'gsm8k/0'"
    assert message in str(done.exception)


IFEVAL = [
    {"key": key, "prompt": f"{key}?", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
    for key in (1087, 0, 13)
]


@pytest.mark.parametrize(
    "lines",
    [
        [{"id": 1087, "text": "a"}, {"id": "ifeval/0", "text": "a, b"}],
        [{"key": 1087, "response": "a"}, {"key": 0, "response": "a, b"}],
        [{"prompt": "1087?", "response": "a"}, {"prompt": "0?", "response": "a, b"}],
        [{"doc_id": 0, "resps": [["a"]]}, {"doc_id": 1, "resps": [["a, b"]]}],
    ],
)
def test_a_number_is_the_data_sets_own_where_it_has_one(data: str, lines: list[dict]) -> None:
    Path("ifeval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in IFEVAL))
    local = ("--benchmark", "ifeval", "benchmark.path=ifeval.jsonl")
    score("--answers", written(lines), *local, "--output", "verdicts.jsonl")
    verdicts = [json.loads(line) for line in Path("verdicts.jsonl").read_text().splitlines()]
    assert {verdict["id"]: verdict["value"] for verdict in verdicts} == {"ifeval/1087": 1.0, "ifeval/0": 0.0}
    refused = score("--answers", written([{"id": 2, "text": "a"}]), *local, fails=True)
    assert "row 1: answers id 2, which is none of the 3 problems" in str(refused.exception)


HUMANEVAL = {
    "prompt": "def double(x):\n",
    "entry_point": "double",
    "canonical_solution": "    return 2 * x\n",
    "test": "def check(f):\n    assert f(2) == 4\n",
}
RIGHT, WRONG = "    return 2 * x\n", "    return x\n"


@pytest.fixture
def humaneval(data: str) -> tuple[str, ...]:
    rows = [HUMANEVAL | {"task_id": f"HumanEval/{n}"} for n in range(2)]
    Path("humaneval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = ("benchmark.execute_code=true", "benchmark.isolation=process_limits", "benchmark.prompt_style=text_bare")
    return ("--benchmark", "humaneval", "benchmark.path=humaneval.jsonl", *run)


@pytest.mark.parametrize(
    "lines",
    [
        [{"doc_id": 0, "resps": [[RIGHT, WRONG]]}, {"doc_id": 1, "resps": [[WRONG, WRONG]]}],
        [{"task_id": f"HumanEval/{n // 2}", "completion": RIGHT if n == 0 else WRONG} for n in range(4)],
        [{"id": f"HumanEval/{n // 2}#{n % 2}", "text": RIGHT if n == 0 else WRONG} for n in range(4)],
    ],
)
def test_several_samples_of_a_problem_are_scored(humaneval: tuple[str, ...], lines: list[dict]) -> None:
    found = metrics("--answers", written(lines), *humaneval, "benchmark.samples_per_problem=2")
    assert (found["samples"], found["pass@1"], found["pass@2"]) == (4, 0.25, 0.5)
    (isolation,) = found["isolation"]
    assert isolation.startswith("process limits; ")


def test_samples_that_differ_in_number_are_refused(humaneval: tuple[str, ...]) -> None:
    three = written([{"doc_id": 0, "resps": [[RIGHT, WRONG, WRONG]]}])
    message = str(score("--answers", three, *humaneval, fails=True).exception)
    assert "row 1: has 3 answers to 0, where 1 is scored; benchmark.samples_per_problem says how many" in message
    lines = written([{"task_id": "HumanEval/0", "completion": RIGHT}] * 3)
    two = score("--answers", lines, *humaneval, "benchmark.samples_per_problem=2", fails=True)
    assert "row 3: answers 'HumanEval/0' more than 2 times" in str(two.exception)


def test_the_weaker_isolation_is_named(humaneval: tuple[str, ...]) -> None:
    answers = written([{"task_id": "HumanEval/0", "completion": RIGHT}])
    shown = " ".join(score("--answers", answers, *humaneval).stdout.split())
    assert "Generated code ran outside bubblewrap, under process limits; network: " in shown


@pytest.mark.parametrize("output", ["answers.jsonl", "gsm8k.jsonl", "./answers.jsonl"])
def test_what_is_read_is_not_overwritten(data: str, output: str) -> None:
    answers = written([{"id": 0, "text": "4"}])
    before = Path(output).read_bytes()
    done = score("--answers", answers, "--benchmark", "gsm8k", data, "--output", output, fails=True)
    assert f"--output {Path(output)}: is a file that the command reads" in str(done.exception)
    assert Path(output).read_bytes() == before


def test_verdicts_are_written_where_asked(data: str) -> None:
    answers = written([{"id": 0, "text": "It is 4. \u2028 é 語"}])
    shown = score("--answers", answers, "--benchmark", "gsm8k", data, "--output", "verdicts.jsonl").stdout
    assert "1 of the benchmark's 3 problems have an answer here." in shown
    (line,) = Path("verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    verdict = json.loads(line)
    assert (verdict["id"], verdict["value"], verdict["answer"]) == ("gsm8k/0", 1.0, "4")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"id": "gsm8k/9", "text": "x"}, "row 1: answers id 'gsm8k/9', which is none of the 3 problems"),
        ({"id": "gsm8k/0"}, "row 1: expected `id` and `text`, lm-eval's `doc_id` and `resps`, "),
        ({"text": "x"}, "or `prompt` and `response`; found text"),
        ({"doc_id": 0, "resps": []}, "row 1: expected a list of answers inside a list in 'resps', found []"),
        ({"doc_id": 0, "resps": ["18"]}, "row 1: expected a list of answers inside a list in 'resps', found ['18']"),
        ({"id": "gsm8k/0", "text": 3}, "row 1: expected a text in 'text', found 3"),
        ({"id": 0, "text": None}, "row 1: expected a text in 'text', found None"),
        ({"id": 0.5, "text": "x"}, "row 1: expected a problem's id or number in 'id', found 0.5"),
        ({"id": True, "text": "x"}, "row 1: expected a problem's id or number in 'id', found True"),
        ({"doc_id": [], "resps": [["x"]]}, "row 1: expected a problem's id or number in 'doc_id', found []"),
    ],
)
def test_lines_that_are_no_answers_are_named(data: str, line: dict, message: str) -> None:
    done = score("--answers", written([line]), "--benchmark", "gsm8k", data, fails=True)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


def test_a_second_answer_to_a_problem_is_refused(data: str) -> None:
    answers = written([{"id": 0, "text": "4"}, {"id": "gsm8k/0", "text": "5"}])
    done = score("--answers", answers, "--benchmark", "gsm8k", data, fails=True)
    assert "row 2: answers 'gsm8k/0' a second time" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "found neither a run nor answers; allowed: a run's folder, or --answers FILE with --benchmark NAME"),
        (("--benchmark", "gsm8k"), "allowed: a run's folder, or --answers"),
        (("RUN", "--benchmark", "gsm8k"), "allowed: a run's folder, or --answers"),
        (("--answers", "gsm8k.jsonl"), "score: found --answers; allowed"),
        (("nowhere",), "run nowhere: there is no such folder."),
        (("--answers", "gsm8k.jsonl", "--benchmark", "gsm9k"), "Did you mean 'gsm8k'?"),
        (("--answers", "gsm8k.jsonl", "--benchmark", "GSM8K"), "Did you mean 'gsm8k'?"),
        (("nowhere", "--output", "."), "--output .: is a folder"),
        (("--answers", "gsm8k.jsonl", "--benchmark", "gsm8k", "benchmark.pth=y"), "Did you mean 'path'?"),
        (("--answers", "gsm8k.jsonl", "--benchmark", "gsm8k", "policy.tau=1"), "only benchmark.FIELD=VALUE"),
        (("nowhere", "--output", "no/where.jsonl"), "there is no folder no"),
    ],
)
def test_what_cannot_be_scored_is_explained(data: str, arguments: tuple[str, ...], message: str) -> None:
    done = score(*arguments, fails=True)
    assert isinstance(done.exception, UserError)
    assert message in str(done.exception)


@pytest.fixture
def finished(data: str) -> Path:
    overrides = [data, "benchmark.limit=2", "policy.length=8", "hardware.threads=1", "hardware.max_batch_tokens=512"]
    done = CliRunner().invoke(app, ["run", "--config", "tiny_gsm8k_fixed", *overrides])
    assert done.exit_code == 0, done.output
    return load_config("tiny_gsm8k_fixed", overrides).run_path


def test_a_run_is_scored_again_from_its_records_alone(finished: Path) -> None:
    before = {file.name: file.read_bytes() for file in finished.iterdir()}
    found = metrics(str(finished))
    recorded = json.loads((finished / "metrics.json").read_text())["metrics"]
    assert {name: found[name] for name in recorded} == recorded
    assert (found["samples"], found["scored"]) == (2, 2)
    assert {file.name: file.read_bytes() for file in finished.iterdir()} == before


def test_another_benchmark_than_the_named_one_is_refused(data: str) -> None:
    answers = written([{"id": "gsm8k/0", "text": "It is 4."}])
    done = score("--answers", answers, "--benchmark", "gsm8k", "benchmark.name=mbpp", data, fails=True)
    assert str(done.exception) == ("score: found 'benchmark.name=mbpp' and --benchmark gsm8k; allowed: one of them.")


def test_a_score_that_changed_is_noted(finished: Path) -> None:
    samples = finished / "samples.jsonl"
    first, second = sorted(read_samples(finished), key=lambda record: record.id)
    right = first.model_copy(update={"resps": [["The answer is 4."]]})
    samples.write_text(right.model_dump_json() + "\n" + second.model_dump_json() + "\n")
    assert "1 sample had another score before, or none: gsm8k/0." in score(str(finished)).stdout


def test_only_what_decides_scores_can_be_given(finished: Path) -> None:
    assert "allowed: benchmark.FIELD=VALUE" in str(score(str(finished), "policy.length=9", fails=True).exception)
    fewer = score(str(finished), "benchmark.limit=1", fails=True)
    assert "1 sample is not among the config's problems: gsm8k/1. The data must be the same" in str(fewer.exception)


def test_the_run_may_stand_behind_the_fields(finished: Path) -> None:
    assert metrics("benchmark.prompt_style=chat_cot_4shot", str(finished)) == metrics(str(finished))


def test_nothing_is_written_into_a_run(finished: Path) -> None:
    for name in ("samples.jsonl", "verdicts.jsonl"):
        done = score(str(finished), "--output", str(finished / name), fails=True)
        assert f"is in the folder of the run {finished}" in str(done.exception)


def test_scores_are_shown_with_their_intervals(data: str) -> None:
    answers = written([{"id": "gsm8k/0", "text": "It is 4."}, {"id": 2, "text": "It is 2."}])
    shown = score("--answers", answers, "--benchmark", "gsm8k", data).stdout
    (line,) = [line for line in shown.splitlines() if line.startswith("│ exact_match ")]
    assert [cell.strip() for cell in line.split("│")[1:4]] == ["exact_match", "0.5000", "[0.0945, 0.9055]"]
    assert "Scores have 95% intervals: Wilson." in shown
