"""What the sandboxes share: a process that starts the bootstrap, hands it a program and reads its verdict."""

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
"""No site-packages, nothing from the working folder, nothing written. Not -I, which would ignore PYTHONHASHSEED; the
environment is ours alone anyway."""
WALL_FACTOR = 3.0
"""A program has `timeout` seconds of CPU time, and this many times as long by the clock: on a busy machine a slow but
right answer must not turn into a timeout."""
GRACE_SECONDS = 10.0
"""The bootstrap keeps the time itself; this much later it is given up, too."""
FIRST_SPARE_USER = 1 << 30


@dataclass(frozen=True)
class Surroundings:
    """How a bootstrap is started: a command, in a folder that is the program's own."""

    command: list[str]
    folder: str
    """The working folder that the command is started in."""
    home: str
    """The program's own folder, as the program sees it."""
    descriptors: tuple[int, ...] = ()
    """What the command inherits."""


@dataclass(frozen=True)
class Supervised(Sandbox):
    """Programs under operating-system limits, each watched by a supervisor process (see `_bootstrap`)."""

    memory_bytes: int = 1 << 30
    """Address space of each process."""
    file_bytes: int = 16 << 20
    """Size of any one file it writes, and of what it prints."""
    open_files: int = 64
    processes: int = 16
    """Processes and threads; with `memory_bytes` this bounds the memory of all together."""
    files: int = 10_000
    """Files and folders at a time, where they are counted (`counted`); a program that has more is ended."""

    @property
    @abstractmethod
    def enclosed(self) -> bool:
        """Whether the command itself makes the namespaces, so that the bootstrap need not."""

    @property
    def counted(self) -> Collection[str]:
        """File systems of the program's own, in which the supervisor counts files; as the program sees them."""
        return ()

    @abstractmethod
    def surroundings(self) -> AbstractContextManager[Surroundings]:
        """Made for one program and removed afterwards."""

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
            # A thread runs one program at a time, so that its number tells programs that run side by side apart.
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
            except OSError as error:  # no more processes or memory just now: one sample is lost, not the run
                return Outcome("crashed", "", f"the sandbox could not be started: {error}", 0.0, "unknown")
        return _outcome(supervisor)


def filter_texts() -> dict[str, str] | None:
    """The filters of system calls for this machine, in a form that JSON can hold."""
    known = filters()
    return None if known is None else {name: steps.hex() for name, steps in asdict(known).items()}


def _imports(tests: str) -> Iterator[tuple[str, list[str]]]:
    """Modules, each with the names that are imported from it, some of which may be modules themselves."""
    for node in ast.walk(ast.parse(tests)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module, [alias.name for alias in node.names]


def _outcome(supervisor: "subprocess.CompletedProcess[bytes]") -> Outcome:
    try:
        told = json.loads(supervisor.stdout)
    except ValueError:
        last_words = supervisor.stderr[-300:].decode(errors="replace").strip().rpartition("\n")[2]
        detail = f"the sandbox ended with status {supervisor.returncode} and no verdict: {last_words}"
        return Outcome("crashed", "", detail, 0.0, "unknown")
    # A program can name its exception with a lone surrogate; records are UTF-8.
    words = {key: told[key].encode("utf-8", "backslashreplace").decode() for key in ("exception", "detail")}
    return Outcome(**told | words)
