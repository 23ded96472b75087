"""`dlmlen compare`: two runs side by side."""

from pathlib import Path
from typing import Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.options import JsonOption, Resamples, TableFormatOption, choose_table_format, resolve_testing


def compare(
    first: Annotated[
        Path, typer.Argument(metavar="FIRST", help="The baseline: a run's folder, or one with one run in it.")
    ],
    second: Annotated[Path, typer.Argument(metavar="SECOND", help="Another over the same samples.")],
    resamples: Resamples = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
    show: Annotated[int, typer.Option(min=0, help="How many of the samples that changed are shown.")] = 5,
) -> None:
    """Compare two finished runs: what their configs differ in, paired tests, the samples that changed."""
    announce("comparing")
    from dlm_length.cli.display import show_tables
    from dlm_length.records import the_run
    from dlm_length.reports import run_diff

    wanted = choose_table_format(form, as_json)
    compared = run_diff(the_run(first), the_run(second), testing=resolve_testing(resamples=resamples))
    tables = (compared.table, compared.differences, compared.tests, compared.agreement)
    show_tables(filter(None, tables), wanted)
    if wanted != "terminal":
        return
    changed = compared.changed
    gained = sum(sample.by > 0 for sample in changed)
    echo(f"{len(changed)} samples changed their score: {gained} up, {len(changed) - gained} down or unscored.")
    for sample in changed[:show]:
        echo(f"\n{_brief(sample.id)}: {_score(sample.first.score)} -> {_score(sample.second.score)}")
        if sample.target:
            echo(f"reference: {_brief(sample.target)}")
        for name, record in (("first", sample.first), ("second", sample.second)):
            echo(f"{name} ({record.n_token} tokens): {_brief(record.resps[0][0])}")
    if len(changed) > show:
        echo(f"\n{len(changed) - show} more; --show N shows more of them.")


def _score(score: float | None) -> str:
    return "unscored" if score is None else f"{score:g}"


def _brief(text: str) -> str:
    """On one line, up to 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."
