"""Exported files can be read by the programs they are made for, and hold the content of the records."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from dlm_length import load_runs
from dlm_length.cli.main import app
from dlm_length.common import ConfigError, UserError
from dlm_length.export import export_runs, plan_upload, upload
from dlm_length.export import inspect_log as inspect_module
from dlm_length.records import RunMetrics, SampleRecord, read_metrics, read_samples

STUDY = Path(__file__).parents[2] / "results" / "example" / "study_mini"
GSM8K = next(iter(sorted(STUDY.glob("mini_gsm8k__llada-mini__smartcrop__*"))))


def run_of(benchmark: str) -> Path:
    return next(iter(sorted(STUDY.glob(f"mini_{benchmark}__llada-mini__smartcrop__*"))))


def records_of(run: Path) -> tuple[RunMetrics, dict[str, SampleRecord]]:
    metrics = read_metrics(run)
    return metrics, {each.id: each for each in read_samples(run, only=metrics.sample_ids)}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_table_has_a_row_per_sample_with_texts_and_tokens(kind: Any, tmp_path: Path) -> None:
    (file,) = export_runs([STUDY], kind, tmp_path)
    table = pq.read_table(file).to_pandas() if kind == "parquet" else pd.read_csv(file)
    frame = load_runs(STUDY).frame()
    assert len(table) == len(frame)
    assert list(table.columns)[: len(frame.columns)] == list(frame.columns)
    assert table["flops"].tolist() == frame["flops"].tolist()
    _, records = records_of(GSM8K)
    for _, row in table[table.run == GSM8K.name].iterrows():
        record = records[row["sample"]]
        ids = json.loads(row.canvas_ids) if kind == "csv" else list(row.canvas_ids)
        assert (row.prompt, row.answer, ids) == (record.prompt, record.resps[0][0], record.canvas_ids)


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for kind in ("parquet", "csv", "lm-eval"):
        first, again = (export_runs([GSM8K], kind, tmp_path / part / kind) for part in "ab")  # type: ignore[arg-type]
        assert [file.read_bytes() for file in first] == [file.read_bytes() for file in again]


def test_another_file_is_replaced_only_with_overwrite(tmp_path: Path) -> None:
    file = tmp_path / "samples.csv"
    file.write_text("mine")
    with pytest.raises(UserError, match="--overwrite"):
        export_runs([GSM8K], "csv", tmp_path)
    assert file.read_text() == "mine"
    export_runs([GSM8K], "csv", tmp_path, overwrite=True)
    assert file.read_text() != "mine"


def test_nothing_is_written_into_a_run(tmp_path: Path) -> None:
    run = shutil.copytree(GSM8K, tmp_path / GSM8K.name)
    with pytest.raises(UserError, match="in the folder of a run"):
        export_runs([run], "csv", run / "tables")
    assert not (run / "tables").exists()


@pytest.mark.parametrize("suffix", [".eval", ".json"])
def test_inspect_reads_its_log_back(suffix: str, tmp_path: Path) -> None:
    log_module = pytest.importorskip("inspect_ai.log")
    (file,) = export_runs([GSM8K], "inspect", tmp_path / f"log{suffix}")
    log, (metrics, records) = log_module.read_eval_log(str(file)), records_of(GSM8K)
    assert log.status == "success"
    assert (log.eval.model, log.eval.task, log.eval.solver) == (metrics.model, metrics.benchmark, metrics.policy)
    assert log.eval.metadata["policy"] == metrics.policy_label
    first = log.results.scores[0]
    assert first.name == metrics.metric
    assert first.metrics["mean"].value == metrics.score
    assert first.metrics["stderr"].value == metrics.stderr[f"{metrics.metric}_stderr"]
    assert {sample.id for sample in log.samples} == set(records)
    for sample in log.samples:
        record = records[str(sample.id)]
        assert (sample.input, sample.target) == (record.prompt, record.target)
        assert sample.output.completion == record.resps[0][0]
        assert sample.scores[metrics.metric].value == record.score
        assert sample.metadata["ledger"]["total"]["nfe"] == record.ledger.total.nfe


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspect_module, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'dlmlen\[inspect\]'"):
        export_runs([GSM8K], "inspect", tmp_path)


def test_a_log_file_holds_one_run(tmp_path: Path) -> None:
    pytest.importorskip("inspect_ai")
    with pytest.raises(ConfigError, match="a log has one run"):
        export_runs([STUDY], "inspect", tmp_path / "log.eval")


@pytest.mark.parametrize("benchmark", ["gsm8k", "ifeval", "longformqa"])
def test_an_lm_eval_log_scores_as_its_run(benchmark: str, tmp_path: Path) -> None:
    run = run_of(benchmark)
    results, samples = export_runs([run], "lm-eval", tmp_path)
    scored = CliRunner().invoke(
        app, ["score", "--benchmark", f"mini_{benchmark}", "--answers", str(samples), "--output", f"{tmp_path}/v.jsonl"]
    )
    assert scored.exit_code == 0, scored.output
    metrics, records = records_of(run)
    verdicts = map(json.loads, (tmp_path / "v.jsonl").read_text().splitlines())
    assert {each["id"]: each["value"] for each in verdicts} == {name: each.score for name, each in records.items()}
    (values,) = json.loads(results.read_text())["results"].values()
    assert values[f"{metrics.metric},none"] == metrics.score


def test_lm_evals_own_functions_read_its_files(tmp_path: Path) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    wandb_logger = pytest.importorskip("lm_eval.loggers.wandb_logger")
    results, samples = export_runs([GSM8K], "lm-eval", tmp_path)
    content, (metrics, records) = json.loads(results.read_text()), records_of(GSM8K)
    assert utils.get_file_task_name(samples.name) == "mini_gsm8k"
    assert utils.get_file_datetime(samples.name) in results.name
    table = utils.make_table(content)
    for name in ("strict-match", "flexible-extract"):
        assert f"|{name}" in table.replace(" ", "")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    strict = [line for line in lines if line["filter"] == "strict-match"]
    assert len(strict) == len(records)
    in_memory = [
        line | {"arguments": [[line["arguments"]["gen_args_0"]["arg_0"], line["arguments"]["gen_args_0"]["arg_1"]]]}
        for line in strict
    ]
    frame = wandb_logger.WandbLogger._generate_dataset(None, in_memory, content["configs"]["mini_gsm8k"])
    assert frame["exact_match"].mean() == metrics.metrics["exact_match_strict"]
    for line in strict:
        assert line["doc_hash"] == utils.hash_string(json.dumps(line["doc"], indent=2, ensure_ascii=False))
        assert line["prompt_hash"] == utils.hash_string(line["arguments"]["gen_args_0"]["arg_0"])


def test_other_formats_import_none_of_the_extras(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import dlm_length.cli.main; from dlm_length.export import export_runs;"
        f" [export_runs([Path({str(GSM8K)!r})], to, Path({str(tmp_path)!r})) for to in ('csv', 'lm-eval')];"
        " print([name for name in ('inspect_ai', 'lm_eval', 'ray', 'torch', 'huggingface_hub') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class StubApi:
    """Records the calls that would go to the hub."""

    def __init__(self, *, private: bool) -> None:
        self.private, self.sent = private, dict[str, Any]()
        self.created: dict[str, Any] = {}

    def create_repo(self, repo: str, **options: Any) -> str:
        self.created = options
        return f"https://hub/{repo}"

    def repo_info(self, *_: str, **__: Any) -> SimpleNamespace:
        return SimpleNamespace(private=self.private)

    def upload_folder(self, *, path_in_repo: str, **options: Any) -> None:
        self.sent[path_in_repo] = options


def test_records_and_report_are_uploaded_private_by_default() -> None:
    api = StubApi(private=True)
    plan = plan_upload("someone/runs", [GSM8K], report=STUDY.parent / "report")
    assert upload(plan, api) == "https://hub/someone/runs"  # type: ignore[arg-type]
    assert api.created["private"] is True
    assert api.created["repo_type"] == "dataset"
    assert set(api.sent) == {f"records/{GSM8K.name}", "report"}
    assert "samples.jsonl" in api.sent[f"records/{GSM8K.name}"]["allow_patterns"]
    assert (f"records/{GSM8K.name}/metrics.json", (GSM8K / "metrics.json").stat().st_size) in plan.files


def test_nothing_private_goes_to_a_repository_that_everyone_can_read() -> None:
    api = StubApi(private=False)
    with pytest.raises(UserError, match="--public"):
        upload(plan_upload("someone/runs", [GSM8K]), api)  # type: ignore[arg-type]
    assert not api.sent
    upload(plan_upload("someone/runs", [GSM8K], public=True), api)  # type: ignore[arg-type]
    assert api.created["private"] is False
    assert api.sent


def test_a_dry_run_lists_and_sends_nothing() -> None:
    done = CliRunner().invoke(app, ["export", str(GSM8K), "--push-to-hub", "someone/runs", "--dry-run"])
    assert done.exit_code == 0
    assert f"records/{GSM8K.name}/samples.jsonl" in done.output
    assert "private data set someone/runs" in done.output
