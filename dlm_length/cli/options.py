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
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="FIELD=VALUE", help="Overrides: policy.tau=0.95, hardware=cpu.", show_default=False),
]


def limiting(limit: int | None) -> list[str]:
    """`--limit` as the override that it stands for."""
    return [] if limit is None else [f"benchmark.limit={limit}"]
