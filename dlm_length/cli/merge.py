"""`dlmlen merge`: the shards of a run into one run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.path_checks import check_runs
from dlm_length.cli.shards import lost_lines


@on_interrupt("no sample is lost; the same command continues.")
def merge(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN", help="Runs made with --shard, or folders that hold some.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the merged runs' folders as JSON.")] = False,
) -> None:
    """Put the shards of a run together and compute its metrics; missing and duplicate shards are named."""
    announce("reading the shards")
    check_runs("run", *runs)
    from dlm_length.cli.display import RunDisplay
    from dlm_length.runner import merge as merge_runs

    with RunDisplay() as display:
        made = merge_runs(runs, display)
    if as_json:
        typer.echo(json.dumps(made.as_data()))
        return
    folders = ", ".join(map(str, made.merged))
    echo(f"Merged: {folders}" if folders else "Nothing to merge: no run there has unmerged shards.")
    for line in lost_lines(made, "the command that made it, without --shard,"):
        echo(line)
