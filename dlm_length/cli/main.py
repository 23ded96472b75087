"""The command line `dlmlen`: the commands and how errors are told.

A command lives in a module of its own and imports what it needs when it runs, so that help comes at once.
"""

import sys
from typing import Annotated

import typer

from dlm_length import __version__
from dlm_length.cli import compare as compare_command
from dlm_length.cli import config, listings
from dlm_length.cli import doctor as doctor_command
from dlm_length.cli import probe as probe_command
from dlm_length.cli import report as report_command
from dlm_length.cli import reproduce as reproduce_command
from dlm_length.cli import run as run_command
from dlm_length.cli import score as score_command
from dlm_length.cli import sweep as sweep_command
from dlm_length.cli import trace as trace_command
from dlm_length.common import UserError, printable

app = typer.Typer(
    name="dlmlen",
    help="Benchmark adaptive answer length in diffusion language models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(config.app, name="config")
app.command("compare")(compare_command.compare)
app.command("doctor")(doctor_command.doctor)
app.command("list")(listings.show)
app.command("probe")(probe_command.probe)
app.command("report")(report_command.report)
app.command("reproduce")(reproduce_command.reproduce)
app.command("run")(run_command.run)
app.command("score")(score_command.score)
app.command("sweep")(sweep_command.sweep)
app.command("trace")(trace_command.trace)


def run() -> None:
    """Entry point. What a user can mend is told in a sentence; anything else is our fault and keeps its traceback."""
    try:
        app()
    except UserError as error:
        from rich.console import Console
        from rich.text import Text

        # A message quotes files and answers, and may have several lines.
        message = "\n".join(map(printable, str(error).split("\n")))
        # Never wrapped or marked up: paths and brackets in the message stay as they are.
        Console(stderr=True).print(Text.assemble(("Error: ", "bold red"), message), soft_wrap=True, highlight=False)
        sys.exit(error.exit_code)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dlmlen {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options that stand before the command."""
