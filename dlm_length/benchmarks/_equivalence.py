"""Whether two mathematical expressions are the same, judged by math-verify in a process of its own.

An answer such as `9^{9^{9^{9}}}` keeps a computer algebra system busy for ever, in code that nothing but the end of its
process interrupts; and math-verify's own time limit works in a program's main thread alone.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dlm_length.benchmarks._worker import Worker

WORKER = Path(__file__).with_name("_equivalence_worker.py")
CPU_SECONDS = 10.0
"""For one answer. CPU time, so that a busy machine does not change verdicts."""


@dataclass(frozen=True)
class Verdict:
    """What math-verify says of an answer."""

    outcome: Literal["equal", "different", "unreadable", "timeout", "crashed"]
    """unreadable: nothing in the answer could be parsed; crashed: the judge's process ended, for want of memory say."""
    parsed: str | None = None
    """The expression that was found in the answer, as it stands there."""


class Judge(Worker):
    """One worker process, begun when first needed and again after it was ended. For one thread at a time."""

    def __init__(self) -> None:
        super().__init__(WORKER)

    def compare(self, reference: str, answer: str) -> Verdict:
        """`reference`: LaTeX of the right answer. `answer`: a text whose last expression, boxed first, is compared."""
        reply = self.ask({"reference": reference, "answer": answer}, CPU_SECONDS)
        return Verdict(reply) if isinstance(reply, str) else Verdict(reply["outcome"], reply["parsed"])


class _Judges(threading.local):
    """A judge for each thread that scores; its worker ends with the thread's judge, or when its pipe closes."""

    def __init__(self) -> None:
        self.judge = Judge()


_JUDGES = _Judges()


def compare(reference: str, answer: str) -> Verdict:
    """Whether `answer` says the same as `reference`; see `Judge.compare`. May be called from several threads."""
    return _JUDGES.judge.compare(reference, answer)
