"""The interface of a sandbox, which runs a program and returns its outcome."""

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from dlm_length.common import UserError

Status = Literal["passed", "failed", "syntax", "timeout", "memory", "crashed"]


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `passed`: the program and its tests ran to their last line. `failed`: an exception was not caught, `SystemExit`
    included. `syntax`: the program does not compile. `timeout`: it exceeded its time limit. `memory`: it exceeded its
    memory limit. `crashed`: its process ended in any other way (a signal, `os._exit`).
    """

    status: Status
    exception: str
    """Name of the exception's type; empty where there was none."""
    detail: str
    """The exception's message, or how the process ended; at most a few hundred characters."""
    seconds: float
    """Wall-clock time of the program, without the start of its process."""
    isolation: str
    """The means of isolation, such as `network: namespace`."""


class Sandbox(ABC):
    """Runs one program at a time, each in a fresh process; `run` may be called from several threads at once."""

    @abstractmethod
    def run(self, program: str, tests: str = "", *, entry_points: Collection[str] = (), timeout: float) -> Outcome:
        """Run Python source, then `tests`, for at most `timeout` seconds of CPU time in total.

        `tests` is trusted source. It sees the program's names, but has the built-in functions as they were before the
        program ran: a program that redefines `abs` or `builtins.all` does so only for itself. `entry_points` are the
        names that the tests call; they refer to the program's functions even where these have the name of a built-in.
        Does not raise, whatever the program does.
        """

    def check(self) -> str:
        """The isolation that this machine allows. Raises UserError where not even an empty program can be run."""
        outcome = self.run("pass", timeout=60.0)
        if outcome.status != "passed":
            raise UserError(
                f"Code cannot be executed on this machine: an empty program ended as {outcome.status!r} "
                f"({outcome.detail}). Run without benchmark.execute_code=true and score the records elsewhere."
            )
        return outcome.isolation
