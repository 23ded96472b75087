"""The common part of the sandboxes: starting the bootstrap, passing it a program and reading its verdict."""

import ast
import json
import os
import subprocess
import threading
from abc import abstractmethod
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from dlm_length.sandbox._filter import filters
from dlm_length.sandbox.base import Outcome, Sandbox

BOOTSTRAP = Path(__file__).with_name("_bootstrap.py")
PYTHON_OPTIONS = ("-s", "-S", "-P", "-B")
"""No site-packages, no imports from the working folder, no .pyc files. Not -I, which would ignore PYTHONHASHSEED; the
environment is set here anyway."""
WALL_FACTOR = 3.0
"""Wall-clock limit of a program, as a multiple of its CPU time limit: on a busy machine a slow but correct answer must
not become a timeout."""
GRACE_SECONDS = 10.0
"""Seconds after the wall-clock limit, which the bootstrap enforces, until the bootstrap itself is ended."""
FIRST_SPARE_USER = 1 << 30
"""Smallest spare user id; a thread's number is added."""


@dataclass(frozen=True)
class Surroundings:
    """How the bootstrap of one program is started."""

    command: list[str]
    folder: str
    """The working folder in which the command is started."""
    home: str
    """The program's private folder, as the program sees it."""
    descriptors: tuple[int, ...] = ()
    """File descriptors that the command inherits."""


@dataclass(frozen=True)
class Supervised(Sandbox):
    """Programs under operating system limits, each watched by a supervisor process (see `_bootstrap`)."""

    memory_bytes: int = 1 << 30
    """Limit of the address space of each process."""
    file_bytes: int = 16 << 20
    """Limit of the size of each file that is written, and of the printed output."""
    open_files: int = 64
    """Limit of open files per process."""
    processes: int = 16
    """Limit of processes and threads; together with `memory_bytes` it limits the memory of all."""
    files: int = 10_000
    """Limit of files and folders that exist at a time in the folders of `counted`; a program with more is ended."""

    @property
    @abstractmethod
    def enclosed(self) -> bool:
        """Whether the command makes the namespaces, so that the bootstrap need not."""

    @property
    def counted(self) -> Collection[str]:
        """Private file systems in which the supervisor counts files, as paths that the program sees."""
        return ()

    @abstractmethod
    def surroundings(self) -> AbstractContextManager[Surroundings]:
        """The surroundings of one program, removed on exit."""

    def run(self, program: str, tests: str = "", *, entry_points: Collection[str] = (), timeout: float) -> Outcome:
        job = {
            "program": program,
            "tests": tests,
            "modules": list(_imports(tests)),
            "entry_points": list(entry_points),
            "seconds": timeout,
            "wall_seconds": WALL_FACTOR * timeout,
            "memory_bytes": self.memory_bytes,
            "file_bytes": self.file_bytes,
            "open_files": self.open_files,
            "processes": self.processes,
            "files": self.files,
            "counted": list(self.counted),
            "filters": filter_texts(),
            "enclosed": self.enclosed,
            "root": os.geteuid() == 0,
            # A thread runs one program at a time, so that programs that run at the same time have different users.
            "user": FIRST_SPARE_USER | threading.get_native_id(),
        }
        given_up = WALL_FACTOR * timeout + GRACE_SECONDS
        with self.surroundings() as place:
            try:
                supervisor = subprocess.run(
                    place.command,
                    input=json.dumps(job).encode(),
                    capture_output=True,
                    check=False,
                    cwd=place.folder,
                    env={"PYTHONHASHSEED": "0", "HOME": place.home, "TMPDIR": place.home},
                    start_new_session=True,
                    pass_fds=place.descriptors,
                    timeout=given_up,
                )
            except subprocess.TimeoutExpired:
                return Outcome("timeout", "", "the sandbox itself did not answer", given_up, "unknown")
            except OSError as error:  # out of processes or memory: one sample is lost, not the run
                return Outcome("crashed", "", f"the sandbox could not be started: {error}", 0.0, "unknown")
        return _outcome(supervisor)


def filter_texts() -> dict[str, str] | None:
    """The system call filters for this machine in hexadecimal, by name; None where there are none."""
    known = filters()
    return None if known is None else {name: steps.hex() for name, steps in asdict(known).items()}


def _imports(tests: str) -> Iterator[tuple[str, list[str]]]:
    """(module, names imported from it) for the imports of the tests; such a name may itself be a module."""
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, [alias.name for alias in node.names]


def _outcome(supervisor: "subprocess.CompletedProcess[bytes]") -> Outcome:
    """The outcome that the supervisor printed, or `crashed` where it printed none."""
    try:
        verdict = json.loads(supervisor.stdout)
    except ValueError:
        last_words = supervisor.stderr[-300:].decode(errors="replace").strip().rpartition("\n")[2]
        detail = f"the sandbox ended with status {supervisor.returncode} and no verdict: {last_words}"
        return Outcome("crashed", "", detail, 0.0, "unknown")
    # A program's exception may have a lone surrogate in its name; records are UTF-8.
    texts = {key: verdict[key].encode("utf-8", "backslashreplace").decode() for key in ("exception", "detail")}
    return Outcome(**verdict | texts)
