"""Whether two mathematical expressions are the same, judged by math-verify in a process of its own.

An answer such as `9^{9^{9^{9}}}` keeps a computer algebra system busy for ever, in code that nothing but the end of its
process interrupts; and math-verify's own time limit works in a program's main thread alone.
"""

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

WORKER = Path(__file__).with_name("_equivalence_worker.py")
CPU_SECONDS = 10.0
"""For one answer. CPU time, so that a busy machine does not change verdicts."""
WALL_SECONDS = 60.0
"""The worker keeps the time itself; after this long by the clock it is given up, too."""


@dataclass(frozen=True)
class Verdict:
    """What math-verify says of an answer."""

    outcome: Literal["equal", "different", "unreadable", "timeout", "crashed"]
    """unreadable: nothing in the answer could be parsed; crashed: the judge's process ended, for want of memory say."""
    parsed: str | None = None
    """The expression that was found in the answer, as it stands there."""


class Judge:
    """One worker process, begun when first needed and again after it was ended. For one thread at a time."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[str] | None = None

    def compare(self, reference: str, answer: str) -> Verdict:
        """`reference`: LaTeX of the right answer. `answer`: a text whose last expression, boxed first, is compared."""
        worker = self._started()
        requests, replies = _pipes(worker)
        overdue = threading.Timer(WALL_SECONDS, worker.kill)
        overdue.start()
        try:
            requests.write(json.dumps({"reference": reference, "answer": answer, "seconds": CPU_SECONDS}) + "\n")
            requests.flush()
            reply = replies.readline()
        except BrokenPipeError:
            reply = ""
        finally:
            overdue.cancel()
        if not reply:
            status = worker.wait()
            self.close()
            return Verdict("timeout" if status in TIMED_OUT else "crashed")
        told = json.loads(reply)
        return Verdict(told["outcome"], told["parsed"])

    def close(self) -> None:
        """End the worker."""
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            self._worker = None

    def _started(self) -> "subprocess.Popen[str]":
        if self._worker is None or self._worker.poll() is not None:
            self.close()
            self._worker = subprocess.Popen(
                [sys.executable, "-P", str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
        return self._worker


TIMED_OUT = (-27, -9)
"""Ended by SIGPROF, the worker's own timer, or killed by `compare`'s."""


def _pipes(worker: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert worker.stdin is not None, "the worker was started with pipes"
    assert worker.stdout is not None, "the worker was started with pipes"
    return worker.stdin, worker.stdout


class _Judges(threading.local):
    """A judge for each thread that scores; its worker ends with the thread's judge, or when its pipe closes."""

    def __init__(self) -> None:
        self.judge = Judge()


_JUDGES = _Judges()


def compare(reference: str, answer: str) -> Verdict:
    """Whether `answer` says the same as `reference`; see `Judge.compare`. May be called from several threads."""
    return _JUDGES.judge.compare(reference, answer)
