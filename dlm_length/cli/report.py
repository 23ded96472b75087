"""`dlmlen report`: tables, figures and a page from records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import announce, echo
from dlm_length.cli.options import Adjust, Margin, Resamples, choose, resolve_testing
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.cli.display import RunDisplay
    from dlm_length.reports.report_tables import PaperStyle
    from dlm_length.trace.report import RunTracer
    from dlm_length.tracking import TrackerName


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[RUNS]", help="Folders with finished runs at or below them; results by default."),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Where the report goes; only an earlier one is replaced.")
    ] = Path("report"),
    formats: Annotated[
        str | None,
        typer.Option("--format", metavar="F1,F2,...", help="Of latex, markdown, csv, json, html; all by default."),
    ] = None,
    paper: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this paper's tables: smartcrop or daedal.")
    ] = None,
    style: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="paper: tables for submission, with readers' names and few columns."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="C1,C2,...",
            help="Of the main table in the paper style: score, flops_saved, delta, nfe, n_token, ...;"
            " score,flops_saved by default.",
            show_default=False,
        ),
    ] = None,
    width: Annotated[
        str | None,
        typer.Option(metavar="column|page", help="What tables in the paper style must fit; page by default."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML with names for readers of policies, benchmarks, models and metrics.",
            show_default=False,
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="RUN|LABEL",
            help="What the others are held against; by default the fixed canvas as long as most policies' longest.",
        ),
    ] = None,
    stars_by: Annotated[
        str | None,
        typer.Option(metavar="TEST", help="Sets the stars: paired_bootstrap, mcnemar, wilcoxon, permutation."),
    ] = None,
    adjust: Adjust = None,
    resamples: Resamples = None,
    margin: Margin = None,
    figures: Annotated[bool, typer.Option(help="Draw the figures.")] = True,
    samples: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Samples of each run on the page; all by default.", show_default=False),
    ] = None,
    traces: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Prompts of each benchmark to be denoised once more under every policy, to be watched on the page.",
        ),
    ] = 0,
    title: Annotated[
        str, typer.Option(help="Of the document and the page.")
    ] = "Answer length in diffusion language models",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the tables for machines; files are written as ever.")
    ] = False,
    tracking: Annotated[
        str | None,
        typer.Option(metavar="TRACKER", help="Then keep the report as an artifact at wandb, trackio, mlflow, ..."),
    ] = None,
) -> None:
    """Write the papers' tables and figures from finished runs: LaTeX and PDF, Markdown, CSV, and one HTML page."""
    announce("reading the runs")
    from dlm_length.analysis.margins import read_margin
    from dlm_length.cli.display import RunDisplay, show_tables
    from dlm_length.common.program import command_line
    from dlm_length.reports.report import FORMATS, PAPERS, write_report

    tracker = None if tracking is None else _tracker(tracking)
    wanted = [choose("--format", name, FORMATS) for name in formats.split(",")] if formats is not None else FORMATS
    papers = [choose("--paper", paper, PAPERS)] if paper is not None else PAPERS
    share = None if margin is None else read_margin(margin)
    made_for = _paper_style(style, columns=columns, width=width)
    testing = resolve_testing(adjust=adjust, resamples=resamples, stars_by=stars_by)
    with RunDisplay() as display:
        tracer = _tracer(display, traces if "html" in wanted else 0)
        written = write_report(
            runs or [Path("results")],
            out,
            title=title,
            baseline=baseline,
            testing=testing,
            margin=share,
            formats=wanted,
            papers=papers,
            style=made_for,
            labels=labels,
            figures=figures,
            samples=samples,
            trace=tracer,
            traces=traces,
            command=command_line(),
            progress=display.phase,
        )
    shown = [table for table in written.tables if table.name in (*papers, "non-inferiority", "main")]
    show_tables(shown, "json" if as_json else "terminal")
    for sentence in (*written.notes, *(tracer.left_out if tracer is not None else ())):
        echo(sentence, err=as_json)
    echo(f"Report: {written.folder}", err=as_json)
    if tracker is not None:
        _keep_at(tracker, written.folder)


def _tracker(name: str) -> "TrackerName":
    """The tracker of that name. Raises ConfigError for another, UserError where its library is missing."""
    from dlm_length.tracking import TRACKERS, check_tracker

    chosen = choose("--tracking", name, TRACKERS)
    check_tracker(chosen)
    return chosen


def _keep_at(name: "TrackerName", folder: Path) -> None:
    """The whole report as an artifact of a run of its own."""
    from dlm_length.common.program import command_line
    from dlm_length.tracking import TrackedRun, open_tracker

    run = TrackedRun("reports", folder.resolve().name, folder.parent)
    tracker = open_tracker(
        name, run, {"command": command_line()}, lambda sentence: echo(f"Note: {sentence}.", err=True)
    )
    tracker.finish({}, [folder])


def _tracer(display: "RunDisplay", traces: int) -> "RunTracer | None":
    """None where no traces are asked for: models and torch stay unloaded then."""
    if not traces:
        return None
    from dlm_length.trace.report import RunTracer

    return RunTracer(display.notice)


def _paper_style(style: str | None, *, columns: str | None, width: str | None) -> "PaperStyle | None":
    """The style that is asked for, with what is set of it. Raises ConfigError for unknown names."""
    from dlm_length.reports.report_tables import PaperStyle
    from dlm_length.reports.table import WIDTHS
    from dlm_length.reports.tables.measures import USUAL_COLUMNS, choose_columns

    if style is not None:
        choose("--style", style, ("paper",))
        return PaperStyle(
            USUAL_COLUMNS if columns is None else choose_columns(columns),
            "page" if width is None else choose("--width", width, WIDTHS),
        )
    given = {"--columns": columns, "--width": width}
    if unread := [option for option, value in given.items() if value is not None]:
        raise ConfigError(f"{unread[0]}: is of the paper style alone; add --style paper, or leave it out.")
    return None
