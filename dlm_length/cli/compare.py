"""`dlmlen compare`: two runs side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.option_values import choose_table_format, resolve_testing
from dlm_length.cli.options import JsonOption, Resamples, TableFormatOption
from dlm_length.cli.path_checks import check_runs
from dlm_length.common import counted

if TYPE_CHECKING:
    from dlm_length.reports import RunDiff


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="FIRST", help="The baseline: a run's folder, or one with one run in it.")
    ],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another run over the same samples.")],
    resamples: Resamples = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
    show: Annotated[
        int, typer.Option(metavar="N", min=0, help="How many of the samples with another score to show.")
    ] = 5,
) -> None:
    """Compare two finished runs: differences of their configs, paired tests, and the samples with another score."""
    table_format = choose_table_format(form, as_json)
    announce("comparing the runs")
    check_runs("run", first, second)
    from dlm_length.cli.display import show_tables
    from dlm_length.records import the_run
    from dlm_length.reports import run_diff

    compared = run_diff(the_run(first), the_run(second), testing=resolve_testing(resamples=resamples))
    tables = (compared.table, compared.differences, compared.tests, compared.agreement)
    show_tables(filter(None, tables), table_format)
    if table_format == "terminal":
        _show_changed(compared, show)


def _show_changed(compared: "RunDiff", most: int) -> None:
    """Print the first samples with another score: reference answer, and both answers."""
    changed = compared.changed
    gained = sum(sample.by > 0 for sample in changed)
    echo(f"\nSamples with another score: {len(changed)} ({gained} higher, {len(changed) - gained} lower or unscored).")
    for sample in changed[:most]:
        echo(f"\n{_brief(sample.id)}: {_score(sample.first.score)} -> {_score(sample.second.score)}")
        if sample.target:
            _show("reference", sample.target)
        for name, record in (("first", sample.first), ("second", sample.second)):
            _show(f"{name} ({counted(record.n_token, 'token')})", record.resps[0][0])
    if len(changed) > most:
        echo(f"\n{len(changed) - most} more, not shown: see --show.")


def _show(label: str, text: str) -> None:
    """A text with its label; on a terminal wrapped between words."""
    from rich.console import Console

    from dlm_length.cli.entries import print_entry

    console = Console()
    if console.is_terminal:
        print_entry(console, f"{label}:", _brief(text))
    else:
        echo(f"{label}: {_brief(text)}")


def _score(score: float | None) -> str:
    return "unscored" if score is None else f"{score:g}"


def _brief(text: str) -> str:
    """On one line, up to 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."
