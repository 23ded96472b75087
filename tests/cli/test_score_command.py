"""`dlmlen score` on recorded answers and on files of them."""

import json
from pathlib import Path

import pytest
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
    }


def test_the_sample_logs_of_lm_eval_are_read(data: str) -> None:
    log = {"doc": {"question": "..."}, "target": "#### 6", "filtered_resps": ["6"], "exact_match": 1.0}
    answers = written([log | {"doc_id": 1, "resps": [["So #### 6"]]}])
    found = metrics(data, "benchmark.prompt_style=lm_eval", "--answers", answers, "--benchmark", "gsm8k")
    assert (found["samples"], found["exact_match"]) == (1, 1.0)


def test_verdicts_are_written_where_asked(data: str) -> None:
    answers = written([{"id": 0, "text": "It is 4. \u2028 é 語"}])
    shown = score("--answers", answers, "--benchmark", "gsm8k", data, "--output", "verdicts.jsonl").stdout
    assert "1 of the benchmark's 3 problems have an answer here." in shown
    (line,) = Path("verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    verdict = json.loads(line)
    assert (verdict["id"], verdict["value"], verdict["answer"]) == ("gsm8k/0", 1.0, "4")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ({"id": "gsm8k/9", "text": "x"}, r"row 1: answers 'gsm8k/9', which is none of the 3 problems"),
        ({"id": "gsm8k/0"}, "row 1: expected `id` and `text`, or lm-eval's `doc_id` and `resps`; found id"),
        ({"doc_id": 0, "resps": []}, "row 1: expected `id` and `text`"),
        ({"id": "gsm8k/0", "text": 3}, "row 1: expected `id` and `text`"),
    ],
)
def test_lines_that_are_no_answers_are_named(data: str, line: dict, told: str) -> None:
    done = score("--answers", written([line]), "--benchmark", "gsm8k", data, fails=True)
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)


def test_a_second_answer_to_a_problem_is_refused(data: str) -> None:
    answers = written([{"id": 0, "text": "4"}, {"id": "gsm8k/0", "text": "5"}])
    done = score("--answers", answers, "--benchmark", "gsm8k", data, fails=True)
    assert "row 2: answers 'gsm8k/0' a second time" in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "give either a run's folder, or --answers FILE with --benchmark NAME"),
        (("--benchmark", "gsm8k"), "give either a run's folder"),
        (("RUN", "--benchmark", "gsm8k"), "give either a run's folder"),
        (("--answers", "x.jsonl"), "give either a run's folder"),
        (("nowhere",), "run nowhere: no run is there"),
        (("--answers", "x.jsonl", "--benchmark", "gsm9k"), "Did you mean 'gsm8k'?"),
        (("--answers", "x.jsonl", "--benchmark", "gsm8k", "benchmark.pth=y"), "Did you mean 'path'?"),
        (("--answers", "x.jsonl", "--benchmark", "gsm8k", "policy.tau=1"), "only benchmark.FIELD=VALUE"),
        (("nowhere", "--output", "no/where.jsonl"), "there is no folder no"),
    ],
)
def test_what_cannot_be_scored_is_told(data: str, arguments: tuple[str, ...], told: str) -> None:
    done = score(*arguments, fails=True)
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)


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


def test_a_score_that_changed_is_told(finished: Path) -> None:
    samples = finished / "samples.jsonl"
    first, second = read_samples(finished)
    right = first.model_copy(update={"resps": [["The answer is 4."]]})
    samples.write_text(right.model_dump_json() + "\n" + second.model_dump_json() + "\n")
    assert "1 samples had another score before, or none: gsm8k/0." in score(str(finished)).stdout


def test_only_what_decides_scores_can_be_given(finished: Path) -> None:
    assert "decides no score" in str(score(str(finished), "policy.length=9", fails=True).exception)
    fewer = score(str(finished), "benchmark.limit=1", fails=True)
    assert "answers 1 problems that benchmark does not have now (gsm8k/1)" in str(fewer.exception)
