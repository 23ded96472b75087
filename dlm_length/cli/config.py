"""`dlmlen config`: a resolved config, and the schema of configs for editors."""

import typer

from dlm_length.cli.echo import READING, announce
from dlm_length.cli.option_values import read_words
from dlm_length.cli.options import BenchmarkOption, ConfigOption, ConfigWords, ModelOption, PolicyOption
from dlm_length.cli.typer_classes import Command, CommandGroup

app = typer.Typer(
    name="config", cls=CommandGroup, help="Show a resolved config, or the schema of configs.", no_args_is_help=True
)


@app.command(cls=Command)
def show(
    words: ConfigWords = None,
    config: ConfigOption = None,
    model: ModelOption = None,
    benchmark: BenchmarkOption = None,
    policy: PolicyOption = None,
) -> None:
    """Print the config with all names resolved and all defaults filled in."""
    announce(READING)
    from dlm_length.config import load_config

    name, overrides = read_words("config show", words, config, model=model, benchmark=benchmark, policy=policy)
    typer.echo(load_config(name, overrides).to_yaml(), nl=False)


@app.command(cls=Command)
def schema() -> None:
    """Print the JSON schema of config files."""
    import json

    from dlm_length.config import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
