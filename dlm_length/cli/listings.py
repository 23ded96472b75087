"""`dlmlen list`: what can be named in a config."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_kind
from dlm_length.cli.echo import echo
from dlm_length.common import ConfigError, listing, printable, suggestion

if TYPE_CHECKING:
    from rich.console import Console

    from dlm_length.common import Named
    from dlm_length.config.describe import FieldDescription

KINDS = ("models", "policies", "decoders", "benchmarks", "hardware", "configs", "studies")


@dataclass(frozen=True)
class Row:
    """One thing that can be named: a registered class with its parameters, or a file."""

    name: str
    summary: str
    source: str
    parameters: tuple["FieldDescription", ...] = ()
    remarks: tuple[str, ...] = ()


def show(
    kind: Annotated[str, typer.Argument(metavar="|".join(KINDS), help="What to list.", autocompletion=complete_kind)],
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also show the values that each parameter allows, and what it means."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List what a config can name, with parameters and defaults; and configs and studies."""
    if kind not in KINDS:
        raise ConfigError(f"list: found {kind!r}; allowed: {listing(KINDS)}.{suggestion(kind, KINDS)}")
    from rich.console import Console

    rows = rows_of(kind)
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    console = Console()
    if console.is_terminal:
        _print_entries(console, rows, verbose)
    else:
        for line in _lines(rows, verbose):
            echo(line)


def rows_of(kind: str) -> list[Row]:
    """Everything of that kind, by name. A file with the name of a class replaces it, as it does in a config."""
    from dlm_length.config import composed_configs, config_names
    from dlm_length.config.describe import fields_of

    if kind == "decoders":
        return list(_decoder_rows())
    rows = {
        name: Row(name, cls.summary(), _source(kind, cls), tuple(fields_of(cls)), cls.remarks())
        for name, cls in _registered(kind).items()
    }
    rows |= {name: Row(name, printable(_first_comment(file)), str(file)) for name, file in config_names()[kind].items()}
    for name, pair in composed_configs().items() if kind == "configs" else ():
        rows[name] = replace(rows[name], summary=f"{pair.base} with policy {pair.policy}: {rows[name].summary}")
    return [rows[name] for name in sorted(rows)]


def _decoder_rows() -> Iterator[Row]:
    """The decoder's fields in groups, then the presets, which set some of them. Every policy that decodes has all."""
    from dlm_length.config.describe import fields_of, shown
    from dlm_length.denoising import DECODER_GROUPS, PRESETS, Decoder

    described = {field.name: field for field in fields_of(Decoder)}
    for group in DECODER_GROUPS:
        fields = tuple(described.pop(name) for name in group.fields)
        yield Row(group.name, group.summary, group.source, fields)
    for name, settings in PRESETS.items():
        sets = ", ".join(f"{field} = {shown(value)}" for field, value in settings.items())
        yield Row(f"preset {name}", sets, "the sampler of the family's reference implementation")


def _registered(kind: str) -> "Mapping[str, type[Named]]":
    from dlm_length.benchmarks import benchmarks
    from dlm_length.policies import policies

    classes: dict[str, Callable[[], Mapping[str, type[Named]]]] = {"policies": policies, "benchmarks": benchmarks}
    return classes[kind]() if kind in classes else {}


def _source(kind: str, cls: "type[Named]") -> str:
    """Where the method or the data come from, and the distribution of a class that is not the package's own."""
    from dlm_length.common.plugins import distribution_of

    distribution = distribution_of(kind, cls)
    return "; ".join(filter(None, (cls.source, distribution and f"from {distribution}")))


def _first_comment(file: Path) -> str:
    """The comment in the first line of a config file."""
    with file.open(encoding="utf-8-sig", errors="replace") as lines:
        first = next(lines, "").strip()
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def _lines(rows: list[Row], verbose: bool) -> Iterator[str]:
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        yield f"{row.name:<{width}}  {row.summary}  [{row.source}]"
        if verbose:
            yield from (f"    {_setting(field)}: {field.allowed}. {field.description}" for field in row.parameters)
        elif row.parameters:
            yield f"    {_settings(row)}"
        yield from (f"    {remark}" for remark in row.remarks)


def _settings(row: Row) -> str:
    return ", ".join(map(_setting, row.parameters))


def _setting(field: "FieldDescription") -> str:
    return f"{field.name} (required)" if field.default is None else f"{field.name} = {field.default}"


def _print_entries(console: "Console", rows: list[Row], verbose: bool) -> None:
    from dlm_length.cli.entries import print_entry, print_lines

    for row in rows:
        print_lines(console, row.name, indent=0, style="bold")
        print_lines(console, row.summary, indent=2)
        print_lines(console, row.source, indent=2, style="dim")
        for remark in row.remarks:
            print_lines(console, remark, indent=2)
        for field in row.parameters if verbose else ():
            print_entry(console, _setting(field), f"{field.allowed}. {field.description}", indent=2)
    if not verbose and any(row.parameters for row in rows):
        console.print("--verbose shows the parameters, with allowed values and meaning.", style="dim", highlight=False)
