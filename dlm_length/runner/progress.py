"""Who listens to what a run does."""

from collections.abc import Sequence
from typing import Protocol

from dlm_length.records import ProgressRecord


class ProgressListener(Protocol):
    """Who is told what happens. Nothing it does can change an answer."""

    def notice(self, sentence: str) -> None:
        """Something the user should know: a profile that does not match, an earlier run set aside."""

    def phase(self, name: str) -> None:
        """What begins now: loading the model, finding lengths."""


class Progress(ProgressListener, Protocol):
    """Who watches a run."""

    def samples(self, done: int, total: int) -> None:
        """How many samples are on disk."""

    def running(self, runs: Sequence[ProgressRecord]) -> None:
        """How far each of the runs is that are made together; about twice a second."""
