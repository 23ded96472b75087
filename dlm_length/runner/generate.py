"""The samples that runs lack: generated together, scored, and recorded a line each."""

import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from types import TracebackType
from typing import Self

from dlm_length.benchmarks import Score
from dlm_length.config import RunConfig
from dlm_length.denoising import Denoiser
from dlm_length.engine import Generation, Step
from dlm_length.engine.usage import DeviceUse
from dlm_length.models import checkpoint_digest, choose_device
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.records import (
    LedgerRecord,
    LengthChangeRecord,
    RunFolder,
    SampleRecord,
    Shard,
    check_alike,
    read_lost_ids,
    read_metrics,
)
from dlm_length.runner.checks import check_recorded
from dlm_length.runner.devices import Devices, Models, Task, expected_costs
from dlm_length.runner.live import LiveRun, LiveRuns
from dlm_length.runner.prepare import Job, PreparedRun
from dlm_length.runner.progress import Progress
from dlm_length.runner.scoring import Scorers


@dataclass
class Arm:
    """One of the runs of a group."""

    prepared: PreparedRun
    folder: RunFolder
    """Where its samples are recorded: the run's, or its shard's."""
    before: set[str]
    """Ids of the samples that were on disk when the call began, whether this call needs them or not."""
    session: int = 0
    generated: int = 0
    forwards: int = 0
    """NFE of the samples that this call generated."""
    live: LiveRun | None = None
    """What it publishes of itself while it is executed."""

    def __post_init__(self) -> None:
        self.policy: Denoiser = self.prepared.policy

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End what it publishes of itself, in whatever way its execution ended."""
        if self.live is not None:
            self.live.leave(error)

    @property
    def config(self) -> RunConfig:
        return self.prepared.config

    def lacks(self, ids: Collection[str]) -> bool:
        """Whether any of these samples was not on disk when the call began."""
        return not self.before.issuperset(ids)

    def is_settled(self, ids: Sequence[str]) -> bool:
        """Whether nothing is left to do: all these samples are recorded, and the run's metrics are of exactly these."""
        if self.lacks(ids) or not self.folder.finished:
            return False
        metrics = read_metrics(self.folder.path)
        measured = self.before if metrics.sample_ids is None else set(metrics.sample_ids)
        return measured == set(ids) and metrics.samples == len(ids)


def make_arm(run: PreparedRun, folder: RunFolder, *others: RunFolder) -> Arm:
    """A run whose samples are written to `folder`; `others`: further folders that may have samples of it already.

    Those in `folder` that failed with their workers are to be generated again, unless they are merged into the run
    already. Raises RecordError where they answer other problems, as the data behind a path changed.
    """
    own = set(check_recorded(run, folder))
    merged = {name for each in others for name in check_recorded(run, each)}
    return Arm(run, folder, merged | own.difference(read_lost_ids(folder.path)))


def checked_jobs(arms: Sequence[Arm], progress: Progress) -> list[Job]:
    """All problems with their prompts. Raises RecordError where recorded samples had other prompts."""
    progress.phase("preparing the prompts")
    jobs = arms[0].prepared.jobs
    for arm in arms:
        for folder in {folder.path: folder for folder in (arm.prepared.folder, arm.folder)}.values():
            check_recorded(arm.prepared, folder, jobs)
    return jobs


def generate_missing(
    arms: Sequence[Arm], jobs: Sequence[Job], progress: Progress, models: Models, shard: Shard | None = None
) -> int:
    """Generate, score and record the samples of `jobs` that arms lack; the number of forwards computed."""
    lacking = [arm for arm in arms if arm.lacks([job.problem.id for job in jobs])]
    if not lacking:
        return 0
    smallest = min(lacking, key=lambda arm: arm.prepared.budget.tokens)  # a forward may have samples of all arms
    devices = models.devices(smallest.prepared, progress)
    _begin(lacking, devices, progress, shard)
    return _generate(lacking, jobs, devices, progress)


def _begin(arms: Sequence[Arm], devices: Devices, progress: Progress, shard: Shard | None) -> None:
    """Open a session of every run, and find the lengths that a policy needs before its first sample."""
    config = arms[0].config
    session = devices.environment(checkpoint_digest(config.model.path, config.model.revision, config.model.adapter))
    session |= {"prompt": config.benchmark.prompt_description, "data_sha256": config.benchmark.data_digest}
    for arm in arms:
        run = arm.prepared.folder
        if shard is not None:
            run.check_session(session)
            check_alike(run.path, session, shard)
        arm.folder.begin(arm.config.to_yaml(), session | {"runs_together": len(arms)})
        arm.session = arm.folder.session
        if isinstance(arm.prepared.policy, PrecomputedLengths):
            with run.lock_lengths():  # one of the shards computes them; the others wait and read them
                prepared = arm.prepared if run.lengths is None else arm.prepared.with_kept_lengths()
                arm.policy = devices.policy_with_lengths(prepared, progress)
                if isinstance(arm.policy, PrecomputedLengths) and arm.policy.lengths is not None:
                    run.keep_lengths(arm.policy.lengths)


def _generate(arms: Sequence[Arm], jobs: Sequence[Job], devices: Devices, progress: Progress) -> int:
    """Generate, score and record; the number of forwards computed."""
    tasks = [
        Task(job, lacking)
        for job in jobs
        if (lacking := tuple(index for index, arm in enumerate(arms) if job.problem.id not in arm.before))
    ]
    progress.phase("generating")
    total = len(jobs) * len(arms)
    done = total - sum(len(task.arms) for task in tasks)
    progress.samples(done, total)
    start = time.perf_counter()
    forwards = 0
    warned = set[int]()  # arms whose policy left masks

    def keep(job: Job, generation: Generation, score: Score) -> None:
        nonlocal done
        arm = arms[generation.arm]
        record = _record(job, generation, score, arm.session, time.perf_counter() - start)
        arm.folder.append(record)
        live.kept(generation.arm, record)
        if record.masks_left and generation.arm not in warned:
            warned.add(generation.arm)
            note_for(generation.arm, _masks_left(arm.config, record))
        arm.generated += 1
        arm.forwards += generation.ledger.total.nfe
        done += 1
        progress.samples(done, total)

    def note_for(index: int, note: str) -> None:
        progress.notice(note)
        live.note(note, index)
        arms[index].folder.note(note)

    def forward_notes() -> None:
        while devices.notes:
            note = devices.notes.pop(0)
            progress.notice(note)
            for index, arm in enumerate(arms):
                live.note(note, index)
                arm.folder.note(note)

    def stepped(step: Step) -> None:
        nonlocal forwards
        forwards += step.samples
        forward_notes()
        scorers.drain()
        live.beat()

    with _live(arms, tasks, progress) as live, Scorers(arms[0].config.benchmark, keep) as scorers:
        for generation in devices.generate(
            [arm.prepared for arm in arms],
            [arm.policy for arm in arms],
            tasks,
            on_step=stepped,
            backlog=lambda: scorers.backlog,
        ):
            scorers.submit(tasks[generation.index].job, generation)
        scorers.drain(to_the_end=True)
    forward_notes()
    return forwards


def _live(arms: Sequence[Arm], tasks: Sequence[Task], progress: Progress) -> LiveRuns:
    """What the runs publish of themselves while these tasks are done."""
    for index, arm in enumerate(arms):
        own = [Task(task.job, (0,)) for task in tasks if index in task.arms]
        expected = expected_costs([arm.prepared], [arm.policy], own)
        costs = {task.job.problem.id: cost for task, cost in zip(own, expected, strict=True)}
        session = arm.folder.sessions[-1]
        arm.live = LiveRun(arm.config, arm.folder.path, arm.prepared.ids, costs, progress.notice, session)
    hardware = arms[0].config.hardware
    use = DeviceUse(choose_device(hardware.device)) if hardware.executor == "local" else _unknown_use
    return LiveRuns([arm.live for arm in arms if arm.live is not None], progress.running, use)


def _unknown_use() -> str:
    """The devices of Ray's workers are shown by Ray's dashboard."""
    return ""


def _masks_left(config: RunConfig, record: SampleRecord) -> str:
    """The note on masks that a policy left; for one from outside the package with what is expected.

    Of the package's own, only block_causal does so, with `masks_behind`, where they are requested.
    """
    file = getattr(config.policy, "file", None)
    policy = f"policy {config.policy.name!r}{f' of {file}' if file else ''}"
    outside = not type(config.policy).__module__.startswith("dlm_length.")
    advice = "; denoise should end when no position is masked" if outside else ""
    return (
        f"{policy} left {record.masks_left} [MASK] tokens on the canvas of sample {record.id}, the first such one: they"
        f" are left out of the answer that is scored, and count as effective tokens (e_token){advice}"
    )


def _record(job: Job, generation: Generation, score: Score, session: int, elapsed: float) -> SampleRecord:
    problem = job.problem
    return SampleRecord(
        doc_id=problem.index,
        id=problem.id,
        prompt=job.text,
        target=problem.target,
        resps=[[generation.text()]],
        filtered_resps=[score.answer],
        canvas_ids=generation.canvas_ids,
        prompt_length=len(job.prompt_ids),
        n_token=generation.n_token,
        e_token=generation.e_token,
        processed_length=len(job.prompt_ids) + generation.n_token,
        trajectory=[(length, len(list(run))) for length, run in groupby(generation.trajectory)],
        changes=[LengthChangeRecord.model_validate(asdict(change)) for change in generation.changes],
        ran_uncached=generation.ran_uncached,
        masks_left=generation.canvas_ids.count(generation.tokens.mask) if generation.error is None else 0,
        ledger=LedgerRecord.model_validate(asdict(generation.ledger)),
        score=score.value,
        extracted=dict(score.extracted),
        details=dict(score.details),
        error=generation.error,
        session=session,
        elapsed=elapsed,
    )
