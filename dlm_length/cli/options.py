"""Options that several commands share."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

import typer

from dlm_length.cli.completion import (
    complete_benchmark,
    complete_config,
    complete_model,
    complete_policy,
    complete_words,
)
from dlm_length.common import ConfigError, listing, suggestion

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.records import Shard

Name = TypeVar("Name", bound=str)
TableFormat = Literal["terminal", "markdown", "csv", "latex", "json"]
TABLE_FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)

ConfigWords = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="CONFIG|FIELD=VALUE",
        help="A config, by its path or by a name in ./configs or among the packaged ones; then overrides:"
        " policy.tau=0.95, hardware=cpu.",
        show_default=False,
        autocompletion=complete_words,
    ),
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        "-c",
        metavar="NAME",
        help="The config, where it is not the argument.",
        show_default=False,
        autocompletion=complete_config,
    ),
]


def _section_option(section: str, names: str, complete: Callable[[str], list[str]]) -> Any:
    """The option that gives a section of the config by name."""
    return typer.Option(
        f"--{section}", metavar="NAME", help=f"Another {section}: {names}.", show_default=False, autocompletion=complete
    )


ModelOption = Annotated[
    str | None,
    _section_option("model", "a config's name (model=NAME), a folder, a hub id or embedded:NAME", complete_model),
]
BenchmarkOption = Annotated[str | None, _section_option("benchmark", "benchmark=NAME", complete_benchmark)]
PolicyOption = Annotated[str | None, _section_option("policy", "policy=NAME", complete_policy)]
Limit = Annotated[int | None, typer.Option(metavar="N", min=1, help="Only this many problems (benchmark.limit).")]
FreshRuns = Annotated[
    bool,
    typer.Option(
        "--fresh/--resume", help="Start again, with earlier records of these runs set aside, or continue them."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run and what it would cost.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show a line per sample, and keep it in run.log.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only notices, errors and tables.")]
Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="S1,S2,...",
        help="Repeat every run under each seed; tables show the repeats as one row (benchmark.repeats=N: N seeds).",
        show_default=False,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Run only the I-th of N parts of the samples (from 1); `dlmlen merge` puts them together.",
        show_default=False,
    ),
]
TimeAlone = Annotated[
    bool,
    typer.Option(
        "--time-alone",
        help="Afterwards measure each run's wall-clock by itself, on a few of its samples, for the tables.",
    ),
]
TimedSamples = Annotated[
    int | None,
    typer.Option("--timed-samples", metavar="N", min=1, help="--time-alone, on this many samples; 5 by default."),
]
Adjust = Annotated[
    str | None,
    typer.Option(
        metavar="holm|none",
        help="Which p sets the stars: Holm's, over the tests of one kind of effect, or each test's own.",
        show_default=False,
    ),
]
Resamples = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Resamples of every bootstrap and permutation; 10,000 by default.",
        show_default=False,
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="Test non-inferiority and equivalence within this many points of the score, such as 2.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="FIELD=VALUE", help="Overrides: policy.tau=0.95, hardware=cpu.", show_default=False),
]

TableFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        help="Of the tables: terminal, markdown, csv, latex or json. Except with terminal, standard output has only the"
        " tables.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How runs are made and shown: what the commands that make several have in common."""

    testing: "Testing"
    form: TableFormat
    fresh: bool
    dry_run: bool
    shard: "Shard | None"
    """None: the whole runs."""
    timed: int | None
    """How many samples of each run are timed alone afterwards; None: none."""


def choose(option: str, given: str, allowed: "tuple[Name, ...]") -> Name:
    """The allowed name that is given. Raises ConfigError for another, with the nearest allowed one."""
    chosen = next((each for each in allowed if each == given.strip()), None)
    if chosen is None:
        raise ConfigError(f"{option}: found {given!r}; allowed: {listing(allowed)}.{suggestion(given, allowed)}")
    return chosen


def choose_table_format(given: str, as_json: bool = False) -> TableFormat:
    """The format that `--format` names, or JSON with `--json`. Raises ConfigError for an unknown or second format."""
    form = choose("--format", given, TABLE_FORMATS)
    if not as_json:
        return form
    if form not in ("terminal", "json"):
        raise ConfigError(f"--json: found --format {form} as well; give one of the two.")
    return "json"


def read_words(
    command: str,
    words: Sequence[str] | None,
    config: str | None,
    *,
    model: str | None = None,
    benchmark: str | None = None,
    policy: str | None = None,
) -> tuple[str, list[str]]:
    """The config and the overrides among a command's arguments; `--model` and its like become overrides.

    An override has a '='; the one word without is the config, unless `--config` gives it. Raises ConfigError for no
    config and for two, and where an option and an override give the same section.
    """
    named = [word for word in words or () if "=" not in word]
    overrides = [word for word in words or () if "=" in word]
    return the_config(command, named, config), [*shortcuts(overrides, model, benchmark, policy), *overrides]


def the_config(command: str, named: Sequence[str], config: str | None) -> str:
    """The one config of a command, `named` by arguments or by `--config`. Raises ConfigError for none and for two."""
    if named and config is not None:
        raise ConfigError(
            f"{command}: the config is given twice, as {named[0]!r} and as --config {config}; give one of them. An"
            " override has the form FIELD=VALUE."
        )
    if len(named) > 1:
        raise ConfigError(
            f"{command}: found {' and '.join(map(repr, named))}; allowed: one config. An override has the form"
            " FIELD=VALUE."
        )
    if config is None and not named:
        raise ConfigError(
            f"{command}: no config is given; give its name or path, such as `dlmlen {command} mini_gsm8k_smartcrop`."
            " `dlmlen list configs` shows the names."
        )
    return named[0] if config is None else config


_KINDS = {"model": "models", "benchmark": "benchmarks", "policy": "policies"}
"""By section, what `dlmlen list` calls its names."""


def shortcuts(overrides: Sequence[str], model: str | None, benchmark: str | None, policy: str | None) -> list[str]:
    """The overrides that `--model`, `--benchmark` and `--policy` stand for.

    Raises ConfigError where one of `overrides` gives the same section.
    """
    added = []
    for section, name in (("model", model), ("benchmark", benchmark), ("policy", policy)):
        if name is None:
            continue
        if not name.strip() or (section != "model" and "=" in name):
            raise ConfigError(
                f"--{section}: found {name!r}; allowed: a name, as `dlmlen list {_KINDS[section]}` shows them. An"
                " override is an argument of its own: policy.tau=0.95."
            )
        if same := [each for each in overrides if each.partition("=")[0].strip() == section]:
            raise ConfigError(f"--{section} {name}: the override {same[0]} gives the {section} too; give one of them.")
        added.append(_model_override(name) if section == "model" else f"{section}={name}")
    return added


def _model_override(given: str) -> str:
    """`model=NAME`; for a folder, a hub id or embedded:NAME its path, with what a model's config file says of it."""
    if not (":" in given or "/" in given or os.path.isdir(given)) or given.endswith((".yaml", ".yml")):  # noqa: PTH112
        return f"model={given}"
    from dlm_length.config import load_model_spec

    return f"model={json.dumps(load_model_spec(given).model_dump(mode='json', exclude_unset=True))}"


def timing(time_alone: bool, samples: int | None) -> int | None:
    """How many samples of each run are timed alone; None: none. `--timed-samples` implies `--time-alone`."""
    if samples is None and time_alone:
        from dlm_length.runner import TIMED_SAMPLES

        return TIMED_SAMPLES
    return samples


def resolve_testing(
    *,
    adjust: str | None = None,
    resamples: int | None = None,
    stars_by: str | None = None,
    usual: "Testing | None" = None,
) -> "Testing":
    """How effects are tested: as `usual`, except for what is given. Raises ConfigError for unknown names."""
    from dataclasses import replace

    from dlm_length.analysis.effects import USUAL
    from dlm_length.stats import choose_adjust, choose_test

    testing = USUAL if usual is None else usual
    return replace(
        testing,
        stars_by=testing.stars_by if stars_by is None else choose_test(stars_by, "--stars-by"),
        adjust=testing.adjust if adjust is None else choose_adjust(adjust, "--adjust"),
        resamples=testing.resamples if resamples is None else resamples,
    )


def choose_shard(given: str | None, **others: object) -> "Shard | None":
    """The shard that `--shard` gives. Raises ConfigError for no such shard, and for options that need a whole run.

    `others`: those options by name, with underscores.
    """
    if given is None:
        return None
    from dlm_length.records import Shard

    shard = Shard.parse(given)
    if refused := [f"--{name.replace('_', '-')}" for name, value in others.items() if value]:
        raise ConfigError(
            f"--shard {shard}: {listing(refused)} needs the whole run; leave it out here. Once the shards are merged,"
            " the same command with it and without --shard continues."
        )
    return shard


def limiting(limit: int | None) -> list[str]:
    """`--limit` as an override."""
    return [] if limit is None else [f"benchmark.limit={limit}"]
