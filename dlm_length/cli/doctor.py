"""`dlmlen doctor`: what works on this machine, or what a checkpoint is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_model
from dlm_length.cli.echo import announce, echo
from dlm_length.cli.option_values import choose_table_format
from dlm_length.cli.options import JsonOption, TableFormatOption
from dlm_length.common import printable

if TYPE_CHECKING:
    from dlm_length.doctor import Finding
    from dlm_length.reports import ReportTable


def doctor(
    model: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Check a checkpoint instead of the machine: a folder, a hub id, embedded:NAME, or a name in"
            " configs/models. Its weights are not loaded.",
            show_default=False,
            autocompletion=complete_model,
        ),
    ] = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
) -> None:
    """Check the machine (devices, embedded model, sandbox, LaTeX, disk space), or a checkpoint.

    Exits with 1 where something is broken.
    """
    table_format = choose_table_format(form, as_json)
    announce("checking this machine" if model is None else f"checking {model}")
    from dataclasses import asdict

    from dlm_length.doctor import examine, examine_model

    findings = list(examine(Path("results")) if model is None else examine_model(model))
    title = "This machine" if model is None else f"Checkpoint {model}"
    if table_format == "json":
        echo(json.dumps([asdict(finding) for finding in findings]))
    elif table_format == "terminal":
        _show(title, findings)
    else:
        from dlm_length.cli.display import show_tables

        show_tables([_table(title, findings)], table_format)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _table(title: str, findings: "Sequence[Finding]") -> "ReportTable":
    from dlm_length.reports.table import Column, Group, ReportTable, Row

    rows = tuple(Row((finding.what, finding.state, finding.found), ()) for finding in findings)
    columns = tuple(Column(name, numeric=False) for name in ("what", "state", "found"))
    return ReportTable("doctor", title, columns, (Group("", rows),), ())


def _show(title: str, findings: "Sequence[Finding]") -> None:
    """A line for each finding; a path or a chat template, which may be long, is never broken."""
    from rich.console import Console

    from dlm_length.cli.entries import print_entry

    console = Console()
    console.print(printable(title), style="bold", highlight=False, markup=False)
    width = max(len(finding.what) for finding in findings)
    for finding in findings:
        print_entry(console, f"{finding.what:<{width}}  {finding.state:<7}", finding.found)
