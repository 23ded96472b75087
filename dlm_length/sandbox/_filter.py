"""Filters of system calls, as the bytes that the kernel takes: seccomp programs in classic BPF, made with libseccomp.

`scripts/seccomp_filters.py` writes them, from libseccomp's tables of system calls, and says what is refused and why. A
program under them gets an error (EPERM, or EAFNOSUPPORT for a socket of another family than AF_UNIX, AF_INET and
AF_INET6) for what no answer to a programming problem needs; calls that are newer than Linux 6.7, or those of another
architecture or ABI than the machine's own 64 bits (i386, x32, ...), are unknown (ENOSYS).
"""

import platform
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("seccomp")


@dataclass(frozen=True)
class Filters:
    """They can be laid on top of each other: the kernel takes the strictest answer."""

    always: bytes
    no_processes: bytes
    """For where the kernel does not count a program's processes: threads alone."""
    no_network: bytes
    """For where there is no network namespace: no sockets but pairs."""


def filters() -> Filters | None:
    """None on a machine for which there are none: another system, architecture or ABI."""
    folder = FOLDER / platform.machine()
    if sys.platform != "linux" or struct.calcsize("P") != 8 or not folder.is_dir():
        return None
    names = ("always", "no_processes", "no_network")
    return Filters(**{name: folder.joinpath(f"{name}.bpf").read_bytes() for name in names})
