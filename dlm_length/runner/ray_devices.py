"""Ray's devices: one worker each, which pulls samples as it has room for them; records stay with this process.

Ray is imported when a run begins that asks for it.
"""

import contextlib
import os
import re
import signal
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlm_length.common import ConfigError, SpecialTokens, UserError, first_few
from dlm_length.common.program import command_line
from dlm_length.config import Hardware, RunConfig
from dlm_length.denoising import Denoiser
from dlm_length.engine import Generation, Ledger, Step
from dlm_length.engine.estimate import first_canvas, upper_bound
from dlm_length.engine.generation import find_lengths
from dlm_length.models import Tokenizer, checkpoint_digest
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.records.schema import WORKERS_DIED
from dlm_length.runner.devices import Task
from dlm_length.runner.model import ProgressListener
from dlm_length.runner.prepare import PreparedRun
from dlm_length.runner.ray_worker import Arm, Loaded, Order, Report, Worker

_BEAT = 0.5
"""Seconds that a worker may leave unanswered, so that scores are recorded and interrupts are heard meanwhile."""
_CONNECT = 10.0
"""Seconds in which a cluster must answer."""
_LOOKAHEAD = 0.25
"""Of a forward's tokens, that wait at a worker for the moment that it has room."""
_MOST_BACKLOG = 256
"""Answers that wait to be scored, from which on no more prompts are handed out: the driver's memory stays flat."""
_TRIES = 2
"""Workers that may die of a sample, before that fails."""
_OBJECT_STORE = 256 * 2**20
"""Bytes, where Ray is started for the run: only prompts and answers go through it."""
_ALIKE = ("dlmlen", "torch", "transformers", "cuda", "triton", "flash-attn", "dtype", "fused", "batch_invariant")
"""What all workers must have in common for their answers to be those of one device."""


@dataclass(eq=False)
class _Hand:
    """The driver's side of one worker."""

    actor: Any
    call: Any = None
    """Ray's reference to what it does now; None: nothing."""
    begun: bool = False
    held: dict[int, set[int]] = field(default_factory=dict)
    """By task, the arms that it has not answered."""
    waiting: int = 0
    room: int = 0
    forward_tokens: int = 0
    useful: bool = False
    """Whether it has answered anything."""


class RayDevices:
    """`Devices` that are Ray's. Made for one model; `close` ends the workers."""

    def __init__(self, prepared: PreparedRun, listener: ProgressListener) -> None:
        """Start the workers and load the model on each; returns once all are ready.

        Raises UserError where Ray has not as many devices, or where loading fails.
        """
        self._ray = import_ray()
        self._listener = listener
        self._hardware = prepared.config.hardware
        self.notes: list[str] = []
        self._tokens = SpecialTokens(mask=0, eos=1)
        self._loaded: Loaded | None = None
        self._reason = ""
        self._own = not self._ray.is_initialized()
        listener.phase("starting Ray")
        try:
            self._connect()
            self._kind, self._count = self._resources()
            listener.phase(f"loading the model on {self._count} devices")
            self._hands = [self._spawn() for _ in range(self._count)]
            self._failed_starts = 0
            self._arms = [_arm(prepared.config, self._kind, prepared.policy)]
            self.reset(prepared)
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def reset(self, prepared: PreparedRun) -> None:
        """Be ready for a run of the same model, whose seed may be another."""
        self._hardware = prepared.config.hardware
        model = prepared.config.model
        self._checkpoint = checkpoint_digest(model.path, model.revision, model.adapter)
        self._tokenizer: Tokenizer = prepared.tokenizer

    def close(self) -> None:
        """End the workers, and Ray where it was started for them."""
        for hand in getattr(self, "_hands", ()):
            self._ray.kill(hand.actor, no_restart=True)
        self._hands = []
        if self._own:
            self._ray.shutdown()

    def environment(self, checkpoint: str) -> dict[str, Any]:
        """The session of the workers, with this process's own command. `checkpoint`: as they were given it."""
        assert self._loaded is not None, "no worker is ready"
        own = {"command": command_line(), "checkpoint": checkpoint, "executor": "ray", "devices": self._count}
        return {**self._loaded.environment, **own, "seed": self._hardware.seed}

    def policy_with_lengths(self, prepared: PreparedRun, listener: ProgressListener) -> Denoiser:
        """See `PreparedRun.policy_with_lengths`; the length pass is done by all workers together."""
        policy = prepared.policy
        if not isinstance(policy, PrecomputedLengths) or policy.lengths is not None:
            return policy

        def generate(length_pass: Denoiser) -> Iterator[Generation]:
            listener.phase("finding the lengths")
            arm = _arm(prepared.config, self._kind, policy, length_pass=True)
            tasks = [Task(job, (0,)) for job in prepared.jobs]
            costs = [float(len(task.job.prompt_ids)) for task in tasks]
            return self._generate([arm], [length_pass], tasks, costs, on_step=_unheard, backlog=lambda: 0)

        return find_lengths(policy, generate)

    def generate(
        self,
        runs: Sequence[PreparedRun],
        policies: Sequence[Denoiser],
        tasks: Sequence[Task],
        *,
        on_step: Callable[[Step], None],
        backlog: Callable[[], int],
    ) -> Iterator[Generation]:
        """See `Devices.generate`. The costliest tasks are handed out first.

        A task whose worker dies goes to another one, once; then it fails with the reason.
        """
        arms = [_arm(run.config, self._kind, policy) for run, policy in zip(runs, policies, strict=True)]
        costs = expected_costs(runs, policies, tasks)
        return self._generate(arms, policies, tasks, costs, on_step=on_step, backlog=backlog)

    def _generate(
        self,
        arms: Sequence[Arm],
        policies: Sequence[Denoiser],
        tasks: Sequence[Task],
        costs: Sequence[float],
        *,
        on_step: Callable[[Step], None],
        backlog: Callable[[], int],
    ) -> Iterator[Generation]:
        self._arms = list(arms)
        for hand in self._hands:
            hand.begun, hand.call = False, None
        places = {task.job.problem.id: place for place, task in enumerate(tasks)}
        lacking = [set(task.arms) for task in tasks]
        tries = [0] * len(tasks)
        queue = deque(sorted(range(len(tasks)), key=lambda place: -costs[place]))
        while queue or any(hand.held for hand in self._hands):
            self._hand_out(queue, tasks, lacking, policies, full=backlog() >= _MOST_BACKLOG)
            for hand, report in self._reports():
                if isinstance(report, str):
                    for place in list(hand.held):
                        tries[place] += 1
                        if tries[place] < _TRIES:
                            queue.appendleft(place)
                            continue
                        reason = f"{WORKERS_DIED} {_TRIES} times ({report})"
                        for arm in sorted(lacking[place]):
                            yield self._failed(place, arm, tasks[place], reason)
                    self._replace(hand, report)
                    continue
                for fields in report.finished:
                    place = places[fields["sample_id"]]
                    lacking[place].discard(fields["arm"])
                    hand.held[place].discard(fields["arm"])
                    if not hand.held[place]:
                        del hand.held[place]
                    yield Generation(**{**fields, "index": place}, tokenizer=self._tokenizer)
                on_step(report.step)
            on_step(Step(0, 0, 0.0))

    def _hand_out(
        self,
        queue: "deque[int]",
        tasks: Sequence[Task],
        lacking: Sequence[set[int]],
        policies: Sequence[Denoiser],
        *,
        full: bool,
    ) -> None:
        """Give every worker that waits for its orders what it has room for, in turns, and call it.

        No worker takes more than its share of what is left, so that all end at about the same time.
        """
        for hand in self._hands:
            if not hand.begun and hand.call is None:
                hand.call = hand.actor.begin.remote(self._arms, self._checkpoint, self._count)
        ready = [hand for hand in self._hands if hand.begun and hand.call is None]
        orders: dict[_Hand, list[Order]] = {hand: [] for hand in ready}
        share = -(-len(queue) // max(1, len(self._hands)))
        room = {hand: self._room(hand) for hand in ready}
        while queue and not full:
            hungry = [hand for hand in ready if room[hand] > 0 and len(orders[hand]) < share]
            if not hungry:
                break
            hand = max(hungry, key=lambda each: room[each])
            place = queue.popleft()
            task, left = tasks[place], lacking[place]
            orders[hand].append(Order(task.job.problem.id, task.job.prompt_ids, tuple(sorted(left))))
            hand.held[place] = set(left)
            canvases = [_first_canvas(policies[arm], task.job.problem.id) for arm in left]
            room[hand] -= len(task.job.prompt_ids) + max(canvases)
        for hand in ready:
            if orders[hand] or hand.held:
                more = bool(queue) and not full
                hand.call = hand.actor.exchange.remote(orders[hand], more=more, patience=_BEAT)

    def _room(self, hand: _Hand) -> float:
        """Tokens of orders that a worker should be given now."""
        if not hand.held:
            return (1 + _LOOKAHEAD) * max(1, hand.forward_tokens)
        if hand.waiting:
            return 0.0
        return hand.room + _LOOKAHEAD * hand.forward_tokens

    def _reports(self) -> "Iterator[tuple[_Hand, Report | str]]":
        """What the workers that answer within a moment say; of one that died, why."""
        calls = {hand.call: hand for hand in self._hands if hand.call is not None}
        if not calls:
            raise UserError(
                f"no worker is left: the last one died while it was started ({self._reason}). What is recorded stays;"
                " the same command continues it."
            )
        answered, _ = self._ray.wait(list(calls), num_returns=1, timeout=_BEAT)
        for call in answered:
            hand = calls[call]
            hand.call = None
            answer = self._answer(call)
            if isinstance(answer, Loaded):
                self._welcome(hand, answer)
            elif isinstance(answer, Report):
                hand.waiting, hand.room, hand.forward_tokens = answer.waiting, answer.room, answer.forward_tokens
                hand.useful |= bool(answer.finished)
                self.notes += answer.notes
                yield hand, answer
            else:
                yield hand, answer

    def _answer(self, call: Any) -> Loaded | Report | str:
        """What a call came to, or why its worker died. Raises what it raised."""
        died = self._ray.exceptions
        try:
            answer: Loaded | Report = self._ray.get(call)
        except (died.RayActorError, died.WorkerCrashedError, died.NodeDiedError, died.OutOfMemoryError) as error:
            return _why(error)
        except died.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None  # a sentence for the user, whose place in the worker is of no interest
            raise
        return answer

    def _welcome(self, hand: _Hand, loaded: Loaded) -> None:
        """Note that a worker is ready. Raises UserError where it is not like the others."""
        first = self._loaded or loaded
        for name in _ALIKE:
            if first.environment.get(name) != loaded.environment.get(name):
                raise UserError(
                    f"hardware.executor=ray: two workers differ in {name}: {first.environment.get(name)} and"
                    f" {loaded.environment.get(name)}, so that their answers would not be those of one device; give all"
                    " nodes of the cluster the same environment and the same kind of device."
                )
        if self._loaded is None:
            for sentence in loaded.notices:
                self._listener.notice(sentence)
        self._loaded, self._tokens = first, loaded.tokens
        hand.begun, hand.forward_tokens = True, loaded.forward_tokens

    def _replace(self, hand: _Hand, reason: str) -> None:
        """Put a new worker in the place of one that died; none where it never did anything, twice in a row."""
        self._reason = reason
        self._hands.remove(hand)
        self._failed_starts = 0 if hand.useful else self._failed_starts + 1
        if self._failed_starts >= _TRIES:
            self._listener.notice(f"a device is given up, as its workers die at their start: {reason}")
            self._failed_starts = 0
            return
        self._listener.notice(f"a worker died and is started again; its samples go to others: {reason}")
        self._hands.append(self._spawn())

    def _wait_until_ready(self) -> None:
        while not all(hand.begun for hand in self._hands) or not self._hands:
            self._hand_out(deque(), (), (), (), full=True)
            for hand, report in self._reports():
                assert isinstance(report, str), "nobody was given an order"
                self._replace(hand, report)

    def _failed(self, place: int, arm: int, task: Task, reason: str) -> Generation:
        return Generation(
            index=place,
            arm=arm,
            sample_id=task.job.problem.id,
            prompt_ids=list(task.job.prompt_ids),
            canvas_ids=[],
            trajectory=[],
            changes=[],
            forwards=[],
            ran_uncached=False,
            ledger=Ledger(),
            error=reason,
            tokens=self._tokens,
            tokenizer=self._tokenizer,
        )

    def _connect(self) -> None:
        """Join a cluster, or start Ray on this machine."""
        hardware = self._hardware
        if not self._own:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        handler = signal.getsignal(signal.SIGTERM)
        given: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if hardware.address is None:
            cores = max(os.cpu_count() or 1, (hardware.devices or 1) * (hardware.threads or 1))
            given |= {"num_cpus": cores, "object_store_memory": _OBJECT_STORE}
        else:
            given["address"] = hardware.address
        try:
            _check_answers(hardware.address)
            self._ray.init(**given)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"hardware.address: no Ray cluster answers at {hardware.address or 'this machine'}"
                f" ({_first_line(error)}); `ray start --head` begins one, and without hardware.address Ray is started"
                " for the run."
            ) from error
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, handler)  # Ray puts its own in place, which interrupts nothing

    def _resources(self) -> tuple[str, int]:
        """Cpu or cuda, and how many workers. Raises ConfigError where Ray has not as many."""
        hardware, there = self._hardware, self._ray.cluster_resources()
        gpus, cores = int(there.get("GPU", 0)), int(there.get("CPU", 0))
        kind = "cuda" if hardware.device == "cuda" or (hardware.device == "auto" and gpus) else "cpu"
        most = gpus if kind == "cuda" else cores // (hardware.threads or 1)
        count = hardware.devices or most
        if not 1 <= count <= most:
            what = "GPUs" if kind == "cuda" else f"CPU workers of {hardware.threads or 1} threads"
            raise ConfigError(f"hardware.devices: found {count or 'none'}, Ray has room for {most} {what}.")
        return kind, count

    def _spawn(self) -> _Hand:
        cores = (self._hardware.threads or 1) if self._kind == "cpu" else 1
        made = self._ray.remote(num_cpus=cores, num_gpus=1 if self._kind == "cuda" else 0, max_restarts=0)(Worker)
        return _Hand(made.remote(str(Path.cwd())))


def expected_costs(runs: Sequence[PreparedRun], policies: Sequence[Denoiser], tasks: Sequence[Task]) -> list[float]:
    """FLOPs that each task is expected to take: what it would if no token came early, on its own canvas if known."""
    known: dict[tuple[int, int], float] = {}
    architecture = runs[0].architecture
    courses = [upper_bound(run.config.policy.worst_case(), architecture.max_length) for run in runs]

    def cost(arm: int, task: Task) -> float:
        length = len(task.job.prompt_ids)
        if (arm, length) not in known:
            known[arm, length] = float(courses[arm].ledger(architecture, length).total.flops_executed)
        policy = policies[arm]
        if not isinstance(policy, PrecomputedLengths) or policy.lengths is None:
            return known[arm, length]
        return known[arm, length] * policy.lengths.get(task.job.problem.id, 0) / max(1, courses[arm].canvas_length)

    return [sum(cost(arm, task) for arm in task.arms) for task in tasks]


def _first_canvas(policy: Denoiser, sample_id: str) -> int:
    if isinstance(policy, PrecomputedLengths):
        return (policy.lengths or {}).get(sample_id, 1)
    return first_canvas(policy)


def _arm(config: RunConfig, kind: str, policy: Denoiser, *, length_pass: bool = False) -> Arm:
    """What a worker is sent of a run. Ray chooses its device; on a CPU it has one thread, or what the config says."""
    hardware: Hardware = config.hardware.model_copy(
        update={
            **{"executor": "local", "devices": None, "address": None, "device": kind},
            "threads": config.hardware.threads or (1 if kind == "cpu" else None),
        }
    )
    lengths: Mapping[str, int] | None = policy.lengths if isinstance(policy, PrecomputedLengths) else None
    return Arm(config.model_copy(update={"hardware": hardware}).to_yaml(), lengths, length_pass)


def _unheard(_: Step) -> None:
    """Of a length pass no forward is counted."""


def import_ray() -> Any:
    """The module. Raises UserError where it is not installed."""
    found: Any = None
    with contextlib.suppress(ImportError):
        import ray as found
    if not hasattr(found, "init"):  # a folder of that name imports too, as an empty namespace
        raise UserError("hardware.executor=ray: Ray is not installed; `pip install 'dlmlen[ray]'` does it.")
    return found


def _check_answers(address: str | None) -> None:
    """Raise OSError where nobody listens at `host:port`: Ray itself would try for minutes."""
    if (named := re.fullmatch(r"(?:ray://)?([^:/]+):(\d+)", address or "")) is not None:
        socket.create_connection((named[1], int(named[2])), timeout=_CONNECT).close()


def _why(error: BaseException) -> str:
    """Why a worker died, in a sentence without its period."""
    text = str(error)
    detail = re.search(r"Worker exit detail: (.+?)(?:\.\s|$)", text, re.DOTALL)
    return " ".join((detail[1] if detail else _first_line(error)).split()).removesuffix(".")


def _first_line(error: BaseException) -> str:
    return first_few([str(error).strip().partition("\n")[0] or type(error).__name__]).removesuffix(".")
