"""Processes of our own for work that may never return, and that nothing but the end of a process interrupts.

A worker is a script: one JSON object a line in, one out, until its input ends. A request has `seconds` of CPU time,
after which the worker's own timer ends it (CPU time, so that a busy machine does not change verdicts).
"""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

WALL_SECONDS = 60.0
"""The worker keeps the time itself; after this long by the clock it is given up, too."""
TIMED_OUT = (-27, -9)
"""Ended by SIGPROF, the worker's own timer, or killed by `ask`'s."""

End = Literal["timeout", "crashed"]
"""How a worker ended that did not answer; crashed: for want of memory, say."""


class Worker:
    """One worker process, begun when first needed and again after it was ended. For one thread at a time."""

    def __init__(self, script: Path) -> None:
        self._script = script
        self._worker: subprocess.Popen[str] | None = None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | End:
        """The worker's answer to a request, or how it ended instead."""
        worker = self._started()
        requests, replies = _pipes(worker)
        overdue = threading.Timer(WALL_SECONDS, worker.kill)
        overdue.start()
        try:
            requests.write(json.dumps({**request, "seconds": seconds}) + "\n")
            requests.flush()
            reply = replies.readline()
        except BrokenPipeError:
            reply = ""
        finally:
            overdue.cancel()
        if not reply:
            status = worker.wait()
            self.close()
            return "timeout" if status in TIMED_OUT else "crashed"
        answer: dict[str, Any] = json.loads(reply)
        return answer

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
                [sys.executable, "-P", str(self._script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
        return self._worker


def _pipes(worker: "subprocess.Popen[str]") -> tuple[IO[str], IO[str]]:
    assert worker.stdin is not None, "the worker was started with pipes"
    assert worker.stdout is not None, "the worker was started with pipes"
    return worker.stdin, worker.stdout
