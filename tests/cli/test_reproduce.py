"""`dlmlen reproduce`: a paper's matrix in small, its verdicts, what it would cost, and what is refused."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from command_fixtures import CommandLine

import dlm_length.benchmarks.gsm8k
import dlm_length.reports.report
import dlm_length.runner.dry_run
from dlm_length.common import UserError
from dlm_length.records import read_metrics
from dlm_length.reports.report import Written

SMALL = ("--model", "llada-tiny", "--limit", "2", "hardware.max_batch_tokens=400")


class Done(NamedTuple):
    code: int | str | None
    stdout: str
    stderr: str

    @property
    def rows(self) -> list[list[str]]:
        """Of all tables, without their headers."""
        lines = [line.strip("│").split("│") for line in self.stdout.splitlines() if line.startswith("│")]
        return [[cell.strip() for cell in cells] for cells in lines]

    @property
    def told(self) -> str:
        """What was printed, however it was wrapped."""
        return " ".join(self.stdout.split())


Dlmlen = Callable[..., Done]


@pytest.fixture
def dlmlen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> Dlmlen:
    """`dlmlen reproduce` in this process and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    return lambda *arguments: Done(*command_line("reproduce", *arguments))


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The arguments of the report, which is not written: its figures and pages take longer than the runs."""
    requested: list[dict[str, Any]] = []
    signature = inspect.signature(dlm_length.reports.report.write_report)

    def write_report(*arguments: Any, **named: Any) -> Written:
        given = signature.bind(*arguments, **named).arguments
        requested.append(given)
        return Written(given["folder"], tuple(given["extra"]), ("Page: somewhere",))

    monkeypatch.setattr(dlm_length.reports.report, "write_report", write_report)
    return requested


def test_a_papers_matrix_ends_in_verdicts_and_a_report(
    dlmlen: Dlmlen, reports: list[dict[str, Any]], no_model: Callable[[], None]
) -> None:
    command = ("smartcrop", *SMALL, "--benchmarks", "mini_gsm8k,mini_ifeval", "policy.length=8")
    done = dlmlen(*command)
    assert done.code == 0, done.stderr
    assert done.stderr.count("loading the model") == 1
    folders = sorted(Path("results/reproduce_smartcrop").iterdir())
    assert len(folders) == 12
    assert {read_metrics(folder).samples for folder in folders} == {2}
    assert len([cells for cells in done.rows if cells[-1] in ("within CI", "outside CI", "undecided")]) == 2 * 28
    assert ["FC", "processed"] in [cells[:2] for cells in done.rows]
    assert "SmartCrop, table 1: published and reproduced (LLaDA-8B-Instruct)" in done.told
    assert "llada-tiny stands in for LLaDA-8B-Instruct, mini_ifeval stands in for IFEval" in done.told
    assert (
        "Set in addition to the plan: hardware.max_batch_tokens=400, policy.length=8, benchmark.limit=2." in done.told
    )
    assert "Forwards: " in done.told
    assert done.told.endswith(
        "Page: somewhere Records: results/reproduce_smartcrop Report: results/reproduce_smartcrop/report"
    )
    assert "Stars are by each test's own p, unadjusted, as in the papers." in done.told
    (requested,) = reports
    assert requested["testing"].adjust == "none", "the tables beside it are the paper's too"
    assert sorted(requested["paths"]) == folders
    assert requested["folder"] == Path("results/reproduce_smartcrop/report")
    assert requested["layouts"] == ("smartcrop",), "the paper's own table of our numbers"
    assert [sheet.name for sheet in requested["extra"]] == [
        "verdicts-smartcrop-table-1-llada-8b-instruct",
        "claim-smartcrop-table-1",
    ]
    assert '"no statistically significant degradation" against the fixed canvas, restated within 2 points' in done.told
    assert {source for sheet in requested["extra"] for row in sheet.rows for source in row.sources} == set(folders)

    no_model()
    again = dlmlen(*command, "--out", "elsewhere")
    assert again.code == 0
    assert again.rows == done.rows
    assert "Forwards" not in again.told
    assert reports[-1]["folder"] == Path("elsewhere")


def test_a_finished_run_of_another_experiment_counts(
    dlmlen: Dlmlen, reports: list[dict[str, Any]], no_model: Callable[[], None]
) -> None:
    command = ("smartcrop", *SMALL, "--benchmarks", "mini_gsm8k", "policy.length=4")
    first = dlmlen(*command)
    assert first.code == 0, first.stderr
    no_model()
    done = dlmlen(*command, "experiment=other")
    assert done.code == 0
    assert {path.parent.name for path in reports[-1]["paths"]} == {"reproduce_smartcrop"}
    assert reports[-1]["folder"] == Path("results/other/report")
    assert done.rows == first.rows


def test_a_dry_run_needs_neither_checkpoint_nor_machine(dlmlen: Dlmlen) -> None:
    done = dlmlen("smartcrop", "--benchmarks", "humaneval", "--limit", "3", "--dry-run")
    assert done.code == 0, done.stderr
    assert not Path("results").exists()
    *runs, total = done.rows
    assert [cells[:3] for cells in runs] == [
        ["humaneval", "fixed 512", "3"],
        *(["humaneval", f"smartcrop 512 tau {tau}", "3"] for tau in ("0.5", "0.75", "0.9", "0.95", "0.99")),
    ]
    assert total[:3] == ["total", "6 runs", "18"]
    forwards = [int(cells[3].replace(",", "")) for cells in done.rows]
    assert forwards == [3 * 512, *[3 * 513] * 5, 3 * 512 + 15 * 513]
    assert all(cells[4].endswith("FLOPs") for cells in done.rows)
    assert all(cells[5].endswith((" s", " min", " h")) for cells in done.rows)
    for sentence in (
        "Upper bounds, run by run",
        "40% of the matrix-product rate of the hardware profile 'h100-80gb'; hardware=NAME plans for another.",
        "humaneval: answers are code, which is not scored without benchmark.execute_code=true",
    ):
        assert sentence in done.told


def test_a_dry_run_leaves_out_benchmarks_without_data(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        raise UserError("no network here.")

    monkeypatch.setattr(dlm_length.benchmarks.gsm8k, "hub_rows", absent)
    done = dlmlen("smartcrop", "--benchmarks", "gsm8k,humaneval", "--limit", "1", "--dry-run")
    assert done.code == 0, done.stderr
    assert [cells[2:] for cells in done.rows if cells[0] == "gsm8k"] == [["-"] * 4] * 6
    assert done.rows[-1][:3] == ["total", "6 runs", "6"]
    assert "The total leaves out gsm8k: no network here." in done.told
    alone = dlmlen("smartcrop", "--benchmarks", "gsm8k", "--dry-run")
    assert (alone.code, alone.stderr) == (
        1,
        "reading the paper's experiments ...\nplanning ...\nError: no network here.\n",
    )


def test_a_dry_run_takes_a_file_for_each_benchmark(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object) -> None:
        pytest.fail("the hub was asked for data that were given")

    monkeypatch.setattr(dlm_length.benchmarks.gsm8k, "hub_rows", absent)
    Path("questions.jsonl").write_text(json.dumps({"question": "What is 1 plus 2?", "answer": "#### 3"}) + "\n")
    given = ("--data", "gsm8k=questions.jsonl", "--limit", "1", "--dry-run")
    done = dlmlen("smartcrop", "--benchmarks", "gsm8k,humaneval", *given)
    assert done.code == 0, done.stderr
    assert done.rows[-1][:3] == ["total", "12 runs", "12"]
    given = ("--data", "gsm8k=question.jsonl", "--dry-run")
    done = dlmlen("smartcrop", "--benchmarks", "gsm8k,humaneval", *given)
    assert done.code == 2
    assert "\nError: --data question.jsonl: there is no such file. Did you mean 'questions.jsonl'?" in done.stderr


def test_a_dry_run_names_each_machine_that_it_plans_for(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dlm_length.runner.dry_run, "matrix_rate", lambda *_: 5e11)
    done = dlmlen(
        "smartcrop", "--model", "embedded", "--benchmarks", "humaneval,mini_gsm8k", "--limit", "1", "--dry-run"
    )
    assert done.code == 0, done.stderr
    assert "Time at 396 TFLOP/s, 40% of the matrix-product rate of the hardware profile 'h100-80gb';" in done.told
    assert (
        "Time at 0.2 TFLOP/s, 40% of the matrix-product rate measured here for the hardware profile 'cpu';" in done.told
    )


def test_a_dry_run_tells_runs_of_one_label_apart(dlmlen: Dlmlen) -> None:
    rows = [{"question": "What is 1 plus 2?", "answer": "#### 3"}]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    small = ("policy.max_length=64", "benchmark.path=questions.jsonl")
    done = dlmlen("daedal", "--only", "grids", "--dry-run", *small)
    assert done.code == 0, done.stderr
    labels = [cells[1] for cells in done.rows]
    assert len(set(labels)) == len(labels) == 31 + 1
    assert "daedal 64 both tau_high 0.8 tau_low 0.2" in labels
    assert "daedal 64 both" in labels, "all of it as in the paper"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("smartcorp",),
            "no paper is named 'smartcorp'; there are smartcrop, daedal or rho_eos. Did you mean 'smartcrop'?",
        ),
        (("daedal", "--benchmarks", "gsm8k,human"), "--benchmarks 'human': DAEDAL has no such benchmark"),
        (("daedal", "--benchmarks", ""), "--benchmarks '': DAEDAL has no such benchmark"),
        (("daedal", "--only", "grid"), "--only 'grid': daedal has no such part"),
        (("rho_eos", "--only", "main,"), "--only '': rho_eos has no such part; there are main"),
        (("smartcrop", "--model", "lada-1.5"), "no model is named 'lada-1.5'"),
        (("smartcrop", "--model", "embeded"), "Did you mean 'embedded'?"),
        (("smartcrop", "--data", "gsmk=x.jsonl"), "Did you mean 'gsm8k'?"),
        (("smartcrop", "policy.tau=0.5"), "the plan itself gives policy.tau"),
        (("smartcrop", "policy.temprature=0.5"), "Did you mean 'temperature'?"),
        (("smartcrop", "tau"), "is not an override"),
        (("smartcrop", "--limit", "0"), "Invalid value for '--limit'"),
        ((), "Missing argument 'PAPER'"),
    ],
)
def test_what_is_wrong_is_told(
    dlmlen: Dlmlen, no_model: Callable[[], None], arguments: tuple[str, ...], told: str
) -> None:
    no_model()
    done = dlmlen(*arguments)
    assert done.code == 2
    assert done.stdout == ""
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("results").exists()
