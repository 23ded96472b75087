"""Write the sandbox's system call filters with libseccomp, as the bytes that the kernel loads.

    python scripts/seccomp_filters.py                       # into dlm_length/sandbox/seccomp, which ships
    python scripts/seccomp_filters.py --out build/seccomp   # to compare

Needs Linux and libseccomp.so.2 (Debian: `libseccomp2`), whose tables of system calls it uses; any machine can write the
filters of both architectures. `ALWAYS`, `NO_PROCESSES` and `NO_NETWORK` define which calls are refused, and with what
error. The package itself needs neither this script nor libseccomp.

The shipped bytes are those of Debian's libseccomp 2.5.4-1+deb12u1. Another version may use other instructions for
the same decisions; tests compare bytes for that version, and decisions for any other.
"""

import argparse
import ctypes
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from errno import EAFNOSUPPORT, ENOSYS, EPERM
from pathlib import Path
from socket import AF_INET, AF_INET6, AF_UNIX
from tempfile import TemporaryFile
from typing import NamedTuple

SHIPPED = Path(__file__).resolve().parents[1] / "dlm_length" / "sandbox" / "seccomp"
WRITTEN_WITH = (2, 5, 4)

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""By `platform.machine()`: SCMP_ARCH_X86_64 and SCMP_ARCH_AARCH64, which are linux/audit.h's."""
NEWEST_CALL = 456
"""`futex_requeue`, of Linux 6.7: a later call is as unknown as on an older kernel, for which programs are prepared."""

FAMILIES = (AF_UNIX, AF_INET, AF_INET6)
"""For sockets: what the standard library opens by itself, and all of it inside the network namespace. No AF_NETLINK
(the C library asks it for addresses, and does without), AF_VSOCK (a virtual machine's host), AF_ALG, AF_PACKET, ..."""
FAMILIES_OF_PAIRS = (AF_UNIX,)
"""For `socketpair`: the kernel would load another family's module before it says that it has no pairs."""

NAMESPACES_AND_MOUNTS = (
    "chroot",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_tree",
    "pivot_root",
    "setns",
    "umount2",
    "unshare",
)
"""Calls for namespaces and mounts, in which a program would be root and could allocate unlimited memory."""
UNCOUNTED_MEMORY = ("memfd_create", "memfd_secret", "mq_open", "msgget", "semget", "shmat", "shmget")
"""Calls that allocate memory which is not counted: anonymous files, System V's shared memory, message queues."""
OTHER_PROCESSES = ("kcmp", "pidfd_getfd", "process_madvise", "process_vm_readv", "process_vm_writev", "ptrace")
"""Calls that access the memory and descriptors of other processes."""
KERNEL = (
    "acct",
    "add_key",
    "bpf",
    "delete_module",
    "fanotify_init",
    "finit_module",
    "init_module",
    "io_uring_enter",
    "io_uring_register",
    "io_uring_setup",
    "kexec_file_load",
    "kexec_load",
    "keyctl",
    "name_to_handle_at",
    "open_by_handle_at",
    "perf_event_open",
    "quotactl",
    "quotactl_fd",
    "request_key",
    "swapoff",
    "swapon",
    "syslog",
    "userfaultfd",
)
"""Interfaces for administrators, or with a history of kernel vulnerabilities."""
REFUSED = (*NAMESPACES_AND_MOUNTS, *UNCOUNTED_MEMORY, *OTHER_PROCESSES, *KERNEL)
"""Calls that no answer to a programming problem needs."""

CLONE_THREAD = 0x00010000
CLONE_NEW = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""Of linux/sched.h: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET, the flags of `clone` that make
a namespace. (CLONE_NEWTIME is a flag of `clone3` and `unshare` alone.)"""

ALLOW, ERROR = 0x7FFF0000, 0x00050000
"""SCMP_ACT_ALLOW, and SCMP_ACT_ERRNO with the error's number in its lower half."""
NOT_EQUAL, EQUAL, GREATER, MASKED_EQUAL = 1, 4, 6, 7
"""Of `enum scmp_compare`."""
BAD_ARCHITECTURE, OPTIMIZE = 2, 8
"""Of `enum scmp_filter_attr`."""
BINARY_TREE = 2
UNKNOWN_NAME = -1


class Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp`; for MASKED_EQUAL the first value is the mask."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


class Rule(NamedTuple):
    """The action for a call whose first argument satisfies a comparison; without an operator: for every such call."""

    call: str
    action: int
    operator: int | None = None
    first: int = 0
    second: int = 0


@dataclass(frozen=True)
class Filter:
    """Rules for system calls. Calls of another ABI than the machine's own (32 bits, x32) are refused with ENOSYS."""

    rules: tuple[Rule, ...]
    known_calls: bool = False
    """Whether a call that no rule names is allowed only if it is a known one, up to NEWEST_CALL; otherwise ENOSYS."""


def families(call: str, allowed: tuple[int, ...]) -> Iterator[Rule]:
    """Allow these socket families and refuse each other one: libseccomp has no rule for "none of them"."""
    yield from (Rule(call, ALLOW, EQUAL, family) for family in allowed)
    others = sorted(set(range(max(allowed))) - set(allowed))
    yield from (Rule(call, ERROR | EAFNOSUPPORT, EQUAL, family) for family in others)
    yield Rule(call, ERROR | EAFNOSUPPORT, GREATER, max(allowed))


CLONE3_IS_UNKNOWN = Rule("clone3", ERROR | ENOSYS)
"""Its flags are in memory, which filters cannot read; the C library falls back to `clone`."""

ALWAYS = Filter(
    (
        CLONE3_IS_UNKNOWN,
        *(Rule(call, ERROR | EPERM) for call in REFUSED),
        Rule("clone", ALLOW, MASKED_EQUAL, sum(CLONE_NEW), 0),
        *(Rule("clone", ERROR | EPERM, MASKED_EQUAL, flag, flag) for flag in CLONE_NEW),
        Rule("prlimit64", ALLOW, EQUAL, 0),  # only the limits of the process itself
        Rule("prlimit64", ERROR | EPERM, NOT_EQUAL, 0),
        *families("socket", FAMILIES),
        *families("socketpair", FAMILIES_OF_PAIRS),
    ),
    known_calls=True,
)
NO_PROCESSES = Filter(
    (
        CLONE3_IS_UNKNOWN,
        *(Rule(call, ERROR | EPERM) for call in ("execve", "execveat", "fork", "vfork")),
        Rule("clone", ERROR | EPERM, MASKED_EQUAL, CLONE_THREAD, 0),
    )
)
"""Allows threads only, for kernels that do not count a program's processes. Loaded in addition to ALWAYS."""
NO_NETWORK = Filter((Rule("socket", ERROR | EPERM),))
"""Allows socket pairs only, if there is no network namespace. Loaded in addition to ALWAYS."""
FILTERS = {"always": ALWAYS, "no_processes": NO_PROCESSES, "no_network": NO_NETWORK}


class Version(ctypes.Structure):
    """`struct scmp_version`."""

    _fields_ = (("major", ctypes.c_uint), ("minor", ctypes.c_uint), ("micro", ctypes.c_uint))


class Seccomp:
    """The functions of libseccomp that are needed. Raises OSError if libseccomp is not installed."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL("libseccomp.so.2")
        self._library.seccomp_init.restype = ctypes.c_void_p
        self._library.seccomp_version.restype = ctypes.POINTER(Version)
        self._library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_char_p

    @property
    def version(self) -> tuple[int, int, int]:
        """Version of the installed library."""
        version = self._library.seccomp_version().contents
        return version.major, version.minor, version.micro

    def names(self, architecture: int) -> list[str]:
        """Names of the calls up to NEWEST_CALL, by number. Raises ValueError if the library is too old."""
        resolve = self._library.seccomp_syscall_resolve_num_arch
        names = [resolve(ctypes.c_uint32(architecture), number) for number in range(NEWEST_CALL + 1)]
        if names[-1] is None:
            version = ".".join(map(str, self.version))
            raise ValueError(
                f"libseccomp {version} does not know system calls up to {NEWEST_CALL}: a newer one is needed"
            )
        return [name.decode() for name in names if name is not None]

    def program(self, chosen: Filter, architecture: int) -> bytes:
        """The filter's instructions (`struct sock_filter`, eight bytes each) for that architecture alone."""
        unnamed = ERROR | ENOSYS if chosen.known_calls else ALLOW
        context = ctypes.c_void_p(self._library.seccomp_init(ctypes.c_uint32(unnamed)))
        try:
            native = self._library.seccomp_arch_native()
            if architecture != ctypes.c_uint32(native).value:
                self._succeed("seccomp_arch_remove", context, ctypes.c_uint32(native))
                self._succeed("seccomp_arch_add", context, ctypes.c_uint32(architecture))
            self._succeed("seccomp_attr_set", context, BAD_ARCHITECTURE, ctypes.c_uint32(ERROR | ENOSYS))
            self._succeed("seccomp_attr_set", context, OPTIMIZE, ctypes.c_uint32(BINARY_TREE))
            for rule in (*chosen.rules, *self._allowed(chosen, architecture)):
                if rule.action != unnamed:  # which libseccomp refuses to add
                    self._add(context, rule)
            return self._exported(context)
        finally:
            self._library.seccomp_release(context)

    def _allowed(self, chosen: Filter, architecture: int) -> Iterator[Rule]:
        if chosen.known_calls:
            decided = {rule.call for rule in chosen.rules}
            yield from (Rule(name, ALLOW) for name in self.names(architecture) if name not in decided)

    def _add(self, context: ctypes.c_void_p, rule: Rule) -> None:
        number = self._library.seccomp_syscall_resolve_name(rule.call.encode())
        if number == UNKNOWN_NAME:
            raise ValueError(f"libseccomp knows no system call {rule.call!r}")
        comparisons = [] if rule.operator is None else [Comparison(0, rule.operator, rule.first, rule.second)]
        array = (Comparison * 1)(*comparisons)
        self._succeed("seccomp_rule_add_array", context, ctypes.c_uint32(rule.action), number, len(comparisons), array)

    def _exported(self, context: ctypes.c_void_p) -> bytes:
        with TemporaryFile() as file:
            self._succeed("seccomp_export_bpf", context, file.fileno())
            file.seek(0)
            return file.read()

    def _succeed(self, name: str, *arguments: object) -> None:
        function: Callable[..., int] = getattr(self._library, name)
        if (error := function(*arguments)) != 0:
            raise OSError(-error, f"{name} of libseccomp failed")


def write(seccomp: Seccomp, folder: Path) -> None:
    """One file for each architecture and filter: `FOLDER/x86_64/always.bpf`, ..."""
    for machine, architecture in ARCHITECTURES.items():
        for name, chosen in FILTERS.items():
            file = folder / machine / f"{name}.bpf"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(seccomp.program(chosen, architecture))
            print(f"{file}: {file.stat().st_size // 8} instructions")


def main() -> None:
    """Write the filters."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, default=SHIPPED, metavar="FOLDER", help="folder to write to (default: that of the package)"
    )
    options = parser.parse_args()
    try:
        write(Seccomp(), options.out)
    except (OSError, ValueError) as error:
        sys.exit(f"The filters cannot be written: {error}")


if __name__ == "__main__":
    main()
