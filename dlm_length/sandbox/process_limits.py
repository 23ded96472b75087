"""A sandbox of operating-system limits: a separate process, without network, that is ended as a whole."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dlm_length.sandbox import supervised
from dlm_length.sandbox.supervised import Supervised, Surroundings


@dataclass(frozen=True)
class ProcessLimits(Supervised):
    """Fit for the mistakes of generated code, not for an attacker.

    In force: limits of time, CPU time, address space, file size, output, open files and processes; no core dumps; an
    empty environment; a private working folder, removed afterwards; the standard library alone (no site-packages), with
    a fixed hash seed, so that verdicts do not differ between machines. Started as root, the program runs under a user
    id of its own wherever that id can read the standard library. What it takes to forge a verdict: see `_bootstrap`.

    Where the kernel grants namespaces there is no network, and whatever processes the program started end with it.
    Where it does not, the kernel refuses sockets and new processes by a filter of system calls, and a Python audit hook
    before it. So it does with new processes for a program that has to run as root, as the kernel does not count root's;
    that program keeps no capability but to read files. On a machine that `_filter` does not know the hook stands alone;
    that is weaker, since native code gets around it. `Outcome.isolation` says what was in force. The filter refuses all
    programs what it refuses under bubblewrap.

    Not in force: the file system is not hidden, so a program can read and write what its user id may, as many files as
    it likes; and it sees the machine's other processes.
    """

    @property
    def enclosed(self) -> bool:
        return False

    @contextmanager
    def surroundings(self) -> Iterator[Surroundings]:
        with _private_folder() as folder:
            command = [sys.executable, *supervised.PYTHON_OPTIONS, str(supervised.BOOTSTRAP)]
            yield Surroundings(command, folder=folder, home=folder)


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
