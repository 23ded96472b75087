"""Tables and progress for a terminal; plain lines where the output is not one."""

import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

from dlm_length.cli.interrupts import check_interrupt
from dlm_length.cli.option_values import TableFormat
from dlm_length.common import counted, printable
from dlm_length.common.console import show_notice, show_plain
from dlm_length.common.program import LOGGER, STEPS_LOGGER
from dlm_length.records import ProgressRecord
from dlm_length.reports import ReportTable

_PLAIN_EVERY = 10.0
"""Seconds between progress lines where there is no terminal."""
_WIDE = 120
"""Columns of a terminal from which on the bar and the time since the start are shown too."""
_AROUND = {True: 24, False: 4}
"""Columns of a progress line without its texts, by whether the terminal is wide: spinner, gaps, bar, time."""


def show_tables(tables: Iterable[ReportTable], form: TableFormat = "terminal") -> None:
    """Print tables and their notes to standard output; CSV has no notes.

    On a terminal, notes that several tables share are shown once, below the last.
    """
    shown = list(tables)
    if form != "terminal":
        from dlm_length.reports.rendering import render_tables

        print(printable(render_tables(shown, form)))
        return
    from dlm_length.reports.rendering.terminal import left_out, print_table

    console, width = Console(), _line_width()
    noted = Counter(note for table in shown for note in dict.fromkeys(table.all_notes))
    hidden: list[str] = []
    for place, table in enumerate(shown):
        if place:
            console.print()
        hidden += print_table(table, width)
        _show_notes(console, (note for note in table.all_notes if noted[note] == 1))
    _show_notes(console, (note for note, tables_with_it in noted.items() if tables_with_it > 1))
    if hidden and width is not None:
        _show_notes(console, [left_out(list(dict.fromkeys(hidden)), width)])


def show_table(table: ReportTable) -> None:
    """Print a table and its notes to standard output, for a terminal."""
    show_tables([table])


def _line_width() -> int | None:
    """Characters of a line: of a terminal, or as COLUMNS says; None where lines may be of any length, as in a file."""
    console = Console()
    return console.width if console.is_terminal or os.environ.get("COLUMNS") else None


def _show_notes(console: Console, notes: Iterable[str]) -> None:
    for note in notes:
        console.print(printable(note), style="dim", highlight=False, markup=False)


class RunDisplay:
    """Shows progress (`runner.Progress`) on standard error: a bar on a terminal, elsewhere a line now and then.

    As a context it also sends there what trackers, policies and other libraries print meanwhile: standard output is for
    the tables, which may be read as JSON.
    """

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._wide = self._console.width >= _WIDE
        whole = Column(no_wrap=True)  # others are narrowed first, down to nothing
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            *((BarColumn(),) if self._wide else ()),
            _Count(table_column=whole),
            *((TimeElapsedColumn(table_column=whole.copy()),) if self._wide else ()),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None, detail="")
        self._runs: list[TaskID] = []
        """A line for each run, where several are made together."""
        self._last, self._last_line = 0.0, time.monotonic()
        self._level = logging.getLogger(LOGGER).level
        self._lines = _Lines(self._console)
        self._notices = _Notices(self._console)
        self._stdout = redirect_stdout(sys.stderr)
        self._propagate = True

    def __enter__(self) -> Self:
        self._stdout.__enter__()
        if not self._quiet:
            self._bar.start()
        logger = logging.getLogger(LOGGER)
        # Libraries, such as a scorer's, give the root logger a handler: it would print the run's log into the bar.
        self._propagate, logger.propagate = logger.propagate, False
        if self._level == logging.DEBUG:
            logger.addHandler(self._lines)
        logging.getLogger(STEPS_LOGGER).addHandler(self._notices)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
        logger = logging.getLogger(LOGGER)
        logger.removeHandler(self._lines)
        logging.getLogger(STEPS_LOGGER).removeHandler(self._notices)
        logger.propagate = self._propagate
        self._stdout.__exit__(kind, error, traceback)

    def notice(self, sentence: str) -> None:
        show_notice(self._console, sentence)

    def phase(self, name: str) -> None:
        check_interrupt()
        self._bar.update(self._task, description=printable(name))
        self._plain(name)

    def samples(self, done: int, total: int) -> None:
        check_interrupt()
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if done == total or now - self._last > _PLAIN_EVERY:
            self._last = now
            self._plain(f"{done} of {counted(total, 'sample')}")

    def running(self, runs: Sequence[ProgressRecord]) -> None:
        """Show how far each run is: the only one in the bar's own line, several in a line each below it."""
        check_interrupt()
        lines = list(runs) if len(runs) > 1 else []
        while len(self._runs) > len(lines):
            self._bar.remove_task(self._runs.pop())
        while len(self._runs) < len(lines):
            self._runs.append(self._bar.add_task("", total=None, detail=""))
        names = _telling_apart([printable(run.label) for run in lines])
        for task, run, name in zip(self._runs, lines, names, strict=True):
            self._bar.update(task, description=name, completed=run.done + run.failed, total=run.total)
        taken = max(len(task.description) for task in self._bar.tasks)
        for task, run in zip(self._runs or [self._task], runs, strict=True):
            taken_with_count = _AROUND[self._wide] + taken + 2 * len(str(run.total)) + 1
            self._bar.update(task, detail=printable(run.details(max(0, self._console.width - taken_with_count))))
        now = time.monotonic()
        if now - self._last_line > _PLAIN_EVERY:
            self._last_line = now
            for run in runs:
                self._plain(f"{run.label}: {run.line()}")

    def _plain(self, line: str) -> None:
        if not self._console.is_terminal and not self._quiet:
            show_plain(self._console, line)

    @property
    def _quiet(self) -> bool:
        return self._level > logging.INFO


class _Count(MofNCompleteColumn):
    """How many of how many; nothing while that is not known."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


def _telling_apart(labels: Sequence[str]) -> list[str]:
    """The labels of runs that are made together, without the benchmark and the model that they have in common."""
    begin = [label.split(" ", maxsplit=2) for label in labels]
    if len(labels) > 1 and all(len(words) == 3 and words[:2] == begin[0][:2] for words in begin):
        return [words[2] for words in begin]
    return list(labels)


class _Lines(logging.Handler):
    """Shows the lines of a run's log, except warnings, which are shown as notices already."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.WARNING:
            show_plain(self._console, record.getMessage())


class _Notices(logging.Handler):
    """Shows a log's warnings as notices."""

    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        show_notice(self._console, record.getMessage())
