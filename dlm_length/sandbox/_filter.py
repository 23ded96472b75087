"""System call filters: seccomp programs in classic BPF, compiled by libseccomp, as the bytes that the kernel takes.

`scripts/seccomp_filters.py` writes them from libseccomp's tables of system calls, and documents what is refused and
why. Under a filter, calls that no answer to a programming problem needs fail with EPERM, or EAFNOSUPPORT for a socket
of another family than AF_UNIX, AF_INET and AF_INET6. Calls that are newer than Linux 6.7, and those of another
architecture or ABI than the machine's own 64 bits (i386, x32, ...), fail with ENOSYS.
"""

import platform
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).with_name("seccomp")


@dataclass(frozen=True)
class Filters:
    """The filters for one kind of machine. Several may be installed: the kernel applies the strictest result."""

    always: bytes
    no_processes: bytes
    """For programs whose processes the kernel does not count: allows threads only."""
    no_network: bytes
    """For machines without network namespaces: allows no sockets except pairs."""


def filters() -> Filters | None:
    """The filters for this machine; None for a system, architecture or ABI without any."""
    folder = FOLDER / platform.machine()
    if sys.platform != "linux" or struct.calcsize("P") != 8 or not folder.is_dir():
        return None
    names = ("always", "no_processes", "no_network")
    return Filters(**{name: folder.joinpath(f"{name}.bpf").read_bytes() for name in names})
