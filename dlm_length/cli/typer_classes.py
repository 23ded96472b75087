"""Typer classes that list subcommands alphabetically, show flags without a type, and say which value is refused."""

from typing import Any

from typer import BadParameter
from typer.core import TyperCommand, TyperGroup


class Command(TyperCommand):
    """One command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except BadParameter as error:
            value = _given_value(getattr(error.param, "opts", []), given)
            if value is not None and repr(value) not in error.message:
                error.message = f"{error.message}, found {value!r}"
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_bare_flags(super().get_params(ctx))


class CommandGroup(TyperGroup):
    """A command with commands of its own, which are listed by name."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _with_bare_flags(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx))


def _with_bare_flags(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


def _given_value(options: list[str], arguments: list[str]) -> str | None:
    """The value of an option, by any of its names, on a command line; None where it is not there."""
    for at, argument in enumerate(arguments):
        name, joined, value = argument.partition("=")
        if name in options:
            return value if joined else next(iter(arguments[at + 1 :]), None)
    return None
