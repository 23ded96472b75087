import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from dlm_length.cli.main import app
from dlm_length.cli.watch import _table
from dlm_length.records import ProgressRecord, write_progress
from dlm_length.records.watch import RunWatcher


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def sample(name: str, score: float | None = 1.0, error: str | None = None) -> str:
    """A line of samples.jsonl."""
    return json.dumps({"id": name, "score": score, "error": error}) + "\n"


def begin(folder: Path, samples: int = 0, **changes: object) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("")
    (folder / "samples.jsonl").write_text("".join(sample(str(number)) for number in range(samples)))
    fields = {
        **{
            "label": f"gsm8k tiny {folder.name}",
            "state": "running",
            "updated": time.time(),
            "host": socket.gethostname(),
        },
        **{"process": os.getpid(), "done": samples, "total": 9, "metric": "exact_match", "score": 0.25},
        **{"tokens_per_second": 12.5, "flops": 7, "seconds_left": 600.0, "device_use": "CPU 80%"},
    }
    write_progress(folder, ProgressRecord.model_validate(fields | changes))
    return folder


def test_a_line_per_unfinished_run(tmp_path: Path) -> None:
    begin(tmp_path / "exp" / "a", 3)
    begin(tmp_path / "exp" / "b", process=gone())
    begin(tmp_path / "exp" / "c", updated=time.time() - 600)
    begin(tmp_path / "exp" / "d" / "shards" / "1-of-2", 9, state="done")
    begin(tmp_path / "exp" / "e.old1")
    finished = begin(tmp_path / "exp" / "f")
    (finished / "metrics.json").write_text("{}")
    (finished / "progress.json").unlink()
    shown = CliRunner().invoke(app, ["watch", str(tmp_path), "--once"])
    assert shown.exit_code == 0
    lines = [line.removeprefix(f"{tmp_path}/exp/") for line in shown.stdout.splitlines()]
    assert lines[0] == "a: 3 of 9 samples, 12.5 tokens/s, exact_match 0.250, 10 min left, CPU 80%, running"
    assert [line.rpartition(", ")[2] for line in lines] == ["running", "stopped", "silent for 10 min", "done"]


def test_a_finished_run_that_is_made_longer_is_shown(tmp_path: Path) -> None:
    (begin(tmp_path / "run") / "metrics.json").write_text("{}")
    assert len(RunWatcher([tmp_path]).look()) == 1


def counts(watcher: RunWatcher) -> list[tuple[int, int, float | None]]:
    return [(run.done, run.failed, run.score) for run in watcher.look()]


def test_only_what_came_since_is_read_and_a_torn_line_waits(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", 1)
    (folder / "progress.json").unlink()
    watcher = RunWatcher([tmp_path])
    assert counts(watcher) == [(1, 0, 1.0)]
    with (folder / "samples.jsonl").open("a") as file:
        file.write(sample("1", 0.0) + 'no json\n[]\n{"score": 1.0}\n{"id": "2", "sco')
    assert counts(watcher) == [(2, 0, 0.5)], "a line that is no sample counts nothing"
    (folder / "samples.jsonl").write_text(sample("0", 0.0))
    assert counts(watcher) == [(1, 0, 0.0)], "the file was replaced"


def test_samples_are_counted_once_and_failed_ones_apart(tmp_path: Path) -> None:
    folder = begin(tmp_path / "run", 2)
    with (folder / "samples.jsonl").open("a") as file:
        file.write(sample("1", 0.0) + sample("2", None, "its workers died") + sample("3", None))
    watcher = RunWatcher([tmp_path])
    assert counts(watcher) == [(3, 1, 0.5)], "three of five lines are of samples that were run"
    (run,) = watcher.look()
    assert "/run: 3 of 9 samples, 1 failed, " in run.line()
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(_table([run], 120))
    assert "3/9, 1 failed" in console.export_text()
    shown = json.loads(CliRunner().invoke(app, ["watch", str(tmp_path), "--json"]).stdout)
    assert [(each["done"], each["failed"], each["progress"]["failed"]) for each in shown] == [(3, 1, 1)]
    (folder / "progress.json").unlink()
    assert watcher.look()[0].line() == f"{folder}: 3 samples, 1 failed, no sign of a process"


def test_a_file_that_took_the_place_of_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    """Where it has grown since: lost samples are removed, and made again."""
    folder = begin(tmp_path / "run")
    (folder / "progress.json").unlink()
    samples = folder / "samples.jsonl"
    samples.write_text(sample("0") + sample("1", None, "its workers died"))
    watcher = RunWatcher([tmp_path])
    assert counts(watcher) == [(1, 1, 1.0)]
    (folder / "new").write_text(sample("0") + sample("2") + sample("1", 0.0) + sample("3", 0.0))
    (folder / "new").replace(samples)
    assert counts(watcher) == [(4, 0, 0.5)]


def test_the_table_has_a_row_per_run_and_is_harmless(tmp_path: Path) -> None:
    begin(tmp_path / "run", 3, label="evil \x1b[2J [red]label")
    console = Console(width=120, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(_table(RunWatcher([tmp_path]).look(), 120))
    text = console.export_text()
    assert "\x1b" not in text
    assert all(part in text for part in ("[red]label", "3/9", "12.5", "0.250", "10 min", "CPU 80%", "running"))


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["watch", str(tmp_path / "nothing"), "--once"])
    assert shown.exit_code != 0
    assert "nothing" in str(shown.exception)


@pytest.mark.parametrize(("option", "expected"), [("-v", True), ("-q", False)])
def test_how_much_a_run_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str, expected: bool) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(
        app, ["run", "-c", "mini_gsm8k_fixed", "--limit", "1", "policy.length=8", "model=llada-tiny", option]
    )
    assert done.exit_code == 0, (done.output, done.exception)
    assert ("sample " in done.stderr and "NFE" in done.stderr) == expected
    assert ("generating" in done.stderr) == expected
    (log,) = Path("results").glob("*/*/run.log")
    assert ("NFE" in log.read_text()) == expected


def test_a_report_is_kept_as_an_artifact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    from dlm_length.cli.report import _store_at

    (tmp_path / "report" / "tables").mkdir(parents=True)
    (tmp_path / "report" / "tables" / "cost.csv").write_text("policy")
    _store_at("tensorboard", tmp_path / "report")
    assert (tmp_path / "tensorboard" / "artifacts" / "tables" / "cost.csv").read_text() == "policy"


def test_v_and_q_exclude_each_other() -> None:
    done = CliRunner().invoke(app, ["run", "-c", "mini_gsm8k_fixed", "-v", "-q"])
    assert "-v and -q exclude each other" in str(done.exception)
