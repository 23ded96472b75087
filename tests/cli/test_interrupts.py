"""SIGTERM, which batch systems send, is SIGINT's equal, at any moment of a command."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dlm_length
from dlm_length.records import read_samples

SMALL = ("policy.length=8", "hardware.max_batch_tokens=1", "benchmark.path=questions.jsonl", "benchmark.limit=300")
DLMLEN = [sys.executable, "-c", "from dlm_length.cli.main import run; print('begun', flush=True); run()"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(dlm_length.__file__).parents[1]))
    rows = [{"question": f"What is {number} plus 2?", "answer": f"#### {number + 2}"} for number in range(300)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def interrupted(folder: Path, signal_: int, until: str, *arguments: str) -> tuple[int, list[str]]:
    """Exit code and last lines on standard error of a command that gets a signal when `until` was printed."""
    process = subprocess.Popen(
        [*DLMLEN, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line.strip())
        if line.startswith(until):
            time.sleep(0.3)
            process.send_signal(signal_)
            break
    rest, _ = process.communicate(timeout=120)
    return process.returncode, [*lines, *rest.splitlines()]


@pytest.mark.parametrize(
    ("until", "fresh"),
    [
        ("begun", False),
        ("preparing the prompts", True),
        pytest.param("loading the model", False, marks=pytest.mark.slow),
        pytest.param("0 of 300 samples", False, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_ended_says_how_it_goes_on(folder: Path, until: str, fresh: bool) -> None:
    command = ("run", "--config", "tiny_gsm8k_fixed", *SMALL, *["--fresh"] * fresh)
    code, lines = interrupted(folder, signal.SIGTERM, until, *command)
    assert code == 130, lines
    again = "the same command, without --fresh," if fresh else "the same command"
    assert lines[-1].startswith(f"Interrupted; {again} continues"), lines
    assert not any("Traceback" in line for line in lines)
    if until == "0 of 300 samples":
        path = folder / lines[-1].partition(" continues ")[2]
        assert 0 < len(read_samples(path)) < 300


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", *SMALL), "Interrupted; the same command continues."),
        (("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", *SMALL, "--dry-run"), "Interrupted."),
    ],
)
def test_both_signals_say_the_same(folder: Path, signal_: int, arguments: tuple[str, ...], told: str) -> None:
    code, lines = interrupted(folder, signal_, "begun", *arguments)
    assert (code, lines[-1]) == (130, told)


def test_a_command_leaves_the_handler_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlm_length.cli.main import run

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "argv", ["dlmlen", "--version"])
    with pytest.raises(SystemExit):
        run()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this machine has no device that is always full")  # noqa: PTH110
def test_an_output_that_is_full_is_told(folder: Path) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        code = "from dlm_length.cli.main import run; run()"
        done = subprocess.run(
            [sys.executable, "-c", code, "list", "policies"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "No space left on device" in done.stderr
