"""Where a run generates its samples: on the device of this process, or on those of Ray workers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from dlm_length.common.plugins import is_own, plugin_distributions
from dlm_length.common.program import command_line, git_commit, package_version
from dlm_length.config import Hardware, RunConfig
from dlm_length.denoising import Denoiser
from dlm_length.engine import Engine, Generation, Step
from dlm_length.engine.attention import attention_name
from dlm_length.engine.estimate import upper_bound
from dlm_length.engine.machine import Machine, library_versions
from dlm_length.models import MaskPredictor
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.runner.model import load
from dlm_length.runner.prepare import Job, PreparedRun
from dlm_length.runner.progress import ProgressListener

if TYPE_CHECKING:
    from dlm_length.runner.ray.devices import RayDevices


@dataclass(frozen=True)
class Task:
    """The arms that still lack one prompt's sample; they stay together, as they share forwards."""

    job: Job
    arms: tuple[int, ...]
    """Indices of the runs that lack it."""


class Devices(Protocol):
    """Where answers are generated."""

    def take_notes(self) -> list[str]:
        """The remarks since the last call on how results were computed, for the record."""

    def environment(self, checkpoint: str) -> dict[str, Any]:
        """A session's entry of environment.json. `checkpoint`: digest of the weights."""

    def policy_with_lengths(self, prepared: PreparedRun, listener: ProgressListener) -> Denoiser:
        """See `PreparedRun.policy_with_lengths`."""

    def generate(
        self,
        runs: Sequence[PreparedRun],
        policies: Sequence[Denoiser],
        tasks: Sequence[Task],
        *,
        on_step: Callable[[Step], None],
        backlog: Callable[[], int],
    ) -> Iterator[Generation]:
        """Denoise each task by the policies of its arms; `Generation.index` is the index of the task.

        `runs`: those of the `policies`. `on_step` is called repeatedly, also while no sample finishes. `backlog`: the
        number of answers that wait to be scored.
        """


class OneDevice:
    """The device of this process."""

    def __init__(self, prepared: PreparedRun, model: MaskPredictor, machine: Machine) -> None:
        self._hardware = prepared.config.hardware
        self._machine = machine
        self._engine = prepared.engine(model)

    def take_notes(self) -> list[str]:
        notes = list(self._engine.notes)
        self._engine.notes.clear()
        return notes

    def environment(self, checkpoint: str) -> dict[str, Any]:
        return environment(self._hardware, self._machine, self._engine, checkpoint=checkpoint)

    def policy_with_lengths(self, prepared: PreparedRun, listener: ProgressListener) -> Denoiser:
        return prepared.policy_with_lengths(self._engine, listener)

    def generate(
        self,
        runs: Sequence[PreparedRun],  # noqa: ARG002 - Ray's workers need the configs
        policies: Sequence[Denoiser],
        tasks: Sequence[Task],
        *,
        on_step: Callable[[Step], None],
        backlog: Callable[[], int],  # noqa: ARG002 - the caller takes one answer at a time
    ) -> Iterator[Generation]:
        lacking = [[policy if arm in task.arms else None for arm, policy in enumerate(policies)] for task in tasks]
        prompts = [task.job.prompt_ids for task in tasks]
        return self._engine.generate_arms(prompts, lacking, [task.job.problem.id for task in tasks], on_step=on_step)


class Models:
    """The model that was loaded last, so that runs of one model load it once; released on `close`."""

    def __init__(self) -> None:
        self._last: tuple[object, tuple[MaskPredictor, Machine]] | None = None
        self._ray: tuple[object, RayDevices] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the model's memory, and end the workers that hold it elsewhere."""
        self._last = None
        if self._ray is not None:
            self._ray[1].close()
            self._ray = None

    def load(self, config: RunConfig, listener: ProgressListener) -> tuple[MaskPredictor, Machine]:
        """As `model.load`. One model at a time: the memory of the last one is free before the next is read."""
        identity = _identity(config)
        if self._last is None or self._last[0] != identity:
            self._last = None
            self._last = (identity, load(config, listener))
        return self._last[1]

    def devices(self, prepared: PreparedRun, listener: ProgressListener) -> Devices:
        """The devices that the run's config names, with the model loaded on them."""
        config = prepared.config
        if config.hardware.executor == "local":
            return OneDevice(prepared, *self.load(config, listener))
        from dlm_length.runner.ray.devices import RayDevices

        identity = _identity(config)
        if self._ray is None or self._ray[0] != identity:
            self.close()
            self._ray = (identity, RayDevices(prepared, listener))
        self._ray[1].reset(prepared)
        return self._ray[1]


def _identity(config: RunConfig) -> object:
    """The fields by which a loaded model can serve a config."""
    model = config.model
    return (
        *(model.path, model.revision, model.adapter, model.file_sha256, model.termination),
        config.hardware.model_copy(update={"seed": 0}),
    )


def environment(hardware: Hardware, machine: Machine, engine: Engine, *, checkpoint: str) -> dict[str, Any]:
    """A session's entry of environment.json, with everything that can change how an answer is rounded."""
    model = engine.model
    return {
        "dlmlen": package_version(),
        "git_commit": git_commit(),
        "command": command_line(),
        **library_versions(),
        **({"plugins": plugins} if (plugins := plugin_distributions()) else {}),
        "checkpoint": checkpoint,
        "special_tokens": _special_tokens(model),
        "device": machine.device,
        "device_name": machine.name,
        "threads": machine.threads,
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": attention_name(model, engine.attention),
        "compile": hardware.compile,
        "fused": model.fused is not None,
        "batch_invariant": model.batch_invariant,
        "seed": hardware.seed,
        "max_batch_tokens": engine.max_batch_tokens,
        "profile": hardware.profile,
    }


def _special_tokens(model: MaskPredictor) -> dict[str, Any]:
    """Id and text of each; `eos` is the termination token, which a config may choose."""
    ids = {"mask": model.tokens.mask, "eos": model.tokens.eos, "eot": model.tokens.eot}
    return {
        name: None if token is None else {"id": token, "text": model.tokenizer.token_text(token)}
        for name, token in ids.items()
    }


def expected_costs(runs: Sequence[PreparedRun], policies: Sequence[Denoiser], tasks: Sequence[Task]) -> list[float]:
    """The cost that each task is expected to have, in FLOPs: without any early commit, on its own length where known.

    The estimate runs a policy on a model that is never confident, where one from outside the package may not end. With
    such a policy among the runs, tasks are expected to cost in proportion to their prompt tokens.
    """
    if not all(is_own(type(run.config.policy)) for run in runs):
        return [float(len(task.job.prompt_ids) * len(task.arms)) for task in tasks]
    known: dict[tuple[int, int], float] = {}
    architecture = runs[0].architecture
    schedules = [upper_bound(run.config.policy.worst_case(), architecture.max_length) for run in runs]

    def cost(arm: int, task: Task) -> float:
        length = len(task.job.prompt_ids)
        if (arm, length) not in known:
            known[arm, length] = float(schedules[arm].ledger(architecture, length).total.flops_executed)
        policy = policies[arm]
        if not isinstance(policy, PrecomputedLengths) or policy.lengths is None:
            return known[arm, length]
        return known[arm, length] * policy.lengths.get(task.job.problem.id, 0) / max(1, schedules[arm].canvas_length)

    return [sum(cost(arm, task) for arm in task.arms) for task in tasks]
