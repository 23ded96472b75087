"""Lines on standard output and standard error, and how many of them a command prints."""

import logging
from types import TracebackType
from typing import Self

import typer

from dlm_length.common import ConfigError, printable
from dlm_length.common.program import LOGGER

LOADING = "loading torch and transformers"
"""The first line of progress: what takes longest before the first prompt."""


def echo(line: str, *, err: bool = False) -> None:
    """Print a line; what a model or a file wrote in it cannot steer the terminal."""
    typer.echo(printable(line), err=err)


def announce(doing: str) -> None:
    """The first line of a command, on standard error, before what it imports or reads for longer than a moment."""
    echo(f"{doing} ...", err=True)


class Verbosity:
    """How much a command shows: `-v` a line per sample, `-q` no progress. Raises ConfigError for both."""

    def __init__(self, *, verbose: bool, quiet: bool) -> None:
        if verbose and quiet:
            raise ConfigError("-v and -q exclude each other: give one of them.")
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
