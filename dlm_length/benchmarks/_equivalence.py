"""Whether two mathematical expressions are equal, decided by math-verify in a separate process.

An answer such as `9^{9^{9^{9}}}` occupies a computer algebra system forever, in code that only the end of its process
can interrupt; and math-verify's own time limit works only in the main thread.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dlm_length.benchmarks._worker import Worker

WORKER = Path(__file__).with_name("_equivalence_worker.py")
CPU_SECONDS = 10.0
"""CPU time limit per answer; not wall-clock time, so that a busy machine does not change verdicts."""


@dataclass(frozen=True)
class Verdict:
    """Result of comparing an answer with its reference."""

    outcome: Literal["equal", "different", "unreadable", "timeout", "crashed"]
    """unreadable: no expression in the answer could be parsed; crashed: the process ended, such as out of memory."""
    parsed: str | None = None
    """The expression in the answer that was compared, as text."""


class Judge(Worker):
    """A worker process with math-verify, started on demand and again after it ended. For one thread at a time."""

    def __init__(self) -> None:
        super().__init__(WORKER)

    def compare(self, reference: str, answer: str) -> Verdict:
        """Compare the reference, in LaTeX, with the last expression of the text `answer`, preferably a boxed one."""
        reply = self.ask({"reference": reference, "answer": answer}, CPU_SECONDS)
        return Verdict(reply) if isinstance(reply, str) else Verdict(reply["outcome"], reply["parsed"])


class _Judges(threading.local):
    """One judge per thread; its worker ends when its pipe closes."""

    def __init__(self) -> None:
        self.judge = Judge()


_JUDGES = _Judges()


def compare(reference: str, answer: str) -> Verdict:
    """Whether `answer` equals `reference`; see `Judge.compare`. Thread-safe."""
    return _JUDGES.judge.compare(reference, answer)
