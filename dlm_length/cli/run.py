"""`dlmlen run`: one config or a study, from prompts to a table."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, READING, Verbosity, announce, echo, echo_prose
from dlm_length.cli.interrupts import Resumable
from dlm_length.cli.options import (
    Adjust,
    BenchmarkOption,
    ConfigOption,
    ConfigWords,
    DryRun,
    JsonOption,
    Limit,
    ModelOption,
    PolicyOption,
    Quiet,
    Resamples,
    Seeds,
    ShardOption,
    TableFormat,
    TableFormatOption,
    TimeAlone,
    TimedSamples,
    Verbose,
    choose_shard,
    choose_table_format,
    limiting,
    read_words,
    resolve_testing,
    timing,
)
from dlm_length.cli.path_checks import check_runs
from dlm_length.common import ConfigError, counted, first_few

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.config import RunConfig, Study
    from dlm_length.records import Shard
    from dlm_length.reports import ReportTable
    from dlm_length.runner import StudyResult


PLANNING = "planning"
"""The first line of a dry run."""


def run(
    words: ConfigWords = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    benchmark: BenchmarkOption = None,
    policy: PolicyOption = None,
    limit: Limit = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A finished run over the same samples, or a folder that holds it."),
    ] = None,
    adjust: Adjust = None,
    resamples: Resamples = None,
    dry_run: DryRun = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh/--resume", help="Start again, with earlier records of this run set aside, or continue them."
        ),
    ] = False,
    seeds: Seeds = None,
    shard: ShardOption = None,
    time_alone: TimeAlone = False,
    timed_samples: TimedSamples = None,
    form: TableFormatOption = "terminal",
    as_json: JsonOption = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Run a length policy on a benchmark, or a whole study; an interrupted run continues where it stopped."""
    with Resumable(fresh=fresh, dry_run=dry_run) as resumable, Verbosity(verbose=verbose, quiet=quiet):
        table_format = choose_table_format(form, as_json)
        name, overrides = read_words("run", words, config, model=model, benchmark=benchmark, policy=policy)
        announce(READING)
        from dlm_length.config import find_study, load_config, read_seeds, repeated

        testing = resolve_testing(adjust=adjust, resamples=resamples)
        changes = [*overrides, *limiting(limit)]
        chosen = None if seeds is None else read_seeds(seeds, changes)
        timed = timing(time_alone, timed_samples)
        part = choose_shard(shard, baseline=baseline, dry_run=dry_run, time_alone=timed)
        if (study_file := find_study(name)) is not None:
            if baseline is not None:
                raise ConfigError(
                    f"--baseline {baseline}: a study has its own baseline, in its file; leave the option out."
                )
            study = replace(study_file.load(changes), seeds=chosen)
            if part is not None:
                run_one_shard(study, part, fresh=fresh, form=table_format)
                return
            carry_out(study, testing, dry_run=dry_run, fresh=fresh, timed=timed, form=table_format)
            return
        check_runs("--baseline", baseline)
        resolved = repeated(load_config(name, changes), chosen)
        if dry_run:
            _show_plan(resolved, table_format)
            return
        resumable.paths = [each.run_path for each in resolved]
        if part is not None:
            run_one_shard(resolved, part, fresh=fresh, form=table_format)
            return
        _run_repeats(resolved, baseline, testing, fresh=fresh, timed=timed, form=table_format)


def run_one_shard(
    runs: "Sequence[RunConfig] | Study", shard: "Shard", *, fresh: bool, form: TableFormat = "terminal"
) -> None:
    """Run one shard of a study's runs, or of a run's repeats, and print which shards are merged or missing.

    As JSON, that is an object; in another format than these two, standard output stays empty, as there is no table.
    """
    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.config import Study
        from dlm_length.runner import run_shard, run_study_shard

        if isinstance(runs, Study):
            made = run_study_shard(runs, shard, display, fresh=fresh)
        else:
            made = run_shard(runs, shard, display, fresh=fresh)
    if form == "json":
        lost = {str(path): ids for path, ids in made.lost.items()}
        typer.echo(json.dumps({"shard": str(shard)} | asdict(made) | {"lost": lost}, default=str))
        return
    lines = [f"Shard {shard}: {made.generated} samples generated."]
    if made.merged:
        lines.append(f"All shards are merged; records: {', '.join(map(str, made.merged))}")
    lines += [lost_line(path, ids, "the same command without --shard") for path, ids in made.lost.items()]
    if made.waiting:
        lines.append(f"Runs with missing shards: {', '.join(map(str, made.waiting))}")
    if made.left_out:
        lines.append("The same command runs what was left out, once the other runs are merged.")
    for line in lines:
        echo(line, err=form != "terminal")


def lost_line(run: Path | str, ids: Sequence[str], how: str) -> str:
    """Which samples of a merged run failed because their workers died, and `how` they are generated again."""
    return (
        f"{counted(len(ids), 'sample')} of {run} failed because their workers died"
        f" ({first_few(ids)}): {how} generates them again."
    )


def _show_plan(repeats: "Sequence[RunConfig]", form: TableFormat) -> None:
    announce(PLANNING)
    from dlm_length.cli.display import show_tables
    from dlm_length.reports import plan_table
    from dlm_length.runner import plan

    show_tables([plan_table(plan(repeats[0]).times(len(repeats)), len(repeats))], form)


def _run_repeats(
    repeats: "Sequence[RunConfig]",
    baseline: Path | None,
    testing: "Testing",
    *,
    fresh: bool,
    timed: int | None,
    form: TableFormat,
) -> None:
    """Run each of the `repeats`, and print one table; `timed` as in `run_all`."""
    from dlm_length.cli.display import RunDisplay, show_tables

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner import run_repeats
        from dlm_length.runner import time_alone as measure

        finished = run_repeats(repeats, display, fresh=fresh, baseline=baseline)
        if timed is not None:
            measure(repeats, display, samples=timed)
    for each in finished:
        if each.generated == 0:
            echo(f"Already finished: {each.path} (--fresh runs it again)", err=True)
    from dlm_length.reports import run_table

    paths = [each.path for each in finished]
    show_tables([run_table(paths, finished[0].baseline, testing=testing)], form)
    echo(f"Records: {', '.join(map(str, paths))}", err=form != "terminal")
    if all(each.metrics.failed == each.metrics.samples for each in finished):
        raise typer.Exit(1)


def carry_out(
    study: "Study",
    testing: "Testing",
    *,
    dry_run: bool,
    fresh: bool,
    timed: int | None = None,
    form: TableFormat = "terminal",
) -> None:
    """Run a study and print a table per benchmark, or with `dry_run` what it would cost; `timed` as in `run_all`.

    In another format than the terminal's, standard output has only the tables.
    """
    if dry_run:
        show_study_plan(study, form=form)
        return
    from dlm_length.cli.display import show_tables

    studied = run_all(study, fresh=fresh, timed=timed)
    show_tables(_study_tables(studied, testing), form)
    report_shared_forwards(studied, err=form != "terminal")
    folders = dict.fromkeys(finished.path.parent for block in studied.blocks for finished in block.runs)
    echo(f"Records: {', '.join(map(str, folders))}", err=form != "terminal")


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
