"""Running or planning the runs of a study, as `run`, `sweep` and `reproduce` do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dlm_length.cli.echo import LOADING, PLANNING, announce, echo, echo_prose
from dlm_length.cli.option_values import RunOptions, TableFormat
from dlm_length.cli.shards import run_one_shard

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.config import Study
    from dlm_length.reports import ReportTable
    from dlm_length.runner import StudyResult


def carry_out(study: "Study", options: RunOptions) -> None:
    """Run a study and print a table per benchmark; or one shard of it, or what it would cost.

    In another format than the terminal's, standard output has only the tables.
    """
    if options.shard is not None:
        run_one_shard(study, options.shard, options)
    elif options.dry_run:
        show_study_plan(study, form=options.form)
    else:
        _run_and_show(study, options)


def _run_and_show(study: "Study", options: RunOptions) -> None:
    from dlm_length.cli.display import show_tables

    studied = run_all(study, fresh=options.fresh, timed=options.timed)
    show_tables(_study_tables(studied, options.testing), options.form)
    report_shared_forwards(studied, err=options.form != "terminal")
    folders = dict.fromkeys(finished.path.parent for block in studied.blocks for finished in block.runs)
    echo(f"Records: {', '.join(map(str, folders))}", err=options.form != "terminal")


def _study_tables(studied: "StudyResult", testing: "Testing") -> "list[ReportTable]":
    """One per benchmark."""
    from dlm_length.reports import study_table

    return [
        study_table(
            [finished.path for finished in block.runs],
            [finished.path for finished in block.baseline],
            testing=testing,
            metrics={finished.path: finished.metrics for finished in (*block.baseline, *block.runs)},
            apart=block.apart,
        )
        for block in studied.blocks
    ]


def run_all(study: "Study", *, fresh: bool, timed: int | None = None) -> "StudyResult":
    """Run what has not run yet of a study, with a progress display.

    `timed`: how many samples of each run are timed alone afterwards; None: none.
    """
    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner import run_study

        return run_study(study, display, fresh=fresh, timed=timed)


def report_shared_forwards(studied: "StudyResult", *, err: bool = False) -> None:
    """Print how many forwards the runs shared; on standard error with `err`."""
    if studied.forwards_requested:
        share = studied.forwards_run / studied.forwards_requested
        echo_prose(
            f"Forwards: {studied.forwards_requested:,} requested, {studied.forwards_run:,} computed ({share:.0%});"
            " equal ones are computed once. Every run is charged for all that it requested.",
            err=err,
        )


def show_study_plan(study: "Study", notes: Sequence[str] = (), form: TableFormat = "terminal") -> None:
    """Print what each run of a study would cost at most, and their sum; `notes` go below the table."""
    announce(PLANNING)
    from rich.console import Console
    from rich.progress import track

    from dlm_length.cli.display import show_tables
    from dlm_length.reports import study_plan_table
    from dlm_length.runner import plan_study

    console = Console(stderr=True)
    planned = plan_study(
        study,
        lambda runs: track(runs, "planning", console=console, transient=True, disable=not console.is_terminal),
    )
    show_tables([study_plan_table(planned, notes)], form)
