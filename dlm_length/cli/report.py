"""`dlmlen report`: tables, figures and an HTML page from records."""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import announce, echo, echo_prose
from dlm_length.cli.interrupts import on_interrupt
from dlm_length.cli.option_values import choose, resolve_testing
from dlm_length.cli.options import Adjust, Margin, Resamples
from dlm_length.cli.path_checks import check_file, check_folders, check_runs
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.cli.display import RunDisplay
    from dlm_length.reports.report_tables import PaperStyle
    from dlm_length.trace.report import RunTracer
    from dlm_length.tracking import TrackerName

_UPLOAD = 600.0
"""Seconds that a tracker may take for the files of a report, which nothing else waits for."""


@on_interrupt("no report was finished; the same command starts again, and the records are as they were.")
def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RUN", help="Folders of finished runs, or folders that hold some; results by default."),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder to write the report to; only an earlier report there is replaced."),
    ] = Path("report"),
    formats: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="F1,F2,...", help="Some of latex, markdown, csv, json and html; all by default."
        ),
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
            help="The run that others are compared with; by default the fixed canvas as long as most policies'.",
        ),
    ] = None,
    stars_by: Annotated[
        str | None,
        typer.Option(
            metavar="TEST", help="The test that sets the stars: paired_bootstrap, mcnemar, wilcoxon or permutation."
        ),
    ] = None,
    adjust: Adjust = None,
    resamples: Resamples = None,
    margin: Margin = None,
    figures: Annotated[bool, typer.Option(help="Draw the figures.")] = True,
    samples: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="N", help="Samples of each run in the HTML page; all by default.", show_default=False
        ),
    ] = None,
    traces: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            help="Prompts of each benchmark to denoise once more under every policy, as traces in the HTML page.",
        ),
    ] = 0,
    title: Annotated[
        str, typer.Option(metavar="TEXT", help="Title of the document and of the HTML page.")
    ] = "Answer length in diffusion language models",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the tables as JSON; the report's files are the same.")
    ] = False,
    tracking: Annotated[
        str | None,
        typer.Option(
            metavar="TRACKER", help="Also store the report as an artifact: wandb, trackio, mlflow or tensorboard."
        ),
    ] = None,
) -> None:
    """Write the papers' tables and figures from finished runs: LaTeX and PDF, Markdown, CSV, and one HTML page."""
    announce("reading the runs")
    if out.exists():
        check_folders("--out", out)
    check_file("--labels", labels)
    check_runs("run", *(runs or ()))
    from dlm_length.analysis.margins import read_margin
    from dlm_length.cli.display import RunDisplay, show_tables
    from dlm_length.common.program import command_line
    from dlm_length.reports.report import FORMATS, PAPERS, write_report

    tracker = None if tracking is None else _tracker(tracking)
    chosen_formats = FORMATS if formats is None else [choose("--format", name, FORMATS) for name in formats.split(",")]
    papers = [choose("--paper", paper, PAPERS)] if paper is not None else PAPERS
    share = None if margin is None else read_margin(margin)
    paper_style = _paper_style(style, columns=columns, width=width)
    testing = resolve_testing(adjust=adjust, resamples=resamples, stars_by=stars_by)
    with RunDisplay() as display:
        tracer = _tracer(display, traces if "html" in chosen_formats else 0)
        written = write_report(
            runs or [Path("results")],
            out,
            title=title,
            baseline=baseline,
            testing=testing,
            margin=share,
            formats=chosen_formats,
            papers=papers,
            style=paper_style,
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
        echo_prose(sentence, err=as_json)
    echo(f"Report: {written.folder}", err=as_json)
    if tracker is not None:
        _store_at(tracker, written.folder)


def _tracker(name: str) -> "TrackerName":
    """The tracker of that name. Raises ConfigError for another, UserError where its library is missing."""
    from dlm_length.tracking import TRACKERS, check_tracker

    chosen = choose("--tracking", name, TRACKERS)
    check_tracker(chosen)
    return chosen


def _store_at(name: "TrackerName", folder: Path) -> None:
    """Store the whole report as an artifact, in a run of its own."""
    from dlm_length.common.program import command_line
    from dlm_length.tracking import TrackedRun, open_tracker

    run = TrackedRun("reports", folder.resolve().name, folder.parent)
    with redirect_stdout(sys.stderr):  # trackers print; standard output may be read as JSON
        tracker = open_tracker(
            name,
            run,
            {"command": command_line()},
            lambda sentence: echo(f"Note: {sentence}.", err=True),
            patience=_UPLOAD,
        )
        tracker.finish({}, [folder])


def _tracer(display: "RunDisplay", traces: int) -> "RunTracer | None":
    """None without traces: models and torch are not imported then."""
    if not traces:
        return None
    from dlm_length.trace.report import RunTracer

    return RunTracer(display.notice)


def _paper_style(style: str | None, *, columns: str | None, width: str | None) -> "PaperStyle | None":
    """The style and its settings; None without `--style`. Raises ConfigError for unknown names."""
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
        raise ConfigError(f"{unread[0]}: is for the paper style alone; add --style paper, or leave it out.")
    return None
