"""`dlmlen merge`: one run of the shards that were made of it."""

from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import echo


def merge(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Runs that were made with --shard, or folders that hold such.", show_default=False
        ),
    ],
) -> None:
    """Put the shards of a run together and make its metrics; those that are missing or doubled are named."""
    from dlm_length.cli.display import RunDisplay
    from dlm_length.runner import merge as merge_runs

    with RunDisplay() as display:
        merged = merge_runs(runs, display)
    echo(f"Merged: {', '.join(map(str, merged))}" if merged else "Nothing to merge: the runs there are whole.")
