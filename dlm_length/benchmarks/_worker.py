"""Worker processes for work that may never return and that only the end of its process can interrupt.

A worker is a script that reads one JSON object per line and writes one, until its input ends. A request has `seconds`,
a limit of CPU time after which the worker's own timer ends it; not of wall-clock time, so that a busy machine does not
change verdicts.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

WALL_SECONDS = 60.0
"""Wall-clock limit per request, in case the worker's own timer fails."""
TIMED_OUT = (-27, -9)
"""Exit statuses of a timeout: SIGPROF of the worker's own timer, and SIGKILL of the timer in `ask`."""

End = Literal["timeout", "crashed"]
"""How a worker ended that did not reply; crashed: such as out of memory."""


class Worker:
    """One worker process, started on demand and again after it ended. For one thread at a time."""

    def __init__(self, script: Path) -> None:
        self._script = script
        self._worker: subprocess.Popen[str] | None = None

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any] | End:
        """The worker's reply to a request, or how it ended instead. `seconds`: limit of CPU time."""
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
