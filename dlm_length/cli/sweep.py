"""`dlmlen sweep`: one config with several values of a parameter, and a baseline."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer

from dlm_length.cli.completion import complete_sweep
from dlm_length.cli.echo import READING, Verbosity, announce
from dlm_length.cli.interrupts import Resumable
from dlm_length.cli.option_values import (
    RunOptions,
    choose_shard,
    choose_table_format,
    limit_override,
    one_config,
    resolve_testing,
    samples_to_time,
    shortcuts,
)
from dlm_length.cli.options import (
    Adjust,
    BenchmarkOption,
    ConfigOption,
    DryRun,
    FreshRuns,
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
from dlm_length.cli.studies import carry_out
from dlm_length.common import ConfigError, listing, suggestion


def sweep(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG|WHAT",
            help="A config, then tau, delta, length, or fields with values: policy.tau_high=0.8,0.9"
            " policy.tau_low=0.05,0.1 (every combination). A field with one value is an override.",
            show_default=False,
            autocompletion=complete_sweep,
        ),
    ],
    config: ConfigOption = None,
    model: ModelOption = None,
    benchmark: BenchmarkOption = None,
    policy: PolicyOption = None,
    values: Annotated[
        str | None,
        typer.Option(metavar="V1,V2,...", help="Values of the parameter that is swept, in place of the usual ones."),
    ] = None,
    limit: Limit = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            metavar="CONFIG",
            help="Another baseline than the fixed canvas of the same length; none: without a baseline.",
        ),
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
    as_json: JsonOption = False,
    verbose: Verbose = False,
    quiet: Quiet = False,
) -> None:
    """Run a config with several values of a parameter; the model is loaded once, equal forwards are computed once."""
    with Resumable(fresh=fresh, dry_run=dry_run), Verbosity(verbose=verbose, quiet=quiet):
        table_format = choose_table_format(form, as_json)
        announce(READING)
        from dlm_length.config import load_sweep, read_seeds

        split = None if values is None else values.split(",")
        name, varied = _config_and_rest(what, config, split is not None)
        varied = [*shortcuts(varied, model, benchmark, policy), *varied]
        timed = samples_to_time(time_alone, timed_samples)
        options = RunOptions(
            testing=resolve_testing(adjust=adjust, resamples=resamples),
            form=table_format,
            fresh=fresh,
            dry_run=dry_run,
            shard=choose_shard(shard, dry_run=dry_run, time_alone=timed),
            timed=timed,
        )
        study = load_sweep(name, [*varied, *limit_override(limit)], split, baseline=baseline)
        carry_out(replace(study, seeds=None if seeds is None else read_seeds(seeds, varied)), options)


def _config_and_rest(words: Sequence[str], config: str | None, with_values: bool) -> tuple[str, list[str]]:
    """The config, and what is swept or overridden, among a sweep's arguments.

    The config is the word that is neither a sweep's name nor an override nor, with `--values`, a dotted field. With
    `--config`, a word that names a config is refused here, and any other unknown word when the sweep is loaded.
    """
    from dlm_length.config import SWEEPS, config_names

    if config is not None:
        known = config_names()["configs"]
        named = [word for word in words if word in known or word.endswith((".yaml", ".yml"))]
        return one_config("sweep", [word for word in named if "=" not in word], config), list(words)
    varied = [word for word in words if "=" in word or word in SWEEPS or (with_values and _is_field(word))]
    named = [word for word in words if word not in varied]
    if len(named) > 1:
        raise ConfigError(
            f"sweep: found {' and '.join(map(repr, named))}; allowed: one config, then {listing(SWEEPS)}, or fields"
            f" with values, such as policy.tau=0.8,0.9.{suggestion(named[-1], SWEEPS)}"
        )
    return one_config("sweep", named, None), varied


def _is_field(word: str) -> bool:
    """Whether it is a field of a section, such as policy.tau, rather than a file's name."""
    return word.partition(".")[0] in ("model", "policy", "benchmark", "hardware", "output")
