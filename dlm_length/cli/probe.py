"""`dlmlen probe`: the first forward of a finished run on a fixed canvas."""

from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.path_checks import check_runs


@on_interrupt("nothing was written; the same command starts again.")
def probe(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run of policy fixed.")],
) -> None:
    """Record the EOS probabilities of every sample's first forward, which a report draws as a heat map."""
    announce("reading the run")
    check_runs("run", run)
    from dlm_length.cli.display import RunDisplay
    from dlm_length.records import the_run
    from dlm_length.runner.probe import probe as record_first_forward

    with RunDisplay() as display:
        written = record_first_forward(the_run(run), display)
    echo(f"EOS probabilities: {written}")
