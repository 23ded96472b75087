"""A filter of system calls, as the bytes that the kernel takes: a seccomp program in classic BPF, assembled here.

A program under it gets an error for what no answer to a programming problem needs: namespaces and mounts, in which it
would be root and could make memory without a limit; memory that is counted nowhere (`memfd_create`, System V's shared
memory); the memory of other processes; and interfaces that are known for the kernel's faults. It is no list of what is
allowed: a program in Python needs too much for that.
"""

import platform
import struct
import sys
from dataclasses import dataclass
from typing import NamedTuple

LOAD, EQUAL, ANY_BIT, AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
"""Of linux/bpf_common.h: load a word, jump if equal, jump if a bit is set, jump if at least, return."""
ALLOW, ERROR = 0x7FFF0000, 0x00050000
"""Of linux/seccomp.h: the latter with the error's number in its lower half."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Offsets into `struct seccomp_data`; the lower half of the first argument, on a little-endian machine."""
EPERM, ENOSYS = 1, 38
CLONE_THREAD = 0x00010000
NEW_NAMESPACE = 0x7E020000
"""All flags of `clone` that make one: CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""
X32 = 0x40000000
"""What the numbers of x86-64's second set of calls begin with."""


class Machine(NamedTuple):
    architecture: int
    calls: dict[str, int]


# From Linux's tables; 424 and above are the same everywhere.
COMMON = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "clone3": 435,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "open_tree_attr": 467,
}
MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        COMMON
        | {
            "shmget": 29,
            "shmat": 30,
            "socket": 41,
            "clone": 56,
            "fork": 57,
            "vfork": 58,
            "execve": 59,
            "semget": 64,
            "msgget": 68,
            "ptrace": 101,
            "syslog": 103,
            "pivot_root": 155,
            "chroot": 161,
            "acct": 163,
            "mount": 165,
            "umount2": 166,
            "swapon": 167,
            "swapoff": 168,
            "init_module": 175,
            "delete_module": 176,
            "quotactl": 179,
            "mq_open": 240,
            "kexec_load": 246,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "unshare": 272,
            "perf_event_open": 298,
            "fanotify_init": 300,
            "prlimit64": 302,
            "name_to_handle_at": 303,
            "open_by_handle_at": 304,
            "setns": 308,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "kcmp": 312,
            "finit_module": 313,
            "memfd_create": 319,
            "kexec_file_load": 320,
            "bpf": 321,
            "execveat": 322,
            "userfaultfd": 323,
        },
    ),
    "aarch64": Machine(
        0xC00000B7,
        COMMON
        | {
            "umount2": 39,
            "mount": 40,
            "pivot_root": 41,
            "chroot": 51,
            "quotactl": 60,
            "acct": 89,
            "unshare": 97,
            "kexec_load": 104,
            "init_module": 105,
            "delete_module": 106,
            "syslog": 116,
            "ptrace": 117,
            "mq_open": 180,
            "msgget": 186,
            "semget": 190,
            "shmget": 194,
            "shmat": 196,
            "socket": 198,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "clone": 220,
            "execve": 221,
            "swapon": 224,
            "swapoff": 225,
            "perf_event_open": 241,
            "prlimit64": 261,
            "fanotify_init": 262,
            "name_to_handle_at": 264,
            "open_by_handle_at": 265,
            "setns": 268,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "kcmp": 272,
            "finit_module": 273,
            "memfd_create": 279,
            "bpf": 280,
            "execveat": 281,
            "userfaultfd": 282,
            "kexec_file_load": 294,
        },
    ),
}
SPECIAL = {"clone", "clone3", "execve", "execveat", "fork", "prlimit64", "socket", "vfork"}
"""Those of the tables that depend on their arguments, or are refused only by a filter that says so."""


@dataclass(frozen=True)
class Filters:
    """Each allows what it does not name, so that they can be laid on top of each other."""

    always: bytes
    no_processes: bytes
    """For where the kernel does not count a program's processes: threads alone."""
    no_network: bytes
    """For where there is no network namespace: no sockets but pairs."""


def filters() -> Filters | None:
    """None on a machine whose calls are not known here."""
    machine = MACHINES.get(platform.machine())
    if machine is None or sys.platform != "linux" or sys.byteorder != "little" or struct.calcsize("P") != 8:
        return None
    calls = machine.calls
    always = [
        *_returning(ENOSYS, calls["clone3"]),  # its flags lie in memory; the C library falls back on clone
        *(step for name in sorted(calls.keys() - SPECIAL) for step in _returning(EPERM, calls[name])),
        *_by_argument(calls["clone"], ANY_BIT, NEW_NAMESPACE, refused_if=True),
        *_by_argument(calls["prlimit64"], EQUAL, 0, refused_if=False),  # limits of one's own alone
    ]
    no_processes = [
        *(step for name in ("execve", "execveat", "fork", "vfork") for step in _returning(EPERM, calls.get(name))),
        *_returning(ENOSYS, calls["clone3"]),
        *_by_argument(calls["clone"], ANY_BIT, CLONE_THREAD, refused_if=False),
    ]
    return Filters(*(_whole(machine, body) for body in (always, no_processes, _returning(EPERM, calls["socket"]))))


def _whole(machine: Machine, body: list[bytes]) -> bytes:
    """Calls of another kind than the machine's own (32 bits, x32) have other numbers, and are unknown."""
    own_kind = [
        _step(LOAD, ARCHITECTURE),
        _step(EQUAL, machine.architecture, then=1),
        _step(RETURN, ERROR | ENOSYS),
        _step(LOAD, NUMBER),
        _step(AT_LEAST, X32, otherwise=1),
        _step(RETURN, ERROR | ENOSYS),
    ]
    return b"".join((*own_kind, *body, _step(RETURN, ALLOW)))


def _returning(error: int, call: int | None) -> list[bytes]:
    return [] if call is None else [_step(EQUAL, call, otherwise=1), _step(RETURN, ERROR | error)]


def _by_argument(call: int, compare: int, value: int, *, refused_if: bool) -> list[bytes]:
    """The call is decided on here: refused if the comparison of its first argument comes out so, else allowed."""
    return [
        _step(EQUAL, call, otherwise=4),
        _step(LOAD, FIRST_ARGUMENT),
        _step(compare, value, otherwise=1),
        _step(RETURN, ERROR | EPERM if refused_if else ALLOW),
        _step(RETURN, ALLOW if refused_if else ERROR | EPERM),
    ]


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """A `struct sock_filter`; `then` and `otherwise` are how many steps a comparison skips."""
    return struct.pack("<HBBI", code, then, otherwise, value)
