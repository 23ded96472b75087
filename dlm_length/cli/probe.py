"""`dlmlen probe`: the first forward of a finished run on a fixed canvas."""

from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import echo


def probe(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run of policy fixed.")],
) -> None:
    """Record the EOS probabilities of every sample's first forward, which a report draws as a heat map."""
    from dlm_length.cli.display import RunDisplay
    from dlm_length.records import the_run
    from dlm_length.runner.measurements import probe as look

    with RunDisplay() as display:
        written = look(the_run(run), display)
    echo(f"EOS probabilities: {written}")
