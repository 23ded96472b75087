"""Lines on standard output and standard error, and how many of them a command prints."""

import logging
from types import TracebackType
from typing import Self

import typer

from dlm_length.common import ConfigError, printable
from dlm_length.common.program import LOGGER

READING = "reading the config"
"""The first line of a command that takes one: reading it imports more than the command line itself."""
LOADING = "loading torch and transformers"
"""What takes longest before the first prompt."""
PLANNING = "planning"
"""The first line of a dry run, once the config is read."""


def echo(line: str, *, err: bool = False) -> None:
    """Print a line; control characters in it, from a model or a file, are shown as escapes."""
    typer.echo(printable(line), err=err)


def echo_prose(sentence: str, *, err: bool = False) -> None:
    """Print a sentence; on a terminal its lines are wrapped between words. Paths to copy go through `echo`."""
    from rich.console import Console

    from dlm_length.cli.entries import wrapped

    console = Console(stderr=err)
    for line in wrapped(sentence, console.width) if console.is_terminal else [sentence]:
        echo(line, err=err)


def announce(doing: str) -> None:
    """Say what takes a moment, on standard error and before its imports: nobody waits in silence. Not with `-q`."""
    if logging.getLogger(LOGGER).level <= logging.INFO:
        echo(f"{doing} ...", err=True)


class Verbosity:
    """How much a command shows: `-v` a line per sample, `-q` no progress. Raises ConfigError for both."""

    def __init__(self, *, verbose: bool, quiet: bool) -> None:
        if verbose and quiet:
            raise ConfigError("-v and -q exclude each other; give one of them.")
        self._logger = logging.getLogger(LOGGER)
        self._before = self._logger.level
        self._level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.NOTSET

    def __enter__(self) -> Self:
        self._logger.setLevel(self._level)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._logger.setLevel(self._before)
