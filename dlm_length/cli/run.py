"""`dlmlen run`: one config or a study, from prompts to a table."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.echo import LOADING, PLANNING, READING, Verbosity, announce, echo
from dlm_length.cli.interrupts import Resumable
from dlm_length.cli.option_values import (
    RunOptions,
    choose_shard,
    choose_table_format,
    limit_override,
    read_words,
    resolve_testing,
    samples_to_time,
)
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
    TableFormatOption,
    TimeAlone,
    TimedSamples,
    Verbose,
)
from dlm_length.cli.path_checks import check_runs
from dlm_length.cli.shards import run_one_shard
from dlm_length.cli.studies import carry_out
from dlm_length.common import ConfigError

if TYPE_CHECKING:
    from dlm_length.config import RunConfig


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

        changes = [*overrides, *limit_override(limit)]
        chosen_seeds = None if seeds is None else read_seeds(seeds, changes)
        timed = samples_to_time(time_alone, timed_samples)
        options = RunOptions(
            testing=resolve_testing(adjust=adjust, resamples=resamples),
            form=table_format,
            fresh=fresh,
            dry_run=dry_run,
            shard=choose_shard(shard, baseline=baseline, dry_run=dry_run, time_alone=timed),
            timed=timed,
        )
        if (study_file := find_study(name)) is not None:
            _refuse_baseline(baseline)
            carry_out(replace(study_file.load(changes), seeds=chosen_seeds), options)
            return
        check_runs("--baseline", baseline)
        repeats = repeated(load_config(name, changes), chosen_seeds)
        resumable.paths = [each.run_path for each in repeats]
        if dry_run:
            _show_plan(repeats, options)
        elif options.shard is not None:
            run_one_shard(repeats, options.shard, options)
        else:
            _run_repeats(repeats, baseline, options)


def _refuse_baseline(baseline: Path | None) -> None:
    if baseline is not None:
        raise ConfigError(f"--baseline {baseline}: a study has its own baseline, in its file; leave the option out.")


def _show_plan(repeats: "Sequence[RunConfig]", options: RunOptions) -> None:
    announce(PLANNING)
    from dlm_length.cli.display import show_tables
    from dlm_length.reports import plan_table
    from dlm_length.runner import plan

    show_tables([plan_table(plan(repeats[0]).times(len(repeats)), len(repeats))], options.form)


def _run_repeats(repeats: "Sequence[RunConfig]", baseline: Path | None, options: RunOptions) -> None:
    """Run each of the `repeats`, and print one table."""
    from dlm_length.cli.display import RunDisplay, show_tables

    with RunDisplay() as display:
        display.phase(LOADING)
        from dlm_length.runner import run_repeats
        from dlm_length.runner import time_alone as measure

        finished = run_repeats(repeats, display, fresh=options.fresh, baseline=baseline)
        if options.timed is not None:
            measure(repeats, display, samples=options.timed)
    for each in finished:
        if each.generated == 0:
            echo(f"Already finished: {each.path} (--fresh runs it again)", err=True)
    from dlm_length.reports import run_table

    paths = [each.path for each in finished]
    show_tables([run_table(paths, finished[0].baseline, testing=options.testing)], options.form)
    echo(f"Records: {', '.join(map(str, paths))}", err=options.form != "terminal")
    if all(each.metrics.failed == each.metrics.samples for each in finished):
        raise typer.Exit(1)
