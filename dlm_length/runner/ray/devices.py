"""The driver of Ray's workers, one per device: each is given samples as it has room; this process keeps the records.

Ray is imported when a run with `hardware.executor: ray` begins.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlm_length.common import SpecialTokens, UserError, brief, counted
from dlm_length.common.program import command_line
from dlm_length.config import Hardware, RunConfig
from dlm_length.denoising import Denoiser
from dlm_length.engine import Generation, Ledger, Step
from dlm_length.engine.estimate import first_canvas
from dlm_length.engine.generation import find_lengths
from dlm_length.models import Tokenizer, checkpoint_digest
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.records.schema import WORKERS_DIED
from dlm_length.runner.devices import Task, expected_costs
from dlm_length.runner.prepare import PreparedRun
from dlm_length.runner.progress import ProgressListener
from dlm_length.runner.ray.cluster import choose_devices, connect, import_ray
from dlm_length.runner.ray.worker import ArmConfig, Loaded, Order, Report, Worker

_BEAT = 0.5
"""Seconds that a call of a worker may take, so that scores are recorded and interrupts noticed meanwhile."""
_LOOKAHEAD = 0.25
"""Share of a forward's tokens that is queued at a worker in advance."""
_MOST_BACKLOG = 256
"""Unscored answers above which no more prompts are handed out, so that the driver's memory stays bounded."""
_TRIES = 2
"""Workers that may die with a sample before it counts as failed."""
_ALIKE = ("dlmlen", "torch", "transformers", "cuda", "triton", "flash-attn", "dtype", "fused", "batch_invariant")
"""Fields of a session in which all workers must agree, for their answers to be those of one device."""


class _TaskPool:
    """The tasks of one call: which wait for a worker, and what each still lacks. The costliest are taken first."""

    def __init__(self, tasks: Sequence[Task], policies: Sequence[Denoiser], costs: Sequence[float]) -> None:
        """`costs`: expected cost of each task."""
        self._tasks = tasks
        self._policies = policies
        self._indices = {task.job.problem.id: index for index, task in enumerate(tasks)}
        self._lacking = [set(task.arms) for task in tasks]
        self._deaths = [0] * len(tasks)
        """Workers that died with each task."""
        self._waiting = deque(sorted(range(len(tasks)), key=lambda index: -costs[index]))

    def __len__(self) -> int:
        """Tasks that wait for a worker."""
        return len(self._waiting)

    def take(self) -> tuple[int, Order, int]:
        """The next task: its index, its order, and the tokens of its prompt and its longest first canvas."""
        index = self._waiting.popleft()
        job, arms = self._tasks[index].job, tuple(sorted(self._lacking[index]))
        longest = max(_first_canvas(self._policies[arm], job.problem.id) for arm in arms)
        return index, Order(job.problem.id, job.prompt_ids, arms), len(job.prompt_ids) + longest

    def answered(self, sample_id: str, arm: int) -> tuple[int, bool]:
        """Count an answer: the index of its task, and whether the task is done."""
        index = self._indices[sample_id]
        self._lacking[index].discard(arm)
        return index, not self._lacking[index]

    def abandoned(self, indices: Iterable[int]) -> Iterator[tuple[int, Task, int]]:
        """Put the tasks of a worker that died back in front; those that are given up, by index, task and arm."""
        for index in indices:
            self._deaths[index] += 1
            if self._deaths[index] < _TRIES:
                self._waiting.appendleft(index)
                continue
            for arm in sorted(self._lacking[index]):
                yield index, self._tasks[index], arm


@dataclass(eq=False)
class _WorkerHandle:
    """The driver's side of one worker."""

    actor: Any
    call: Any = None
    """Ray's reference to its pending call; None: it is idle."""
    begun: bool = False
    held: set[int] = field(default_factory=set)
    """Indices of the tasks that it has not answered under every arm."""
    waiting: int = 0
    room: int = 0
    forward_tokens: int = 0
    useful: bool = False
    """Whether it has finished any sample."""

    @property
    def is_ready(self) -> bool:
        """Whether it can be given orders."""
        return self.begun and self.call is None

    def wanted_tokens(self) -> float:
        """Tokens of the orders that it should get now."""
        if not self.held:
            return (1 + _LOOKAHEAD) * max(1, self.forward_tokens)
        if self.waiting:
            return 0.0
        return self.room + _LOOKAHEAD * self.forward_tokens

    def accept(self, report: Report) -> None:
        """Note what it reports of itself."""
        self.waiting, self.room, self.forward_tokens = report.waiting, report.room, report.forward_tokens
        self.useful |= bool(report.finished)


class RayDevices:
    """The `Devices` of Ray, with one model; `close` ends the workers."""

    def __init__(self, prepared: PreparedRun, listener: ProgressListener) -> None:
        """Start the workers and load the model on each; returns once all are ready.

        Raises UserError where Ray has too few devices, or where loading fails.
        """
        self._ray = import_ray()
        self._listener = listener
        self._hardware = prepared.config.hardware
        self._notes: list[str] = []
        self._workers: list[_WorkerHandle] = []
        self._tokens = SpecialTokens(mask=0, eos=1)
        self._loaded: Loaded | None = None
        self._reason = ""
        self._own = not self._ray.is_initialized()
        listener.phase("starting Ray")
        try:
            if self._own:
                connect(self._ray, self._hardware)
            self._kind, self._count = choose_devices(self._ray, self._hardware)
            listener.phase(f"loading the model on {counted(self._count, 'device')}")
            self._workers = [self._spawn() for _ in range(self._count)]
            self._failed_starts = 0
            self._arms = [_arm_config(prepared.config, self._kind, prepared.policy)]
            self.reset(prepared)
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    def reset(self, prepared: PreparedRun) -> None:
        """Prepare for a run of the same model, whose seed may differ."""
        self._hardware = prepared.config.hardware
        model = prepared.config.model
        self._checkpoint = checkpoint_digest(model.path, model.revision, model.adapter)
        self._tokenizer: Tokenizer = prepared.tokenizer

    def close(self) -> None:
        """End the workers, and Ray if it was started for them."""
        for worker in self._workers:
            self._ray.kill(worker.actor, no_restart=True)
        self._workers = []
        if self._own:
            self._ray.shutdown()

    def take_notes(self) -> list[str]:
        """See `Devices.take_notes`."""
        notes, self._notes = self._notes, []
        return notes

    def environment(self, checkpoint: str) -> dict[str, Any]:
        """The session of the workers, with the command of this process. `checkpoint`: digest of the weights."""
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
            arm = _arm_config(prepared.config, self._kind, policy, length_pass=True)
            tasks = [Task(job, (0,)) for job in prepared.jobs]
            costs = [float(len(task.job.prompt_ids)) for task in tasks]
            pool = _TaskPool(tasks, [length_pass], costs)
            return self._generate([arm], pool, on_step=_ignore_step, backlog=lambda: 0)

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

        A task whose worker dies is given to another one, once; then it fails with the reason.
        """
        arms = [_arm_config(run.config, self._kind, policy) for run, policy in zip(runs, policies, strict=True)]
        pool = _TaskPool(tasks, policies, expected_costs(runs, policies, tasks))
        return self._generate(arms, pool, on_step=on_step, backlog=backlog)

    def _generate(
        self,
        arms: Sequence[ArmConfig],
        pool: _TaskPool,
        *,
        on_step: Callable[[Step], None],
        backlog: Callable[[], int],
    ) -> Iterator[Generation]:
        self._arms = list(arms)
        for worker in self._workers:
            worker.begun, worker.call = False, None
        while pool or any(worker.held for worker in self._workers):
            self._begin_workers()
            self._hand_out(pool, full=backlog() >= _MOST_BACKLOG)
            for worker, report in self._reports():
                if isinstance(report, str):
                    reason = f"{WORKERS_DIED} {_TRIES} times ({report})"
                    for index, task, arm in pool.abandoned(worker.held):
                        yield self._failed(index, arm, task, reason)
                    self._replace(worker, report)
                    continue
                for fields in report.finished:
                    index, is_done = pool.answered(fields["sample_id"], fields["arm"])
                    if is_done:
                        worker.held.discard(index)
                    yield Generation(**{**fields, "index": index}, tokenizer=self._tokenizer)
                on_step(report.step)
            on_step(Step(0, 0, 0.0))

    def _begin_workers(self) -> None:
        """Call those workers that have not begun with these arms."""
        for worker in self._workers:
            if not worker.begun and worker.call is None:
                worker.call = worker.actor.begin.remote(self._arms, self._checkpoint, self._count)

    def _hand_out(self, pool: _TaskPool, *, full: bool) -> None:
        """Give each idle worker the tasks that it has room for, in turns, and call it; no tasks where `full`.

        No worker takes more than its share of the remaining tasks, so that all end at about the same time.
        """
        ready = [worker for worker in self._workers if worker.is_ready]
        orders: dict[_WorkerHandle, list[Order]] = {worker: [] for worker in ready}
        share = -(-len(pool) // max(1, len(self._workers)))
        room = {worker: worker.wanted_tokens() for worker in ready}
        while pool and not full:
            with_room = [worker for worker in ready if room[worker] > 0 and len(orders[worker]) < share]
            if not with_room:
                break
            worker = max(with_room, key=lambda each: room[each])
            index, order, tokens = pool.take()
            worker.held.add(index)
            orders[worker].append(order)
            room[worker] -= tokens
        for worker in ready:
            if orders[worker] or worker.held:
                more = bool(pool) and not full
                worker.call = worker.actor.exchange.remote(orders[worker], more=more, patience=_BEAT)

    def _reports(self) -> "Iterator[tuple[_WorkerHandle, Report | str]]":
        """The reports of workers that answer within `_BEAT`; for one that died, the reason."""
        calls = {worker.call: worker for worker in self._workers if worker.call is not None}
        if not calls:
            raise UserError(
                f"no worker is left: the last one died while it was started ({self._reason}). What is recorded stays;"
                " the same command continues it."
            )
        answered, _ = self._ray.wait(list(calls), num_returns=1, timeout=_BEAT)
        for call in answered:
            worker = calls[call]
            worker.call = None
            answer = self._answer(call)
            if isinstance(answer, Loaded):
                self._welcome(worker, answer)
            elif isinstance(answer, Report):
                worker.accept(answer)
                self._notes += answer.notes
                yield worker, answer
            else:
                yield worker, answer

    def _answer(self, call: Any) -> Loaded | Report | str:
        """The result of a call, or why its worker died. Raises what the call raised."""
        errors = self._ray.exceptions
        try:
            answer: Loaded | Report = self._ray.get(call)
        except (
            errors.RayActorError,
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.OutOfMemoryError,
        ) as error:
            return _why(error)
        except errors.RayTaskError as error:
            if isinstance(error.cause, UserError):
                raise error.cause from None  # a message for the user, to whom the worker's traceback is of no use
            raise
        return answer

    def _welcome(self, worker: _WorkerHandle, loaded: Loaded) -> None:
        """Mark a worker as ready. Raises UserError where its session differs from the others'."""
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
        worker.begun, worker.forward_tokens = True, loaded.forward_tokens

    def _replace(self, worker: _WorkerHandle, reason: str) -> None:
        """Start a worker in place of one that died; none after `_TRIES` in a row that finished no sample."""
        self._reason = reason
        self._workers.remove(worker)
        self._failed_starts = 0 if worker.useful else self._failed_starts + 1
        if self._failed_starts >= _TRIES:
            self._listener.notice(f"a device is given up, as its workers die at their start: {reason}")
            self._failed_starts = 0
            return
        self._listener.notice(f"a worker died and is started again; its samples go to others: {reason}")
        self._workers.append(self._spawn())

    def _wait_until_ready(self) -> None:
        while not all(worker.begun for worker in self._workers) or not self._workers:
            self._begin_workers()
            for worker, report in self._reports():
                assert isinstance(report, str), "nobody was given an order"
                self._replace(worker, report)

    def _failed(self, index: int, arm: int, task: Task, reason: str) -> Generation:
        return Generation(
            index=index,
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

    def _spawn(self) -> _WorkerHandle:
        cores = (self._hardware.threads or 1) if self._kind == "cpu" else 1
        actor = self._ray.remote(num_cpus=cores, num_gpus=1 if self._kind == "cuda" else 0, max_restarts=0)(Worker)
        return _WorkerHandle(actor.remote(str(Path.cwd())))


def _first_canvas(policy: Denoiser, sample_id: str) -> int:
    if isinstance(policy, PrecomputedLengths):
        return (policy.lengths or {}).get(sample_id, 1)
    return first_canvas(policy)


def _arm_config(config: RunConfig, kind: str, policy: Denoiser, *, length_pass: bool = False) -> ArmConfig:
    """A run's policy as a worker receives it. Ray chooses the device; on a CPU one thread is the default."""
    hardware: Hardware = config.hardware.model_copy(
        update={
            **{"executor": "local", "devices": None, "address": None, "device": kind},
            "threads": config.hardware.threads or (1 if kind == "cpu" else None),
        }
    )
    lengths: Mapping[str, int] | None = policy.lengths if isinstance(policy, PrecomputedLengths) else None
    return ArmConfig(config.model_copy(update={"hardware": hardware}).to_yaml(), lengths, length_pass)


def _ignore_step(_: Step) -> None:
    """Forwards of a length pass are not counted as progress."""


def _why(error: BaseException) -> str:
    """Why a worker died, as a sentence without its period."""
    text = str(error)
    detail = re.search(r"Worker exit detail: (.+?)(?:\.\s|$)", text, re.DOTALL)
    return " ".join((detail[1] if detail else brief(error)).split()).removesuffix(".")
