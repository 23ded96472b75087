"""`dlmlen merge`: the shards of a run into one run."""

import json
from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.path_checks import check_runs


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
    from dlm_length.cli.run import lost_line
    from dlm_length.records import read_lost_ids
    from dlm_length.runner import merge as merge_runs

    with RunDisplay() as display:
        merged = merge_runs(runs, display)
    lost = {str(run): ids for run in merged if (ids := read_lost_ids(run))}
    if as_json:
        typer.echo(json.dumps({"merged": [str(run) for run in merged], "lost": lost}))
        return
    echo(f"Merged: {', '.join(map(str, merged))}" if merged else "Nothing to merge: no run there has unmerged shards.")
    for run, ids in lost.items():
        echo(lost_line(run, ids, "the command that made it, without --shard,"))
