"""`dlmlen watch`: the progress of runs, from another terminal."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dlm_length.cli.echo import echo
from dlm_length.cli.path_checks import check_folders

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from dlm_length.records.watch import RunWatcher, WatchedRun

_EVERY = 2.0
"""Seconds."""
_TITLES = ("samples", "tokens/s", "score", "left", "device", "state")
_WIDE, _IN_WIDE = 110, ("tokens/s", "device")
"""Columns of a terminal from which on these are shown, too."""
_NONE = "No unfinished runs."


def watch(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN", help="Runs, or folders that hold some; results by default.", show_default=False),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print a line per unfinished run, and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the unfinished runs as JSON, and exit.")] = False,
) -> None:
    """Show the unfinished runs: samples, tokens/s, score, time left. Ctrl-C ends the display, not the runs."""
    from rich.console import Console

    from dlm_length.records.watch import RunWatcher

    check_folders("run", *(results or ()))
    watcher, console = RunWatcher(results or [Path("results")]), Console()
    if as_json:
        typer.echo(json.dumps([_as_data(run) for run in watcher.look()]))
        return
    if once or not console.is_terminal:
        for line in [run.line() for run in watcher.look()] or [_NONE]:
            echo(line)
        return
    _show_until_interrupted(watcher, console)


def _show_until_interrupted(watcher: "RunWatcher", console: "Console") -> None:
    import time

    from rich.live import Live

    try:
        with Live(_table(watcher.look(), console.width), console=console, auto_refresh=False) as live:
            while True:
                time.sleep(_EVERY)
                live.update(_table(watcher.look(), console.width), refresh=True)
    except KeyboardInterrupt:
        return


def _as_data(run: "WatchedRun") -> dict[str, Any]:
    """A run for JSON; its progress as progress.json has it, None before it generates."""
    progress = None if run.progress is None else run.progress.model_dump(mode="json")
    samples = {"done": run.done, "failed": run.failed, "score": run.score}
    return {"path": str(run.path), **samples, "state": run.state, "progress": progress}


def _table(runs: "list[WatchedRun]", width: int) -> "Table":
    """A row per run; `width`: columns of the terminal, where a narrow one has no room for pace and device."""
    from rich.table import Column, Table
    from rich.text import Text

    from dlm_length.common import printable

    titles = [title for title in _TITLES if width >= _WIDE or title not in _IN_WIDE]
    table = Table(Column("run", overflow="fold"), *(Column(title, no_wrap=True) for title in titles), box=None)
    if not runs:
        table.caption = _NONE
    elif len(titles) < len(_TITLES):
        table.caption = f"{' and '.join(_IN_WIDE)}: in a terminal of {_WIDE} columns"
    for run in runs:
        cells = _cells(run)
        table.add_row(*(Text(printable(cells[title])) for title in ("run", *titles)))
    return table


def _cells(run: "WatchedRun") -> dict[str, str]:
    """What the table has of a run, by the column's title."""
    from dlm_length.records import duration, is_shard_folder

    progress = run.progress
    shard = run.path.name.replace("-of-", "/") if is_shard_folder(run.path) else None
    name = progress.label if progress else run.path.parents[1].name if shard else run.path.name
    score = progress.score if progress else run.score
    failed = f", {run.failed} failed" if run.failed else ""
    known = (
        {"samples": f"{run.done}{failed}"}
        if progress is None
        else {
            "samples": f"{progress.done}/{progress.total}{failed}",
            "tokens/s": "" if progress.tokens_per_second is None else f"{progress.tokens_per_second:.1f}",
            "left": "" if progress.seconds_left is None else duration(progress.seconds_left),
            "device": progress.device_use,
        }
    )
    named = {"run": f"{name}, shard {shard}" if shard else name, "state": run.state}
    return dict.fromkeys(_TITLES, "") | known | named | {"score": "" if score is None else f"{score:.3f}"}
