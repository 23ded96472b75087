"""Options that several commands share."""

from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, get_args

import typer

from dlm_length.common import ConfigError, listing, suggestion

if TYPE_CHECKING:
    from dlm_length.analysis.effects import Testing
    from dlm_length.records import Shard

Name = TypeVar("Name", bound=str)
TableFormat = Literal["terminal", "markdown", "csv", "latex", "json"]
TABLE_FORMATS: tuple[TableFormat, ...] = get_args(TableFormat)

ConfigName = Annotated[
    str,
    typer.Option("--config", "-c", metavar="NAME", help="A path, or a name in ./configs or among the packaged ones."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only this many problems (benchmark.limit).")]
FreshRuns = Annotated[
    bool, typer.Option("--fresh/--resume", help="Set earlier records of these runs aside, or continue them.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run and what it would cost.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show a line per sample, and keep it in run.log.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress: notices, errors and tables alone.")]
Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="S1,S2,...",
        help="Make every run once under each seed; tables show them as one row (benchmark.repeats=N: N seeds).",
        show_default=False,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Make the I-th of N parts of the samples (from 1), to be merged when all are made: see `dlmlen merge`.",
        show_default=False,
    ),
]
TimeAlone = Annotated[
    bool,
    typer.Option(
        "--time-alone",
        help="Then measure each run's wall-clock by itself, on a few of its samples; tables show it from there.",
    ),
]
TimedSamples = Annotated[
    int | None,
    typer.Option("--timed-samples", metavar="N", min=1, help="--time-alone on so many samples; 5 by default."),
]
Adjust = Annotated[
    str | None,
    typer.Option(
        metavar="holm|none",
        help="Which p sets the stars: Holm's over the tests of one kind of effect, or each test's own.",
        show_default=False,
    ),
]
Resamples = Annotated[
    int | None,
    typer.Option(min=1, help="Draws of every test and interval that resamples; 10,000 by default.", show_default=False),
]
Margin = Annotated[
    float | None,
    typer.Option(
        metavar="POINTS",
        help="Test non-inferiority and equivalence within so many points of the score, such as 2.",
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
        help="Of the tables: terminal, markdown, csv, latex or json; in all but terminal they alone go to standard"
        " output.",
    ),
]


def choose(option: str, given: str, allowed: "tuple[Name, ...]") -> Name:
    """The name as it is allowed. Raises ConfigError for another, which names the nearest."""
    found = next((each for each in allowed if each == given.strip()), None)
    if found is None:
        raise ConfigError(
            f"{option} {given}: found {given!r}, allowed are {listing(allowed)}.{suggestion(given, allowed)}"
        )
    return found


def choose_table_format(given: str) -> TableFormat:
    """What `--format` asks for. Raises ConfigError for an unknown format."""
    return choose("--format", given, TABLE_FORMATS)


def timing(wanted: bool, samples: int | None) -> int | None:
    """How many samples of each run are measured alone, None for no such measurement; the number asks for it too."""
    if samples is None and wanted:
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
    """How effects are tested: as `usual`, but for what is given. Raises ConfigError for unknown names."""
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
    """What `--shard` asks for. Raises ConfigError for no such shard, and for an option that only a whole run has.

    `others`: options by name, with underscores.
    """
    if given is None:
        return None
    from dlm_length.records import Shard

    shard = Shard.parse(given)
    if refused := [f"--{name.replace('_', '-')}" for name, value in others.items() if value]:
        raise ConfigError(
            f"--shard {shard}: {listing(refused)} is of whole runs; leave it out here, and give it once the shards are"
            " merged, with the same command without --shard."
        )
    return shard


def limiting(limit: int | None) -> list[str]:
    """`--limit` as the override that it stands for."""
    return [] if limit is None else [f"benchmark.limit={limit}"]
