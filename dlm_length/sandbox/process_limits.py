"""A sandbox of operating-system limits: a separate process, without network, that is ended as a whole."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dlm_length.sandbox.base import Outcome, Sandbox

BOOTSTRAP = Path(__file__).with_name("_bootstrap.py")
WALL_FACTOR = 3.0
"""A program has `timeout` seconds of CPU time, and this many times as long by the clock: on a busy machine a slow but
right answer must not turn into a timeout."""
GRACE_SECONDS = 10.0
"""The bootstrap keeps the time itself; this much later it is given up, too."""


@dataclass(frozen=True)
class ProcessLimits(Sandbox):
    """Fit for the mistakes of generated code, not for an attacker.

    In force: limits of time, CPU time, address space, file size, open files and processes; no core dumps; an empty
    environment; a private working folder, removed afterwards; the standard library alone (no site-packages), with a
    fixed hash seed, so that verdicts do not differ between machines. Started as root, the program runs under a user id
    of its own wherever that id can read the standard library.

    Where the kernel grants namespaces there is no network, and whatever processes the program started end with it.
    Where it does not, a Python audit hook refuses sockets and new processes; that is weaker, since native code (ctypes)
    gets around it. For a program that has to run as root the hook refuses new processes too, as the kernel does not
    count root's. `Outcome.isolation` says what was in force.

    Not in force: the file system is not hidden, so a program can read and write what its user id may. A program passes
    only when the bootstrap reports a random token after its last line, so printing, `sys.exit(0)` and `os._exit(0)`
    pass nothing; but one that walks up the interpreter's frames can find that token, and one that meddles with the
    tests' own names (`check`, `assert` on objects equal to everything) fools the tests themselves.
    """

    memory_bytes: int = 1 << 30
    """Address space of each process."""
    file_bytes: int = 16 << 20
    """Size of any one file it writes."""
    open_files: int = 64
    processes: int = 16

    def run(self, program: str, *, timeout: float) -> Outcome:
        job = {
            "program": program,
            "seconds": timeout,
            "wall_seconds": WALL_FACTOR * timeout,
            "memory_bytes": self.memory_bytes,
            "file_bytes": self.file_bytes,
            "open_files": self.open_files,
            "processes": self.processes,
        }
        with _private_folder() as folder:
            try:
                # Not -I: it would ignore PYTHONHASHSEED, and the environment is ours alone anyway.
                supervisor = subprocess.run(
                    [sys.executable, "-s", "-S", "-P", "-B", str(BOOTSTRAP)],
                    input=json.dumps(job).encode(),
                    capture_output=True,
                    check=False,
                    cwd=folder,
                    env={"PYTHONHASHSEED": "0", "HOME": folder, "TMPDIR": folder},
                    start_new_session=True,
                    timeout=WALL_FACTOR * timeout + GRACE_SECONDS,
                )
            except subprocess.TimeoutExpired:
                return Outcome(
                    "timeout", "", "the sandbox itself did not answer", WALL_FACTOR * timeout + GRACE_SECONDS, "unknown"
                )
        try:
            told = json.loads(supervisor.stdout)
            # A program can name its exception in half a character; records are UTF-8.
            words = {key: told[key].encode("utf-8", "backslashreplace").decode() for key in ("exception", "detail")}
            return Outcome(**told | words)
        except ValueError:
            last_words = supervisor.stderr[-300:].decode(errors="replace").strip().rpartition("\n")[2]
            detail = f"the sandbox ended with status {supervisor.returncode} and no verdict: {last_words}"
            return Outcome("crashed", "", detail, 0.0, "unknown")


@contextmanager
def _private_folder() -> Iterator[str]:
    folder = tempfile.TemporaryDirectory(prefix="dlmlen-", ignore_cleanup_errors=True)
    try:
        yield folder.name
    finally:
        try:
            folder.cleanup()
        except RecursionError:
            # A program can nest folders deeper than Python's own recursion goes.
            subprocess.run(["rm", "-rf", folder.name], check=False, stderr=subprocess.DEVNULL)
