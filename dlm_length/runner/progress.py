"""Listeners to the progress of a run, which the command line implements."""

from collections.abc import Sequence
from typing import Protocol

from dlm_length.records import ProgressRecord


class ProgressListener(Protocol):
    """Receives messages and phases. Nothing that it does can change an answer."""

    def notice(self, sentence: str) -> None:
        """A sentence for the user: a profile that does not match, an earlier run set aside."""

    def phase(self, name: str) -> None:
        """The phase that begins: loading the model, finding the lengths."""


class Progress(ProgressListener, Protocol):
    """Receives the progress of runs too."""

    def samples(self, done: int, total: int) -> None:
        """Samples on disk, of all that the runs need."""

    def running(self, runs: Sequence[ProgressRecord]) -> None:
        """The progress of each run of the group; called about twice per second."""
