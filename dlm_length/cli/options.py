"""Options that several commands share."""

from typing import Annotated

import typer

ConfigName = Annotated[
    str,
    typer.Option("--config", "-c", metavar="NAME", help="A path, or a name in ./configs or among the packaged ones."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only this many problems (benchmark.limit).")]
FreshRuns = Annotated[
    bool, typer.Option("--fresh/--resume", help="Set earlier records of these runs aside, or continue them.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run and what it would cost.")]
Seeds = Annotated[
    str | None,
    typer.Option(
        metavar="S1,S2,...",
        help="Make every run once under each seed; tables show them as one row (benchmark.repeats=N: N seeds).",
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
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="FIELD=VALUE", help="Overrides: policy.tau=0.95, hardware=cpu.", show_default=False),
]


def timing(wanted: bool, samples: int | None) -> int | None:
    """How many samples of each run are measured alone, None for no such measurement; the number asks for it too."""
    if samples is None and wanted:
        from dlm_length.runner import TIMED_SAMPLES

        return TIMED_SAMPLES
    return samples


def limiting(limit: int | None) -> list[str]:
    """`--limit` as the override that it stands for."""
    return [] if limit is None else [f"benchmark.limit={limit}"]
