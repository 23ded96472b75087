"""Tables and progress on a terminal; plain lines where the output is none."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table as RichTable
from rich.text import Text

from dlm_length.cli.options import TableFormat
from dlm_length.common import printable
from dlm_length.common.console import show_notice, show_plain
from dlm_length.reports import ReportTable

_WIDEST = 1_000
"""Characters of a line that a table may need."""
_PLAIN_EVERY = 10.0
"""Seconds between progress lines where there is no terminal."""


def show_tables(tables: Iterable[ReportTable], form: TableFormat) -> None:
    """Print tables and their notes to standard output, a blank line between two; CSV has no notes."""
    if form == "terminal":
        for table in tables:
            show_table(table)
        return
    from dlm_length.reports.rendering import render_table

    print("\n\n".join(printable(render_table(table, form)).rstrip("\n") for table in tables))


def show_table(table: ReportTable) -> None:
    """Draw a table and its notes for a terminal, to standard output."""
    console = Console()
    # As text, in which brackets mean themselves.
    rich = RichTable(title=Text(printable(table.title)), title_justify="left", caption_justify="left")
    for place, column in enumerate(table.titles):
        rich.add_column(Text(printable(column)), justify="right" if place else "left", no_wrap=place > 0)
    for row in table.text_rows:
        rich.add_row(*(Text(printable(cell)) for cell in row))
    # A narrow terminal wraps the lines of a wide table, which is less bad than cells that are cut.
    needed = Console(width=_WIDEST).measure(rich).maximum
    Console(width=max(console.width, needed)).print(rich)
    for note in table.all_notes:
        console.print(printable(note), style="dim", highlight=False, markup=False)


class RunDisplay:
    """Watches a run (`runner.Progress`): a bar on a terminal, a line every few seconds elsewhere. On standard error."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._last = 0.0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def notice(self, sentence: str) -> None:
        show_notice(self._console, sentence)

    def phase(self, name: str) -> None:
        self._bar.update(self._task, description=printable(name))
        self._plain(name)

    def samples(self, done: int, total: int) -> None:
        self._bar.update(self._task, completed=done, total=total)
        now = time.monotonic()
        if done == total or now - self._last > _PLAIN_EVERY:
            self._last = now
            self._plain(f"{done} of {total} samples")

    def _plain(self, line: str) -> None:
        if not self._console.is_terminal:
            show_plain(self._console, line)
