"""The options that several commands share, read and checked: what they give, in the types that other packages take."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

from dlm_length.common import ConfigError, listing, suggestion

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.records import Shard

Name = TypeVar("Name", bound=str)
TableFormat = Literal["terminal", "markdown", "csv", "latex", "json"]
TABLE_FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)


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
    return one_config(command, named, config), [*shortcuts(overrides, model, benchmark, policy), *overrides]


def one_config(command: str, named: Sequence[str], config: str | None) -> str:
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


def samples_to_time(time_alone: bool, samples: int | None) -> int | None:
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


def limit_override(limit: int | None) -> list[str]:
    """`--limit` as an override."""
    return [] if limit is None else [f"benchmark.limit={limit}"]
