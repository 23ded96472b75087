"""A sandbox of operating system limits: a separate process group, without network, with limited resources."""

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
    """Suitable for the mistakes of generated code, not for attacks.

    Enforced: limits of wall-clock time, CPU time, address space, file size, output, open files and processes; no core
    dumps; an empty environment; a private working folder, which is removed afterwards; only the standard library (no
    site-packages), with a fixed hash seed, so that verdicts do not differ between machines. Started as root, the
    program runs under a spare user id where that can read the standard library. Forged verdicts: see `_bootstrap`.

    Where the kernel grants namespaces there is no network, and all processes that the program started end with it.
    Elsewhere sockets and new processes are refused by a system call filter and, before it, by a Python audit hook. New
    processes are refused likewise to a program that has to run as root, as the kernel does not count root's processes;
    that program keeps only the capability to read files. On a machine for which `_filter` has no filter there is only
    the hook, which native code can bypass. `Outcome.isolation` says what was enforced. All programs are refused the
    system calls that are refused under bubblewrap.

    Not enforced: the file system is not hidden, so a program can read and write whatever its user id may, any number of
    files; and it sees the machine's other processes.
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
            # A program can nest folders deeper than Python's recursion limit.
            subprocess.run(["rm", "-rf", folder.name], check=False, stderr=subprocess.DEVNULL)
