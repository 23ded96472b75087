"""Ray's calls as far as `runner.ray.devices` makes them, with actors that are objects of this process.

A call runs when it is waited for, so that a test decides what happens in which order, and which actor dies when.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

_NUMBERS = itertools.count()


class RayActorError(Exception):
    """An actor died."""


class RayTaskError(Exception):
    """A call raised `cause`."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"traceback of {cause}")
        self.cause = cause


@dataclass
class Actor:
    """An object, and whether it still lives."""

    ray: "FakeRay"
    target: Any
    dead: bool = False

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *given, **named: Call(self, name, given, named, next(_NUMBERS)))


@dataclass(eq=False)
class Call:
    """A reference to what a method will return."""

    actor: Actor
    method: str
    given: tuple[Any, ...]
    named: dict[str, Any]
    number: int


@dataclass
class FakeRay:
    """The module."""

    dies: Callable[[Call, int], bool] = lambda *_: False
    """Of an exchange that is about to run, with its number, whether its actor dies."""
    cpus: int = 4
    worker: Callable[..., Any] | None = None
    """What an actor is, in place of the class that is given."""
    made: list[Actor] = field(default_factory=list)
    initialised: bool = False
    options: list[dict[str, Any]] = field(default_factory=list)
    begun: list[dict[str, Any]] = field(default_factory=list)
    """What `init` was given, each time."""
    exchanges: int = 0
    exceptions: Any = field(
        default_factory=lambda: SimpleNamespace(
            RayActorError=RayActorError,
            RayTaskError=RayTaskError,
            WorkerCrashedError=RayActorError,
            NodeDiedError=RayActorError,
            OutOfMemoryError=RayActorError,
        )
    )

    def is_initialized(self) -> bool:
        return self.initialised

    def init(self, **given: Any) -> None:
        self.begun.append(given)
        self.initialised = True

    def shutdown(self) -> None:
        self.initialised = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": float(self.cpus)}

    def remote(self, **options: Any) -> Callable[[Callable[..., Any]], Any]:
        self.options.append(options)

        def make(cls: Callable[..., Any]) -> Any:
            return SimpleNamespace(remote=lambda *given: self._made((self.worker or cls)(*given)))

        return make

    def _made(self, target: Any) -> Actor:
        self.made.append(actor := Actor(self, target))
        return actor

    def kill(self, actor: Actor, no_restart: bool) -> None:
        actor.dead = True

    def wait(self, calls: Sequence[Call], num_returns: int, timeout: float) -> tuple[list[Call], list[Call]]:
        in_order = sorted(calls, key=lambda call: call.number)
        return in_order[:num_returns], in_order[num_returns:]

    def get(self, call: Call) -> Any:
        if call.method == "exchange":
            self.exchanges += 1
            call.actor.dead |= self.dies(call, self.exchanges)
        if call.actor.dead:
            raise RayActorError("The actor died.\nWorker exit detail: it was killed by the test. More.")
        try:
            return getattr(call.actor.target, call.method)(*call.given, **call.named)
        except Exception as error:
            raise RayTaskError(error) from error
