"""`dlmlen reproduce`: all experiments of a paper, and its published numbers compared with ours."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_model
from dlm_length.cli.echo import announce, echo, echo_prose
from dlm_length.cli.interrupts import Resumable
from dlm_length.cli.option_values import TableFormat, choose_table_format, limit_override, resolve_testing
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
    TableFormatOption,
)
from dlm_length.cli.path_checks import check_file
from dlm_length.cli.studies import report_shared_forwards, run_all, show_study_plan

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
            help="A model config, or embedded: the small model for the mini benchmarks. The paper's by default.",
            autocompletion=complete_model,
        ),
    ] = None,
    benchmarks: Annotated[
        str | None,
        typer.Option(
            metavar="B1,B2,...",
            help="Some of the paper's benchmarks, or mini: their small counterparts, which ship with the package.",
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
            help="A local copy of a benchmark's data, as JSONL in the data set's own form; repeat for each benchmark.",
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
            metavar="FOLDER", help="Folder to write the report to; by default next to the records.", show_default=False
        ),
    ] = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
) -> None:
    """Run a paper's experiments, and compare each number that it published with ours.

    Stars are by each test's own p, as in the papers, unless --adjust holm.

    Claims without a number ("no significant degradation") are tested as non-inferiority within --margin points, or 2.
    """
    with Resumable(fresh=fresh, dry_run=dry_run):
        table_format = choose_table_format(form, as_json)
        announce("reading the paper's experiments")
        from dlm_length.analysis.margins import MARGIN, read_margin
        from dlm_length.analysis.published import AS_PUBLISHED
        from dlm_length.config import load_reproduction, read_seeds

        margin_share = read_margin(MARGIN if margin is None else margin)
        testing = resolve_testing(adjust=adjust, resamples=resamples, usual=AS_PUBLISHED)
        reproduction = load_reproduction(
            paper,
            model=model,
            benchmarks=None if benchmarks is None else benchmarks.split(","),
            only=[group.strip() for group in only.split(",")],
            data=data or (),
            overrides=[*(overrides or ()), *limit_override(limit)],
        )
        for given in data or ():
            check_file("--data", Path(given.partition("=")[2]))
        if seeds is not None:
            study = replace(reproduction.study, seeds=read_seeds(seeds, overrides or ()))
            reproduction = replace(reproduction, study=study)
        notes = []
        if reproduction.unscored:
            notes.append(
                f"{' and '.join(reproduction.unscored)}: answers are code, which is not scored without {EXECUTE}."
            )
        if dry_run:
            show_study_plan(reproduction.study, notes, table_format)
            return
        for note in notes:
            echo_prose(f"Note: {note}", err=True)
        _carry_out(reproduction, testing, margin_share, fresh=fresh, out=out, form=table_format)


def _carry_out(
    reproduction: "Reproduction",
    testing: "Testing",
    margin: float,
    *,
    fresh: bool,
    out: Path | None,
    form: TableFormat,
) -> None:
    """Run what has not run yet, print the comparisons with the paper, and write the report."""
    from dlm_length.cli.display import RunDisplay, show_tables
    from dlm_length.common.program import command_line
    from dlm_length.reports.report import write_report
    from dlm_length.reports.tables.published import claim_tables, verdict_tables

    study, plan = reproduction.study, reproduction.paper.plan
    studied = run_all(study, fresh=fresh)
    paths = [finished.path for block in studied.blocks for finished in (*block.baseline, *block.runs)]
    comparisons = [
        *verdict_tables(reproduction, paths, testing=testing),
        *claim_tables(reproduction, paths, margin, testing=testing),
    ]
    show_tables(comparisons, form)
    to_stderr = form != "terminal"
    report_shared_forwards(studied, err=to_stderr)
    records = Path(study.blocks[0].all[0].output.directory) / study.name
    with RunDisplay() as display:
        written = write_report(
            paths,
            out or records / "report",
            title=f"Reproduction of {plan.method}, {plan.title}",
            testing=testing,
            extra=comparisons,
            layouts=(reproduction.paper.name,),
            command=command_line(),
            progress=display.phase,
        )
    for sentence in written.notes:
        echo_prose(sentence, err=to_stderr)
    echo(f"Records: {', '.join(map(str, dict.fromkeys(path.parent for path in paths)))}", err=to_stderr)
    echo(f"Report: {written.folder}", err=to_stderr)
