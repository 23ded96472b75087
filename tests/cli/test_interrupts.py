"""SIGTERM, which batch systems send, is SIGINT's equal, at any moment of a command."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_fixtures import CommandLine

import dlm_length
from dlm_length.cli import main
from dlm_length.cli.interrupts import check_interrupt, interruptible, was_interrupted
from dlm_length.common import UserError
from dlm_length.records import read_samples

SMALL = ("policy.length=8", "hardware.max_batch_tokens=1", "benchmark.path=questions.jsonl", "benchmark.limit=300")
RECORDING = "0 of 300 samples"
"""The line of progress after which samples are recorded."""
DLMLEN = [sys.executable, "-c", "from dlm_length.cli.main import run; print('begun', flush=True); run()"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(Path(dlm_length.__file__).parents[1]))
    rows = [{"question": f"What is {number} plus 2?", "answer": f"#### {number + 2}"} for number in range(300)]
    (tmp_path / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def wait_for_a_sample(folder: Path) -> None:
    for _ in range(600):
        if any(path.stat().st_size for path in folder.rglob("samples.jsonl")):
            return
        time.sleep(0.1)
    pytest.fail("no sample was recorded in a minute")


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
            if until == RECORDING:
                wait_for_a_sample(folder)
            process.send_signal(signal_)
            break
    rest, _ = process.communicate(timeout=120)
    return process.returncode, [*lines, *rest.splitlines()]


@pytest.mark.parametrize(
    ("until", "fresh"),
    [
        ("reading the config", False),
        ("preparing the prompts", True),
        pytest.param("loading the model", False, marks=pytest.mark.slow),
        pytest.param(RECORDING, False, marks=pytest.mark.slow),
    ],
)
def test_a_run_that_is_ended_says_how_it_goes_on(folder: Path, until: str, fresh: bool) -> None:
    command = ("run", "--config", "tiny_gsm8k_fixed", *SMALL, *["--fresh"] * fresh)
    code, lines = interrupted(folder, signal.SIGTERM, until, *command)
    assert code == 130, lines
    again = "the same command, without --fresh," if fresh else "the same command"
    assert lines[-1].startswith(f"Interrupted; {again} continues"), lines
    assert not any("Traceback" in line for line in lines)
    if until == RECORDING:
        path = folder / lines[-1].partition(" continues ")[2]
        assert 0 < len(read_samples(path)) < 300


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", *SMALL), "Interrupted; the same command continues."),
        (("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", *SMALL, "--dry-run"), "Interrupted."),
    ],
)
def test_both_signals_say_the_same(folder: Path, signal_: int, arguments: tuple[str, ...], message: str) -> None:
    code, lines = interrupted(folder, signal_, "begun", *arguments)
    # On a slow machine the signal can come before the command line is read, when no command is known yet.
    assert code == 130, lines
    assert lines[-1] in {message, "Interrupted."}
    assert not any("Traceback" in line for line in lines)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_a_library_swallows_ends_the_command_as_it_advances(number: signal.Signals) -> None:
    with interruptible():
        check_interrupt()
        with contextlib.suppress(BaseException):
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            check_interrupt()
        assert was_interrupted(RuntimeError("what the library made of it"))
        assert not was_interrupted(None)
    with interruptible():
        check_interrupt()
        assert not was_interrupted(RuntimeError("an error of its own"))


def test_what_is_being_saved_after_an_interrupt_is_left_to_finish() -> None:
    with interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            check_interrupt()
        with pytest.raises(KeyboardInterrupt):
            check_interrupt()


def test_an_interrupt_in_a_finalizer_prints_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    class Closing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    before = sys.unraisablehook
    with interruptible():
        Closing()
        with pytest.raises(KeyboardInterrupt):
            check_interrupt()
    assert sys.unraisablehook is before
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "target", "consequence"),
    [
        (("report", "."), "dlm_length.reports.report.write_report", "no report was finished; the same command"),
        (("export", ".", "--to", "csv"), "dlm_length.export.export_runs", "the records are as they were; the same"),
        (("score", "."), "dlm_length.records.the_run", "the scored run is as it was; the same command starts again"),
        (("probe", "."), "dlm_length.records.the_run", "nothing was written; the same command starts again"),
        (("merge", "."), "dlm_length.runner.merge", "no sample is lost; the same command continues"),
        (("trace", "tiny_gsm8k_fixed", "--sample", "0"), "dlm_length.config.load_config", "nothing was written; the"),
        (("fit-bias", "tiny_gsm8k_fixed", "-o", "b.yaml"), "dlm_length.config.load_config", "nothing was written; the"),
        (("compare", ".", "."), "dlm_length.records.the_run", None),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_command_says_what_an_interrupt_leaves(
    number: signal.Signals,
    arguments: tuple[str, ...],
    target: str,
    consequence: str | None,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    command_line: CommandLine,
) -> None:
    (folder / "config.yaml").touch()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(target, lambda *_, **__: signal.raise_signal(number), raising=False)
    done = command_line(*arguments)
    assert done.code == 130
    *_, last = done.stderr.splitlines()
    assert last == "Interrupted." if consequence is None else last.startswith(f"Interrupted; {consequence}")


def test_a_library_that_turns_an_interrupt_into_an_exit_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def leave(**_: str) -> None:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        sys.exit(1)

    monkeypatch.setattr(main, "app", leave)
    with pytest.raises(SystemExit) as end:
        main.run()
    assert end.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_an_interrupt_that_became_another_error_is_still_told_as_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: str) -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise UserError("a file cannot be imported:\n  KeyboardInterrupt: ") from error

    monkeypatch.setattr(main, "app", fail)
    with pytest.raises(SystemExit) as end:
        main.run()
    assert end.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_a_job_in_the_background_keeps_ignoring_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_command_leaves_the_handler_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "argv", ["dlmlen", "--version"])
    with pytest.raises(SystemExit):
        main.run()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


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
