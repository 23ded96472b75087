"""Options that several commands share."""

from typing import Annotated

import typer

ConfigName = Annotated[
    str,
    typer.Option("--config", "-c", metavar="NAME", help="A path, or a name in ./configs or among the packaged ones."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="FIELD=VALUE", help="Overrides: policy.tau=0.95, hardware=cpu.", show_default=False),
]
