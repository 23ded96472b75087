"""The whole chain on the model that ships: it answers, it knows how long its answers are, and the report says so."""

import csv
import json
import shutil
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from dlm_length.cli.main import run

PER_BENCHMARK = 3


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which `dlmlen run study_mini`, `report` and `reproduce` ran."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for arguments in (
            ("run", "--config", "study_mini", "--limit", str(PER_BENCHMARK)),
            ("report", "results/study_mini", "--no-figures", "--format", "csv"),
            ("reproduce", "smartcrop", "--model", "embedded", "--benchmarks", "mini", "--limit", str(PER_BENCHMARK)),
        ):
            patch.setattr(sys, "argv", ["dlmlen", *arguments])
            with pytest.raises(SystemExit) as left:
                run()
            assert left.value.code == 0
    return folder


@pytest.fixture(scope="module")
def metrics(study: Path) -> dict[str, dict[str, dict[str, float]]]:
    """metrics.json by benchmark and policy label."""
    found: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for file in study.glob("results/study_mini/*/metrics.json"):
        read = json.loads(file.read_text())
        found[read["benchmark"]][read["policy_label"]] = read
    return found


def test_every_policy_ran_on_every_benchmark(metrics: dict[str, dict[str, dict[str, float]]]) -> None:
    assert set(metrics) == {"mini_gsm8k", "mini_humaneval", "mini_ifeval", "mini_longformqa"}
    for runs in metrics.values():
        assert len(runs) == 9
        assert all((read["samples"], read["scored"]) == (PER_BENCHMARK, PER_BENCHMARK) for read in runs.values())


def test_the_model_answers_most_of_what_it_is_asked(metrics: dict[str, dict[str, dict[str, float]]]) -> None:
    """Far above what a broken loader, template or sampler leaves, which is 0."""
    scores = [runs["fixed 128"]["score"] for runs in metrics.values()]
    assert sum(scores) / len(scores) >= 0.75


def test_smartcrop_saves_half_of_the_flops_and_keeps_the_score(study: Path) -> None:
    rows = list(csv.DictReader((study / "report" / "tables" / "smartcrop.csv").open(newline="")))
    cropped = [row for row in rows if row["policy"] == "smartcrop 128 tau 0.9"]
    fixed = [row for row in rows if row["policy"] == "fixed 128"]
    assert len(cropped) == len(fixed) == 4
    saved = [float(row["FLOPs saved (%)"]) for row in cropped]
    assert min(saved) > 0
    assert sum(saved) / len(saved) >= 50
    lost = sum(float(row["score"]) for row in fixed) - sum(float(row["score"]) for row in cropped)
    assert lost <= 2 / PER_BENCHMARK, "of the twelve answers no more than two"


def test_a_reproduction_takes_the_runs_that_are_there_and_traces_every_number(study: Path) -> None:
    assert {path.name for path in (study / "results" / "reproduce_smartcrop").iterdir()} == {"report"}
    report = study / "results" / "reproduce_smartcrop" / "report"
    rows = list(
        csv.DictReader((report / "tables" / "verdicts-smartcrop-table-1-llada-8b-instruct.csv").open(newline=""))
    )
    runs = {str(path.relative_to(study)) for path in study.glob("results/study_mini/*mini_*")}
    assert len(rows) == 112, "every number of the paper's table"
    for row in rows:
        assert row["verdict"] in ("within CI", "outside CI", "undecided")
        assert set(row["runs"].split(";")) <= runs
    assert (report / "index.html").exists()
    assert (report / "report.pdf").exists() == (shutil.which("pdflatex") is not None)
