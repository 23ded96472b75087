"""Exporting rare records: several samples of a problem, failed and unscored samples, empty answers."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from dlm_length.cli.main import app
from dlm_length.config import load_config
from dlm_length.export import export_runs
from dlm_length.records import RunFolder, SampleRecord
from dlm_length.runner.scoring import summarise

RIGHT, EMPTY, FAILED, UNSCORED = "HumanEval/0#0", "HumanEval/0#1", "HumanEval/1#0", "HumanEval/1#1"
ANSWER = "return \"a,b\"\r\n\tif x else 'é'\n"
Finish = Callable[..., Path]


@pytest.fixture
def finish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_sample: Callable[..., SampleRecord]) -> Finish:
    """Writes a finished run of the given samples and returns its folder."""
    monkeypatch.chdir(tmp_path)

    def finish(samples: dict[str, dict[str, Any]], *overrides: str, config: str = "humaneval_fixed") -> Path:
        resolved = load_config(config, ["benchmark.path=unread.jsonl", *overrides])
        records = [make_sample(name, **fields) for name, fields in samples.items()]
        with RunFolder(resolved.run_path) as folder:
            folder.fill(resolved.to_yaml(), [], records)
            folder.finish(summarise(resolved, records, []))
        return resolved.run_path

    (tmp_path / "unread.jsonl").write_text("{}\n")
    return finish


@pytest.fixture
def hard(finish: Finish) -> Path:
    """Two problems with two samples each: a correct, an empty, a failed and an unscored one."""
    nothing = {"resps": [[""]], "filtered_resps": [None], "extracted": {}}
    return finish(
        {
            RIGHT: {"doc_id": 0, "score": 1.0, "resps": [[ANSWER]], "details": {}},
            EMPTY: {"doc_id": 0, "score": 0.0, "e_token": 0, "details": {"reason": "nothing to run"}, **nothing},
            FAILED: {
                **{"doc_id": 1, "score": None, "error": "the prompt is too long", "canvas_ids": [], "trajectory": []},
                **{"n_token": 0, "e_token": 0, "details": {"reason": "not generated"}, **nothing},
            },
            UNSCORED: {"doc_id": 1, "score": None, "details": {"reason": "code was not run"}},
        },
        "benchmark.samples_per_problem=2",
    )


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_have_a_row_for_every_sample(hard: Path, kind: Any, tmp_path: Path) -> None:
    (file,) = export_runs([hard], kind, tmp_path / "out")
    table = pq.read_table(file).to_pandas() if kind == "parquet" else pd.read_csv(file)
    rows = {row["sample"]: row for _, row in table.iterrows()}
    assert list(rows) == [RIGHT, EMPTY, FAILED, UNSCORED]
    assert rows[RIGHT].answer == ANSWER, "line ends and quotes as they were"
    # A CSV has no way to tell an empty text from none: pandas reads both as missing.
    assert rows[EMPTY].answer == "" if kind == "parquet" else pd.isna(rows[EMPTY].answer)
    assert [rows[name].score for name in (RIGHT, EMPTY)] == [1.0, 0.0]
    assert all(math.isnan(rows[name].score) for name in (FAILED, UNSCORED)), "absent, and not 0"
    assert rows[FAILED].error == "the prompt is too long"
    assert all(pd.isna(rows[name].error) for name in (RIGHT, EMPTY, UNSCORED))
    assert pd.isna(rows[EMPTY].extracted)
    assert json.loads(rows[UNSCORED].details) == {"reason": "code was not run"}
    assert (json.loads(rows[FAILED].canvas_ids) if kind == "csv" else list(rows[FAILED].canvas_ids)) == []


@pytest.mark.parametrize("suffix", [".eval", ".json"])
def test_inspect_has_epochs_errors_and_unscored_samples(hard: Path, suffix: str, tmp_path: Path) -> None:
    log_module = pytest.importorskip("inspect_ai.log")
    (file,) = export_runs([hard], "inspect", tmp_path / f"log{suffix}")
    log = log_module.read_eval_log(str(file))
    assert log.eval.config.epochs == 2
    assert log.eval.dataset.sample_ids == ["HumanEval/0", "HumanEval/1"]
    results = log.results
    assert (results.total_samples, results.completed_samples, results.logged_samples) == (4, 3, 4)
    assert (results.scores[0].scored_samples, results.scores[0].unscored_samples) == (2, 2)
    samples = {(sample.id, sample.epoch): sample for sample in log.samples}
    right, empty, failed, unscored = (
        samples[name, epoch] for name in ("HumanEval/0", "HumanEval/1") for epoch in (1, 2)
    )
    assert right.output.completion == ANSWER
    assert (empty.output.completion, empty.error) == ("", None)
    assert [each.scores["pass@1"].value for each in (right, empty)] == [1.0, 0.0]
    assert all(math.isnan(each.scores["pass@1"].value) for each in (failed, unscored))
    assert failed.error.message == "the prompt is too long"
    assert [message.role for message in failed.messages] == ["user"]
    assert unscored.scores["pass@1"].explanation == "code was not run"


def test_lm_eval_s_log_leaves_failed_samples_out_and_scores_again(hard: Path, tmp_path: Path) -> None:
    results, samples = export_runs([hard], "lm-eval", tmp_path / "out")
    lines = [json.loads(line) for line in samples.read_bytes().splitlines()]
    assert [line["doc"]["id"] for line in lines] == [RIGHT, EMPTY, UNSCORED]
    assert [line["doc_id"] for line in lines] == [0, 0, 1]
    assert [line["pass@1"] for line in lines] == [1.0, 0.0, None]
    assert [line["resps"][0][0] for line in lines][:2] == [ANSWER, ""]
    assert lines[1]["filtered_resps"] == ["[invalid]"], "as lm-eval writes where nothing was found"
    content = json.loads(results.read_text())
    assert content["n-samples"] == {"humaneval": {"original": 4, "effective": 3}}
    assert content["results"]["humaneval"]["pass@1,none"] == 0.5


@pytest.mark.parametrize("kind", ["csv", "parquet", "inspect", "lm-eval"])
def test_a_run_whose_samples_all_failed_is_exported_too(finish: Finish, kind: Any, tmp_path: Path) -> None:
    if kind == "inspect":
        pytest.importorskip("inspect_ai")
    failed = {"score": None, "error": "out of memory", "canvas_ids": [], "trajectory": [], "resps": [[""]]}
    run = finish({name: {**failed, "details": {}} for name in ("HumanEval/0", "HumanEval/1")})
    files = export_runs([run], kind, tmp_path / "out")
    assert all(file.exists() for file in files)
    if kind == "lm-eval":
        assert files[1].read_text() == ""
        assert "pass@1,none" not in json.loads(files[0].read_text())["results"]["humaneval"], "undefined, and not 0"


@pytest.mark.parametrize("kind", ["csv", "parquet", "inspect", "lm-eval"])
def test_runs_with_several_seeds_are_exported_separately(finish: Finish, kind: Any, tmp_path: Path) -> None:
    if kind == "inspect":
        pytest.importorskip("inspect_ai")
    runs = [
        finish({"HumanEval/0": {"score": float(seed), "details": {}}}, f"hardware.seed={seed}", "policy.temperature=1")
        for seed in (0, 1)
    ]
    files = export_runs(runs, kind, tmp_path / "out")
    if kind in ("csv", "parquet"):
        table = pd.read_csv(files[0]) if kind == "csv" else pq.read_table(files[0]).to_pandas()
        found = dict(zip(table.run, table.score, strict=True))
    elif kind == "inspect":
        found = {file.stem: _inspect_score(file) for file in files}
    else:
        found = {file.parent.name: _lm_eval_score(file) for file in files if file.name.startswith("results")}
    assert found == {runs[0].name: 0.0, runs[1].name: 1.0}


def _inspect_score(file: Path) -> float:
    from inspect_ai.log import read_eval_log

    results = read_eval_log(str(file)).results
    assert results is not None
    return float(results.scores[0].metrics["mean"].value)


def _lm_eval_score(file: Path) -> float:
    return float(json.loads(file.read_text())["results"]["humaneval"]["pass@1,none"])


def test_answers_of_several_samples_are_scored_from_the_log(hard: Path, tmp_path: Path) -> None:
    """`dlmlen score` identifies each sample by its id, as lm-eval's `doc_id` identifies only the problem."""
    rows: Sequence[dict[str, Any]] = [
        {"task_id": f"HumanEval/{n}", "prompt": "def f():\n", "entry_point": "f", "test": "def check(f): pass"}
        | {"canonical_solution": "    return 1\n"}
        for n in range(2)
    ]
    (tmp_path / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, samples = export_runs([hard], "lm-eval", tmp_path / "out")
    given = ["--benchmark", "humaneval", "benchmark.path=problems.jsonl", "benchmark.samples_per_problem=2"]
    done = CliRunner().invoke(app, ["score", *given, "--answers", str(samples), "--output", f"{tmp_path}/v.jsonl"])
    assert done.exit_code == 0, (done.output, done.exception)
    verdicts = [json.loads(line)["id"] for line in (tmp_path / "v.jsonl").read_text().splitlines()]
    assert set(verdicts) == {RIGHT, EMPTY, UNSCORED}
