"""Finished runs as data frames: the checked-in example's."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length import Analysis, load_runs
from dlm_length.analysis.frames import METRIC_COLUMNS, RUN_COLUMNS, SAMPLE_COLUMNS
from dlm_length.common import UserError

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "results/example/study_mini"


@pytest.fixture(scope="module")
def runs() -> Analysis:
    return load_runs(EXAMPLE)


def test_a_row_per_sample_has_what_samples_jsonl_says(runs: Analysis) -> None:
    frame = runs.frame()
    folder = sorted(EXAMPLE.glob("mini_gsm8k__*__smartcrop__*"))[0]
    lines = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    own = frame[frame.run == folder.name].set_index("sample")
    assert len(own) == len({line["id"] for line in lines}) == 50
    for line in lines:
        row = own.loc[line["id"]]
        assert (row.score, row.n_token, row.e_token) == (line["score"], line["n_token"], line["e_token"])
        assert (row.nfe, row.flops) == (line["ledger"]["total"]["nfe"], line["ledger"]["total"]["flops_reference"])
    assert set(own.role) == {"method"}
    assert own["policy.tau"].nunique() == 1


def test_columns_and_dtypes_are_those_stated(runs: Analysis) -> None:
    for frame, columns in ((runs.frame(), SAMPLE_COLUMNS), (runs.summary(), METRIC_COLUMNS)):
        names = list(frame.columns)
        own = [name for name in names if name.startswith("policy.")]
        assert names == [*RUN_COLUMNS, *own, *columns]
        stated = {**RUN_COLUMNS, **columns}
        assert {name: str(frame[name].dtype) for name in stated} == stated
        dtypes = {name: str(frame[name].dtype) for name in own}
        assert (dtypes["policy.length"], dtypes["policy.tau"], dtypes["policy.threshold"]) == ("float64",) * 3
        assert (dtypes["policy.remasking"], dtypes["policy.include_eot"]) == ("object", "object")


def test_the_dtypes_of_samples_that_lack_values_are_the_same(finish_run: Callable[..., Path]) -> None:
    finish_run("tiny_gsm8k_fixed", {"a": {"score": None, "error": "out of memory"}, "b": {"score": None}})
    frame = load_runs("results").frame()
    assert {name: str(frame[name].dtype) for name in SAMPLE_COLUMNS} == dict(SAMPLE_COLUMNS)
    assert frame.score.isna().all()
    assert frame.error.isna().tolist() == [False, True]


def test_the_documented_columns_are_those_of_the_frames() -> None:
    text = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[^|]+`) \| (\w+) \|", text, re.MULTILINE)
    documented = [(name, dtype) for names, dtype in rows for name in re.findall(r"`(\w+)`", names)]
    stated = [*RUN_COLUMNS.items(), *SAMPLE_COLUMNS.items(), *METRIC_COLUMNS.items()]
    assert documented == stated


def test_runs_and_analyses_are_one_short_line(runs: Analysis) -> None:
    assert repr(runs) == (
        "<Analysis: 36 runs of mini_gsm8k, mini_humaneval, mini_ifeval, mini_longformqa; 1,800 samples>"
    )
    assert re.fullmatch(
        r"<Run .*/mini_gsm8k__llada-mini__fixed__\w+: fixed 128, n = 50, exact_match 0\.\d{4}>", repr(runs.runs[1])
    )
    assert max(len(repr(run)) for run in runs.runs) < 250


def test_a_call_without_a_folder_says_what_is_missing() -> None:
    with pytest.raises(TypeError, match="at least one folder of runs"):
        load_runs()


def test_a_row_per_run_has_what_metrics_json_says(runs: Analysis) -> None:
    summary = runs.summary().set_index("run")
    for path in sorted(EXAMPLE.glob("*/metrics.json")):
        recorded, row = json.loads(path.read_text()), summary.loc[path.parent.name]
        shown = {name: row[name] for name in ("benchmark", "policy", "score", "n_token", "e_ratio", "flops_reference")}
        assert shown == {name: recorded[name] for name in shown}
    assert len(summary) == len(list(EXAMPLE.glob("*/metrics.json")))


def test_the_frames_agree(runs: Analysis) -> None:
    means = runs.frame().groupby("run").score.mean()
    assert runs.summary().set_index("run").score.sort_index().to_numpy() == pytest.approx(means.sort_index().to_numpy())


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        load_runs(tmp_path)


def test_importing_the_package_imports_neither_pandas_nor_scipy() -> None:
    modules = "dlm_length, dlm_length.analysis, dlm_length.analysis.sections, dlm_length.reports, dlm_length.cli.main"
    code = f"import sys, {modules}; print({{'pandas', 'scipy'}} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "set()"


def test_the_example_of_the_docs_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "records.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(next(block for block in blocks if "load_runs" in block), "records.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "smartcrop 128 tau 0.9" in shown
    assert "e_ratio" in shown
    assert "Empty" not in shown
    assert "Series([]" not in shown
