"""`dlmlen watch`: the progress of runs, from another terminal."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_length.cli.checks import check_folders
from dlm_length.cli.echo import echo

if TYPE_CHECKING:
    from rich.table import Table

    from dlm_length.runner.watch import WatchedRun

_EVERY = 2.0
"""Seconds."""
_NONE = "No unfinished runs."


def watch(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RESULTS...", help="Runs, or folders that hold some.", show_default="results"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print a line per unfinished run, and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the unfinished runs as JSON, and exit.")] = False,
) -> None:
    """Show the unfinished runs: samples, tokens/s, score, time left. Ctrl-C ends the display, not the runs."""
    from rich.console import Console

    from dlm_length.runner.watch import RunWatcher

    check_folders("run", *(results or ()))
    watcher, console = RunWatcher(results or [Path("results")]), Console()
    if as_json:
        typer.echo(json.dumps([_as_data(run) for run in watcher.look()]))
        return
    if once or not console.is_terminal:
        for line in [run.line() for run in watcher.look()] or [_NONE]:
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


def _as_data(run: "WatchedRun") -> dict[str, Any]:
    """A run for JSON; its progress as progress.json has it, None before it generates."""
    progress = None if run.progress is None else run.progress.model_dump(mode="json")
    return {"path": str(run.path), "done": run.done, "score": run.score, "state": run.state, "progress": progress}


def _table(runs: "list[WatchedRun]") -> "Table":
    from rich.table import Table
    from rich.text import Text

    from dlm_length.common import printable
    from dlm_length.records import duration

    table = Table("run", "samples", "tokens/s", "score", "left", "device", "state", box=None)
    table.caption = None if runs else _NONE
    for run in runs:
        progress = run.progress
        score = progress.score if progress else run.score
        cells = (
            progress.label if progress else run.path.name,
            f"{progress.done}/{progress.total}" if progress else str(run.done),
            "" if progress is None or progress.tokens_per_second is None else f"{progress.tokens_per_second:.1f}",
            "" if score is None else f"{score:.3f}",
            "" if progress is None or progress.seconds_left is None else duration(progress.seconds_left),
            progress.device_use if progress else "",
            run.state,
        )
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table
