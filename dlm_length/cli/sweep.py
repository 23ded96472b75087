"""`dlmlen sweep`: one config under several values, beside a baseline."""

from dataclasses import replace
from typing import Annotated

import typer

from dlm_length.cli.echo import Resumable, Verbosity
from dlm_length.cli.options import (
    Adjust,
    ConfigName,
    DryRun,
    FreshRuns,
    Limit,
    Quiet,
    Resamples,
    Seeds,
    ShardOption,
    TableFormatOption,
    TimeAlone,
    TimedSamples,
    Verbose,
    choose_shard,
    choose_table_format,
    limiting,
    resolve_testing,
    timing,
)
from dlm_length.cli.run import carry_out, make_shard


def sweep(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="WHAT",
            help="tau, delta, length, or fields with values: policy.tau_high=0.8,0.9 policy.tau_low=0.05,0.1 (every"
            " combination). A field with one value is an override.",
            show_default=False,
        ),
    ],
    config: ConfigName,
    values: Annotated[
        str | None, typer.Option(metavar="V1,V2,...", help="Other values of the one thing that varies.")
    ] = None,
    limit: Limit = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="CONFIG", help="Another baseline than the fixed canvas of the same length, or none."),
    ] = None,
    adjust: Adjust = None,
    resamples: Resamples = None,
    dry_run: DryRun = False,
    fresh: FreshRuns = False,
    seeds: Seeds = None,
    shard: ShardOption = None,
    time_alone: TimeAlone = False,
    timed_samples: TimedSamples = None,
    form: TableFormatOption = "terminal",
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Run a config under several values of a field; the model is loaded once, equal forwards are computed once."""
    with Resumable(fresh=fresh, dry_run=dry_run), Verbosity(verbose=verbose, quiet=quiet):
        from dlm_length.config import load_sweep, read_seeds

        wanted = choose_table_format(form)
        testing = resolve_testing(adjust=adjust, resamples=resamples)
        split = None if values is None else values.split(",")
        study = load_sweep(config, [*what, *limiting(limit)], split, baseline=baseline)
        chosen = None if seeds is None else read_seeds(seeds, what)
        timed = timing(time_alone, timed_samples)
        part = choose_shard(shard, dry_run=dry_run, time_alone=timed)
        study = replace(study, seeds=chosen)
        if part is not None:
            make_shard(study, part, fresh=fresh)
            return
        carry_out(study, testing, dry_run=dry_run, fresh=fresh, timed=timed, form=wanted)
