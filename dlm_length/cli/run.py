"""`dlmlen run`: one config, from prompts to a table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, Verbosity, announce, echo
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
from dlm_length.common import ConfigError

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
        bool, typer.Option("--fresh/--resume", help="Set earlier records of this run aside, or continue them.")
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
    """Run a length policy on a benchmark, or a study of many; what was interrupted continues where it stopped."""
    with Resumable(fresh=fresh, dry_run=dry_run) as resumable, Verbosity(verbose=verbose, quiet=quiet):
        from dlm_length.config import find_study, load_config, read_seeds, repeated

        wanted = choose_table_format(form, as_json)
        name, overrides = read_words("run", words, config, model=model, benchmark=benchmark, policy=policy)
        testing = resolve_testing(adjust=adjust, resamples=resamples)
        changes = [*overrides, *limiting(limit)]
        chosen = None if seeds is None else read_seeds(seeds, changes)
        timed = timing(time_alone, timed_samples)
        part = choose_shard(shard, baseline=baseline, dry_run=dry_run, time_alone=timed)
        if (found := find_study(name)) is not None:
            if baseline is not None:
                raise ConfigError(f"--baseline {baseline}: a study names its own baseline, in its file.")
            study = replace(found.load(changes), seeds=chosen)
            if part is not None:
                make_shard(study, part, fresh=fresh, form=wanted)
                return
            carry_out(study, testing, dry_run=dry_run, fresh=fresh, timed=timed, form=wanted)
            return
        resolved = repeated(load_config(name, changes), chosen)
        if dry_run:
            _show_plan(resolved, wanted)
            return
        resumable.paths = [each.run_path for each in resolved]
        if part is not None:
            make_shard(resolved, part, fresh=fresh, form=wanted)
            return
        _make_one(resolved, baseline, testing, fresh=fresh, timed=timed, form=wanted)


def make_shard(
    runs: "Sequence[RunConfig] | Study", shard: "Shard", *, fresh: bool, form: TableFormat = "terminal"
) -> None:
    """Make one part of a study's runs, or of a run's repeats, and say what became of the whole."""
    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.config import Study
        from dlm_length.runner import run_shard, run_study_shard

        if isinstance(runs, Study):
            made = run_study_shard(runs, shard, display, fresh=fresh)
        else:
            made = run_shard(runs, shard, display, fresh=fresh)
    lines = [f"Shard {shard}: {made.generated} samples were generated."]
    if made.merged:
        lines.append(f"All shards are merged; records: {', '.join(map(str, made.merged))}")
    if made.waiting:
        lines.append(f"Other shards are still to be made: {', '.join(map(str, made.waiting))}")
    if made.left_out:
        lines.append("The same command makes what was left out, once the others are merged.")
    for line in lines:
        echo(line, err=form != "terminal")


def _show_plan(repeats: "Sequence[RunConfig]", form: TableFormat) -> None:
    announce(PLANNING)
    from dlm_length.cli.display import show_tables
    from dlm_length.reports import plan_table
    from dlm_length.runner import plan

    show_tables([plan_table(plan(repeats[0]).times(len(repeats)), len(repeats))], form)


def _make_one(
    repeats: "Sequence[RunConfig]",
    baseline: Path | None,
    testing: "Testing",
    *,
    fresh: bool,
    timed: int | None,
    form: TableFormat,
) -> None:
    """Make a run, once for each of its `repeats`, and print its table; `timed` as in `make`."""
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
    """Run a study and print a table per benchmark, or what it would cost; `timed` as in `make`.

    In another format than the terminal's, standard output has the tables alone.
    """
    if dry_run:
        show_study_plan(study, form=form)
        return
    from dlm_length.cli.display import show_tables

    studied = make(study, fresh=fresh, timed=timed)
    show_tables(_study_tables(studied, testing), form)
    tell_shared(studied, err=form != "terminal")
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


def make(study: "Study", *, fresh: bool, timed: int | None = None) -> "StudyResult":
    """Run what is left to do of a study, displayed.

    `timed`: how many samples of each run are then measured alone; None for no such measurement.
    """
    from dlm_length.cli.display import RunDisplay

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner import run_study

        return run_study(study, display, fresh=fresh, timed=timed)


def tell_shared(studied: "StudyResult", *, err: bool = False) -> None:
    """Say how many forwards the runs had in common; on standard error with `err`."""
    if studied.forwards_asked:
        share = studied.forwards_run / studied.forwards_asked
        echo(
            f"Forwards: {studied.forwards_asked:,} were asked for, {studied.forwards_run:,} run ({share:.0%}); the"
            " others were the same. Every run is charged what it asked for.",
            err=err,
        )


def show_study_plan(study: "Study", notes: Sequence[str] = (), form: TableFormat = "terminal") -> None:
    """Print what every run of a study would cost at most, and all together; `notes` are put below."""
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
