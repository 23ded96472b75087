"""SIGINT and SIGTERM: what a command says when it is interrupted, whatever code was running at that moment."""

import signal
import sys
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
_explained = False
"""Whether the command has said what the interrupt means, which it does once."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM, which batch systems send to end a job, interrupt like Ctrl-C; restores the handlers afterwards.

    In a finalizer Python ignores an interrupt and prints a traceback; it is left to check_interrupt without one.
    """
    global _received, _explained
    _received = _explained = False
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number, handler in before.items():
        if number == signal.SIGTERM or handler is not signal.SIG_IGN:  # a shell's background job ignores SIGINT
            signal.signal(number, _interrupt)
    unraisable = sys.unraisablehook
    sys.unraisablehook = lambda ignored: None if ignored.exc_type is KeyboardInterrupt else unraisable(ignored)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    global _received
    _received = True
    raise KeyboardInterrupt


def was_interrupted(error: BaseException | None) -> bool:
    """Whether a command that ended with `error` was interrupted: directly, or by an error that the signal caused.

    A library may turn the interrupt into an error of its own, or into sys.exit with a code other than 0.
    """
    if isinstance(error, SystemExit):
        return error.code == INTERRUPTED or (_received and error.code not in (None, 0))
    return isinstance(error, KeyboardInterrupt) or (_received and isinstance(error, Exception))


def explain(sentence: str) -> None:
    """Print what an interrupt means, on standard error, unless a command has said so already."""
    global _explained
    if not _explained:
        _explained = True
        echo(sentence, err=True)


def check_interrupt() -> None:
    """Raise the KeyboardInterrupt of a signal that a library has swallowed. Long work calls this as it advances.

    Not while that KeyboardInterrupt is on its way up: what is being saved and closed then is left to finish.
    """
    if _received and not isinstance(sys.exception(), KeyboardInterrupt):
        raise KeyboardInterrupt


@contextmanager
def on_interrupt(consequence: str) -> Iterator[None]:
    """A command that an interrupt at any moment ends with one sentence and INTERRUPTED.

    `consequence`: what is kept, and what has to be done again; the end of the sentence.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if not was_interrupted(error):
            raise
        explain(f"Interrupted; {consequence}")
        raise typer.Exit(INTERRUPTED) from None


class Resumable:
    """A command that can be continued: an interrupt at any moment of it says how, and exits with INTERRUPTED."""

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
        explain("Interrupted." if self._dry_run else f"Interrupted; {again} {continues}")
        raise typer.Exit(INTERRUPTED) from None
