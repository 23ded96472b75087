"""`dlmlen reproduce`: a paper's whole matrix, then its published numbers beside ours."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_model
from dlm_length.cli.echo import echo
from dlm_length.cli.interrupts import Resumable
from dlm_length.cli.options import (
    Adjust,
    DryRun,
    FreshRuns,
    JsonOption,
    Limit,
    Margin,
    Overrides,
    Resamples,
    Seeds,
    TableFormat,
    TableFormatOption,
    choose_table_format,
    limiting,
    resolve_testing,
)
from dlm_length.cli.run import make, show_study_plan, tell_shared

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.config import Reproduction

EXECUTE = "benchmark.execute_code=true"


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="smartcrop, daedal or rho_eos.", show_default=False)],
    overrides: Overrides = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A model config, or embedded: the small model for the mini benchmarks. By default the paper's.",
            autocompletion=complete_model,
        ),
    ] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option(
            metavar="B1,B2,...",
            help="Some of the paper's benchmarks, or mini: their small twins, which ship with the package.",
        ),
    ] = None,
    only: Annotated[
        str,
        typer.Option(metavar="G1,G2,...", help="Parts of the plan: main, ablations and grids (daedal), controls."),
    ] = "main",
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="BENCHMARK=FILE",
            help="A local copy of a benchmark's data, JSONL in their own form; once for each benchmark.",
            show_default=False,
        ),
    ] = None,
    limit: Limit = None,
    dry_run: DryRun = False,
    fresh: FreshRuns = False,
    adjust: Adjust = None,
    resamples: Resamples = None,
    margin: Margin = None,
    seeds: Seeds = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where the report goes; by default beside the records.", show_default=False
        ),
    ] = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
) -> None:
    """Run a paper's experiments, and give a verdict on each number that it published.

    Stars are by each test's own p, as the papers' are, unless --adjust holm. What a paper claims of its scores without
    a number ("no significant degradation") is tested as non-inferiority, within 2 points unless --margin is given.
    """
    with Resumable(fresh=fresh, dry_run=dry_run):
        from dlm_length.analysis.margins import MARGIN, read_margin
        from dlm_length.analysis.published import AS_PUBLISHED
        from dlm_length.config import load_reproduction, read_seeds

        wanted = choose_table_format(form, as_json)
        share = read_margin(MARGIN if margin is None else margin)
        testing = resolve_testing(adjust=adjust, resamples=resamples, usual=AS_PUBLISHED)
        reproduction = load_reproduction(
            paper,
            model=model,
            benchmarks=None if benchmarks is None else benchmarks.split(","),
            only=[group.strip() for group in only.split(",")],
            data=data or (),
            overrides=[*(overrides or ()), *limiting(limit)],
        )
        if seeds is not None:
            study = replace(reproduction.study, seeds=read_seeds(seeds, overrides or ()))
            reproduction = replace(reproduction, study=study)
        notes = []
        if reproduction.unscored:
            notes.append(f"{' and '.join(reproduction.unscored)}: answers are code, not scored without {EXECUTE}.")
        if dry_run:
            show_study_plan(reproduction.study, notes, wanted)
            return
        for note in notes:
            echo(f"Note: {note}", err=True)
        _carry_out(reproduction, testing, share, fresh=fresh, out=out, form=wanted)


def _carry_out(
    reproduction: "Reproduction",
    testing: "Testing",
    margin: float,
    *,
    fresh: bool,
    out: Path | None,
    form: TableFormat,
) -> None:
    """Run what is left to do; print the verdicts, write the report."""
    from dlm_length.cli.display import RunDisplay, show_tables
    from dlm_length.common.program import command_line
    from dlm_length.reports.report import write_report
    from dlm_length.reports.tables.published import claim_tables, verdict_tables

    study, plan = reproduction.study, reproduction.paper.plan
    studied = make(study, fresh=fresh)
    paths = [finished.path for block in studied.blocks for finished in (*block.baseline, *block.runs)]
    tables = [
        *verdict_tables(reproduction, paths, testing=testing),
        *claim_tables(reproduction, paths, margin, testing=testing),
    ]
    show_tables(tables, form)
    apart = form != "terminal"
    tell_shared(studied, err=apart)
    records = Path(study.blocks[0].all[0].output.directory) / study.name
    with RunDisplay() as display:
        written = write_report(
            paths,
            out or records / "report",
            title=f"Reproduction of {plan.method}, {plan.title}",
            testing=testing,
            extra=tables,
            layouts=(reproduction.paper.name,),
            command=command_line(),
            progress=display.phase,
        )
    for sentence in written.notes:
        echo(sentence, err=apart)
    echo(f"Records: {', '.join(map(str, dict.fromkeys(path.parent for path in paths)))}", err=apart)
    echo(f"Report: {written.folder}", err=apart)
