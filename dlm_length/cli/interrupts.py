"""SIGINT and SIGTERM: what is said when a command is interrupted, whatever code was running at that moment."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

import typer

from dlm_length.cli.echo import echo

INTERRUPTED = 130
"""Exit code after SIGINT and SIGTERM."""

_received = False
"""Whether a signal has come: the KeyboardInterrupt that it raises can be lost in a library that catches everything."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, which batch systems send to end a job, interrupt as Ctrl-C does; the handlers return afterwards."""
    global _received
    _received = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if number == signal.SIGTERM or handler is not signal.SIG_IGN:  # a shell's background job ignores SIGINT
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _received
    _received = True
    raise KeyboardInterrupt


def was_interrupted(error: BaseException | None) -> bool:
    """Whether a command that ended with `error` was interrupted: directly, or by an error that the signal caused."""
    return isinstance(error, KeyboardInterrupt) or (_received and isinstance(error, Exception))


def check_interrupt() -> None:
    """Raise the KeyboardInterrupt of a signal that a library has swallowed. Long work calls this as it advances."""
    if _received:
        raise KeyboardInterrupt


class Resumable:
    """A command that can be continued: an interrupt at any moment of it says how, and leaves with INTERRUPTED."""

    def __init__(self, *, fresh: bool, dry_run: bool) -> None:
        self._fresh = fresh
        self._dry_run = dry_run
        self.paths: Sequence[Path] = ()
        """Folders of the run that is made, or of its repeats, once they are known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not was_interrupted(error):
            return
        again = "the same command, without --fresh," if self._fresh else "the same command"
        continues = f"continues {', '.join(map(str, self.paths))}" if self.paths else "continues."
        echo("Interrupted." if self._dry_run else f"Interrupted; {again} {continues}", err=True)
        raise typer.Exit(INTERRUPTED) from None
