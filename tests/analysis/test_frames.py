"""Finished runs as data frames: the checked-in example's."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_length import Analysis, load_runs
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


def test_importing_the_package_imports_no_pandas() -> None:
    code = "import sys, dlm_length, dlm_length.analysis; print('pandas' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "False"


def test_the_example_of_the_docs_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "records.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(next(block for block in blocks if "load_runs" in block), "records.md", "exec"), {})
    shown = capsys.readouterr().out
    assert "smartcrop 128 tau 0.9" in shown
    assert "e_ratio" in shown
    assert "Empty" not in shown
    assert "Series([]" not in shown
