"""`dlmlen list`: what can be named in a config."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dlm_length.cli.completion import complete_kind
from dlm_length.cli.echo import announce, echo
from dlm_length.cli.listing_headings import config_groups, policy_groups
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
    group: str = ""
    """Heading under which it is shown; empty where the kind has no groups."""
    is_file: bool = False
    """Whether `source` is a config file's path."""
    composed_of: str = ""
    """For a run config without a file of its own, its base and its policy, whose file `source` and `summary` are of."""


def show(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND",
            help=f"What to list: {listing(KINDS)}.",
            show_default=False,
            autocompletion=complete_kind,
        ),
    ] = None,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Also show the values that each parameter allows, and what it means."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """List policies, benchmarks, models and what else a config can name, with defaults; or configs and studies."""
    if kind is None or kind not in KINDS:
        found = "nothing" if kind is None else repr(kind)
        raise ConfigError(f"list: found {found}; allowed: {listing(KINDS)}.{suggestion(kind or '', KINDS)}")
    announce(f"listing the {kind}")
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
    """Everything of that kind, by group and name; with the configs also the studies, which `dlmlen run` takes as well.

    A file with the name of a class replaces it, as it does in a config.
    """
    from dlm_length.config import composed_configs, config_names
    from dlm_length.config.describe import fields_of

    if kind == "decoders":
        return list(_decoder_rows())
    rows = {
        name: Row(name, cls.summary(), _source(kind, cls), tuple(fields_of(cls)), cls.remarks())
        for name, cls in _registered(kind).items()
    }
    files = config_names()
    for file_kind in (kind, "studies") if kind == "configs" else (kind,):
        rows |= {name: _file_row(name, file) for name, file in files[file_kind].items()}
    for name, pair in composed_configs().items() if kind == "configs" else ():
        rows[name] = replace(rows[name], composed_of=f"{pair.base} with policy {pair.policy}")
    return [
        replace(rows[name], group=heading) for heading, names in _groups(kind, rows, files).items() for name in names
    ]


def _groups(kind: str, names: Iterable[str], files: Mapping[str, Mapping[str, Path]]) -> Mapping[str, list[str]]:
    """The names by heading; all of them under an empty one where the kind has no groups."""
    if kind == "policies":
        return policy_groups(files[kind])
    if kind == "configs":
        return config_groups(files[kind])
    return {"": sorted(names)}


def _file_row(name: str, file: Path) -> Row:
    return Row(name, printable(_first_comment(file)), str(file), is_file=True)


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
    """Where the output is no terminal: a line for each row, however long, so that `grep` finds all of it."""
    width = max((len(row.name) for row in rows), default=0)
    for heading, group in groupby(rows, key=lambda row: row.group):
        if heading:
            yield f"# {heading}"
        for row in group:
            summary = f"{row.composed_of}: {row.summary}" if row.composed_of else row.summary
            yield f"{row.name:<{width}}  {summary}  [{row.source}]"
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
    """On a terminal: name and summary next to each other; with `verbose` also files, parameters and their meaning."""
    from dlm_length.cli.entries import print_entry, print_lines

    width = max((len(row.name) for row in rows if not row.composed_of), default=0)
    for place, (heading, group) in enumerate(groupby(rows, key=lambda row: row.group)):
        if heading:
            print_lines(console, ("\n" if place else "") + heading, indent=0, style="underline")
        for names, row in _with_one_source(group):
            lines = [row.summary, *([] if row.is_file and not verbose else [row.source]), *row.remarks]
            print_entry(console, f"{', '.join(names):<{width}}", "\n".join(filter(None, lines)))
            for field in row.parameters if verbose else ():
                print_entry(console, _setting(field), f"{field.allowed}. {field.description}", indent=4)
    if verbose:
        return
    more = ["what each parameter allows and means"] if any(row.parameters for row in rows) else []
    more += ["the files' paths"] if any(row.is_file for row in rows) else []
    console.print(f"\n--verbose shows {', and '.join(more)}.", style="dim", highlight=False)


def _with_one_source(rows: Iterable[Row]) -> Iterator[tuple[list[str], Row]]:
    """The rows with their names; those composed with the same policy's file as one, with the names of all."""
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(row.source if row.composed_of else row.name, []).append(row)
    for same in by_source.values():
        yield [row.name for row in same], same[0]
