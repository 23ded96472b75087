"""`dlmlen doctor`: what of this machine works, or what a checkpoint is."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_model
from dlm_length.cli.echo import announce, echo

if TYPE_CHECKING:
    from dlm_length.doctor import Finding


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Look at a checkpoint in place of the machine: a folder, a hub id, embedded:NAME, or a name in"
            " configs/models. Its weights are not loaded.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings for machines.")] = False,
) -> None:
    """Look at the machine (devices, the model that ships, the sandbox, LaTeX, room for records), or at a checkpoint."""
    announce("looking at this machine" if model is None else f"looking at {model}")
    from dataclasses import asdict

    from dlm_length.doctor import examine, examine_model

    findings = list(examine(Path("results")) if model is None else examine_model(model))
    if as_json:
        echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        _show("This machine" if model is None else f"Checkpoint {model}", findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _show(title: str, findings: "Iterable[Finding]") -> None:
    """A table whose last column wraps: a chat template or a refusal may be long."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from dlm_length.common import printable

    table = Table("what", "state", title=Text(printable(title)), title_justify="left")
    table.add_column("found", overflow="fold")
    for finding in findings:
        table.add_row(*(Text(printable(cell)) for cell in (finding.what, finding.state, finding.found)))
    Console().print(table)
