"""Options and arguments that several commands declare; `option_values` reads them."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from dlm_length.cli.completion import (
    complete_benchmark,
    complete_config,
    complete_model,
    complete_policy,
    complete_words,
)

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
