"""What a terminal shows of runs that are being made, in any width."""

import contextlib
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from dlm_length.cli import display
from dlm_length.cli.interrupts import interruptible
from dlm_length.cli.watch import _table
from dlm_length.common.program import STEPS_LOGGER
from dlm_length.records import ProgressRecord
from dlm_length.records.watch import WatchedRun
from dlm_length.reports.table import text_table

Terminal = Callable[[int], Console]


@pytest.fixture
def terminal() -> Terminal:
    """A terminal of so many columns, as a text."""
    return lambda width: Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)


def status(policy: str) -> ProgressRecord:
    return ProgressRecord(
        label=f"gsm8k LLaDA-8B-Instruct {policy}",
        state="running",
        updated=0.0,
        host=socket.gethostname(),
        process=os.getpid(),
        done=412,
        total=1319,
        metric="exact_match",
        score=0.7312,
        tokens_per_second=1234.5,
        flops=7,
        seconds_left=12345.0,
        device_use="GPU 95%, 20 of 78 GiB",
    )


def drawn(console: Console, renderable: object) -> list[str]:
    assert isinstance(console.file, io.StringIO)
    console.print(renderable)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= console.width for line in lines)
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("width", [80, 120, 160])
@pytest.mark.parametrize("policies", [("fixed 256",), ("fixed 256", "smartcrop 256 tau 0.5", "smartcrop 256 tau 0.9")])
def test_a_progress_line_has_its_samples_and_the_time_left_in_any_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, width: int, policies: tuple[str, ...]
) -> None:
    monkeypatch.setattr(display, "Console", lambda **_: terminal(width))
    shown = display.RunDisplay()
    shown.phase("generating")
    shown.samples(412 * len(policies), 1319 * len(policies))
    shown.running([status(policy) for policy in policies])
    lines = drawn(terminal(width), shown._bar.get_renderable())[-len(policies) :]
    for line, policy in zip(lines, policies, strict=True):
        assert "412/1319" in line
        assert "3 h 26 min left" in line
        assert "\u2026" not in line
        assert len(policies) == 1 or policy in line, "which run it is"
        assert ("GPU 95%" in line) == (width == 160 or (width == 120 and len(policies) == 1))


def test_a_librarys_handler_on_the_root_logger_prints_nothing_of_a_run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a scorer's library leaves one there: the lines of a run's log would stand between those of the bar."""
    lines: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(record.getMessage()))
    log = logging.getLogger("dlm_length.runs.here")
    monkeypatch.setattr(log, "level", logging.INFO)
    logging.getLogger().addHandler(handler)
    try:
        with display.RunDisplay():
            log.info("all samples are on disk")
        log.info("outside")
    finally:
        logging.getLogger().removeHandler(handler)
    assert lines == ["outside"]


def test_a_warning_about_a_policys_steps_is_a_notice_while_a_run_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with display.RunDisplay():
        logging.getLogger(STEPS_LOGGER).warning("a policy computes for long")
    assert "Note: a policy computes for long.\n" in capsys.readouterr().err
    assert not logging.getLogger(STEPS_LOGGER).handlers


def test_a_count_that_is_not_known_is_not_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "Console", lambda **_: terminal(80))
    shown = display.RunDisplay()
    shown.phase("loading")
    (line,) = drawn(terminal(80), shown._bar.get_renderable())
    assert line.endswith("loading")


def test_tables_stand_apart_and_a_title_is_not_wrapped_to_its_table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    title = "A title that is longer than the table below it is wide"
    display.show_tables(text_table(name, title, ("", "x"), [("r", "1")]) for name in "ab")
    out = capsys.readouterr().out
    assert out.count(f"{title}\n┏") == 2
    assert f"┘\n\n{title}" in out


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_of_runs_names_every_run_and_shard_in_any_terminal(terminal: Terminal, width: int) -> None:
    runs = [
        WatchedRun(Path("results/x/gsm8k__a"), status("smartcrop 256 tau 0.9"), 412, 0, 0.73, "silent for 12 min"),
        WatchedRun(Path("results/x/gsm8k__b/shards/3-of-16"), status("fixed 256"), 412, 0, 0.73, "done"),
        WatchedRun(Path("results/x/gsm8k__c/shards/4-of-16"), None, 7, 0, None, "no sign of a process"),
    ]
    lines = drawn(terminal(width), _table(runs, width))
    text = "\n".join(lines)
    for part in ("tau 0.9", "fixed 256, shard 3/16", "gsm8k__c, shard 4/16", "silent for 12 min", "3 h 26 min"):
        assert part in text
    assert "\u2026" not in text
    assert ("tokens/s and device: in a terminal of 110 columns" in text) == (width == 80)
    assert ("GPU 95%, 20 of 78 GiB" in text) == (width == 160)


def test_an_interrupt_that_a_library_swallowed_is_noticed_before_the_next_sample_is_done() -> None:
    with interruptible(), display.RunDisplay() as shown:
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            shown.running([status("fixed 256")])


def test_what_libraries_print_during_a_run_leaves_standard_output_to_the_tables(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display.RunDisplay():
        sys.stdout.write("* Trackio project initialized\n")
    sys.stdout.write("[]\n")
    printed = capsys.readouterr()
    assert printed.out == "[]\n"
    assert "* Trackio project initialized" in printed.err
