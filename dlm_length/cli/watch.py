"""`dlmlen watch`: runs in progress, from another terminal."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import echo

if TYPE_CHECKING:
    from rich.table import Table

    from dlm_length.runner.live.watch import WatchedRun

_EVERY = 2.0
"""Seconds."""


def watch(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RESULTS...", help="Runs, or folders that hold some.", show_default="results"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print a line per unfinished run, and leave.")] = False,
) -> None:
    """Show the unfinished runs: samples, tokens/s, score, time left. Ctrl-C ends it, and no run with it."""
    from rich.console import Console

    from dlm_length.runner.live.watch import RunWatcher

    watcher, console = RunWatcher(results or [Path("results")]), Console()
    if once or not console.is_terminal:
        for line in [run.line() for run in watcher.look()] or ["No unfinished run is there."]:
            echo(line)
        return
    import time

    from rich.live import Live

    try:
        with Live(_table(watcher.look()), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(_EVERY)
                live.update(_table(watcher.look()), refresh=True)
    except KeyboardInterrupt:
        return


def _table(runs: "list[WatchedRun]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from dlm_length.common import printable
    from dlm_length.records import duration

    table = Table("run", "samples", "tokens/s", "score", "left", "device", "state", box=None)
    table.caption = None if runs else "No unfinished run is there."
    for run in runs:
        told = run.progress
        score = told.score if told else run.score
        cells = (
            told.label if told else run.path.name,
            f"{told.done}/{told.total}" if told else str(run.done),
            "" if told is None or told.tokens_per_second is None else f"{told.tokens_per_second:.1f}",
            "" if score is None else f"{score:.3f}",
            "" if told is None or told.seconds_left is None else duration(told.seconds_left),
            told.device_use if told else "",
            run.state,
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
