"""A worker of Ray: a process with its own device, model and engine, which generates the samples that it is given.

Nothing here depends on Ray; `runner.ray.devices` makes actors of this class.
"""

import contextlib
import os
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dlm_length.common import SpecialTokens
from dlm_length.config import RunConfig, load_config
from dlm_length.denoising import Denoiser, TwoPass
from dlm_length.engine import Engine, Generation, Request, Step
from dlm_length.engine.budget import CACHE_SHARE
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.runner.devices import Models, environment
from dlm_length.runner.model import batch_budget
from dlm_length.runner.prepare import prepare


@dataclass(frozen=True)
class ArmConfig:
    """A policy as it is sent to a worker: as a config, since a class that a file defines cannot be pickled by name."""

    config: str
    """The text of a config.yaml."""
    lengths: Mapping[str, int] | None = None
    """Canvas lengths by sample id, where the policy needs them."""
    length_pass: bool = False
    """Whether the policy's length pass is meant in its place."""


@dataclass(frozen=True)
class Order:
    """One prompt, and the arms that a worker generates for it."""

    sample_id: str
    prompt: Sequence[int]
    """Token ids."""
    arms: tuple[int, ...]
    """Indices of the policies that answer it, among those of the worker."""


@dataclass(frozen=True)
class Loaded:
    """What a worker reports when it is ready."""

    environment: Mapping[str, Any]
    """A session's entry of environment.json."""
    tokens: SpecialTokens
    notices: Sequence[str]
    forward_tokens: int
    """Token budget of a forward."""


@dataclass(frozen=True)
class Report:
    """What a worker has done since its last report."""

    finished: Sequence[Mapping[str, Any]]
    """The fields of each `Generation`, without its tokenizer."""
    step: Step
    """The sum of all forwards since."""
    notes: Sequence[str]
    waiting: int
    """Number of orders that have not begun."""
    room: int
    """Tokens that the last forward had left, when no order was waiting."""
    forward_tokens: int
    """Token budget of a forward."""


@dataclass
class _Listener:
    """A `ProgressListener` whose notices are sent to the driver."""

    notices: list[str] = field(default_factory=list)

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)

    def phase(self, name: str) -> None:
        """Not reported: many workers load at once."""


class Worker:
    """An engine in a thread of its own, so that it never waits for further orders while it has some."""

    def __init__(self, directory: str) -> None:
        """`directory`: the working directory to change to, for relative paths; ignored where it does not exist."""
        with contextlib.suppress(OSError):
            os.chdir(directory)
        self._models = Models()
        self._engine: Engine | None = None
        self._policies: list[Denoiser] = []
        self._waiting: deque[Request] = deque()
        self._begun = 0
        self._changed = threading.Condition()
        # All below is read and written under the condition's lock.
        self._finished: list[Generation] = []
        self._step = Step(0, 0, 0.0)
        self._room = 0
        self._held = 0
        self._error: BaseException | None = None
        threading.Thread(target=self._serve, daemon=True, name="engine").start()

    def begin(self, arms: Sequence[ArmConfig], checkpoint: str, neighbours: int) -> Loaded:
        """Load the model of the arms' config and build their policies; no order may be pending.

        `checkpoint`: digest of the weights. `neighbours`: workers, this one included, that share a CPU's memory.
        """
        listener = _Listener()
        configs = [_read(arm.config) for arm in arms]
        (prepared,) = prepare(configs[:1])
        hardware = prepared.config.hardware
        model, machine = self._models.load(prepared.config, listener)
        shared = neighbours if machine.device == "cpu" else 1
        own = replace(machine, memory=machine.memory // shared)
        tokens = min(batch_budget(config, prepared.architecture, own).tokens for config in configs)
        cache_bytes = int(CACHE_SHARE * machine.free) // shared if shared > 1 else None
        self._engine = Engine(model, tokens, hardware.seed, cache_bytes=cache_bytes)
        self._policies = [_policy(config, arm) for config, arm in zip(configs, arms, strict=True)]
        session = environment(hardware, machine, self._engine, checkpoint=checkpoint)
        return Loaded(session, model.tokens, listener.notices, self._engine.forward_tokens)

    def exchange(self, orders: Sequence[Order], *, more: bool, patience: float) -> Report:
        """Accept orders, and return once there is something to report, at the latest after `patience` seconds.

        `more`: whether the driver has further orders, so that room for them is reported. Raises what the engine raised.
        """
        with self._changed:
            for order in orders:
                policies = [policy if arm in order.arms else None for arm, policy in enumerate(self._policies)]
                self._waiting.append(Request(self._begun, order.sample_id, order.prompt, policies))
                self._begun += 1
                self._held += len(order.arms)
                self._room = 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._has_news(more=more), timeout=patience)
            if self._error is not None:
                raise self._error
            assert self._engine is not None, "a worker exchanges only after it has begun"
            finished = [
                {name: value for name, value in vars(each).items() if name != "tokenizer"} for each in self._finished
            ]
            notes = [self._engine.notes.pop(0) for _ in range(len(self._engine.notes))]
            report = Report(finished, self._step, notes, len(self._waiting), self._room, self._engine.forward_tokens)
            self._finished, self._step, self._room = [], Step(0, 0, 0.0), 0
            return report

    def _has_news(self, *, more: bool) -> bool:
        return bool(self._finished or self._error or not self._held or (more and self._room))

    def _serve(self) -> None:
        """The engine's thread."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: bool(self._waiting))
                    engine = self._engine
                assert engine is not None, "orders come only after a worker has begun"
                for generation in engine.generate_from(self._waiting, on_step=self._stepped):
                    with self._changed:
                        self._finished.append(generation)
                        self._held -= 1
                        self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again by `exchange`
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _stepped(self, step: Step) -> None:
        with self._changed:
            since = self._step
            self._step = Step(since.samples + step.samples, since.tokens + step.tokens, since.seconds + step.seconds)
            if not self._waiting and self._engine is not None:
                self._room = max(0, self._engine.forward_tokens - step.tokens)
                self._changed.notify_all()


def _read(text: str) -> RunConfig:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(file)


def _policy(config: RunConfig, arm: ArmConfig) -> Denoiser:
    policy = config.policy
    if arm.lengths is not None and isinstance(policy, PrecomputedLengths):
        policy = policy.with_lengths(arm.lengths)
    if not arm.length_pass:
        return policy
    assert isinstance(policy, TwoPass), "only such a policy has a length pass"
    length_pass = policy.length_pass()
    assert length_pass is not None, "its lengths are known already"
    return length_pass
