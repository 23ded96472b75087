"""The samples that runs lack: generated together, scored, and recorded a line each."""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from types import TracebackType
from typing import Any, Self

from dlm_length.benchmarks import Score
from dlm_length.common.plugins import is_own
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


class Arm:
    """One of the runs of a group: what is on disk of it, and what this call adds.

    As a context it ends what it publishes of itself, in whatever way its execution ended.
    """

    def __init__(self, prepared: PreparedRun, folder: RunFolder, before: Collection[str]) -> None:
        """`folder`: where its samples are recorded, the run's or its shard's.

        `before`: ids of the samples that were on disk when the call began, whether this call needs them or not.
        """
        self.prepared = prepared
        self.folder = folder
        self.policy: Denoiser = prepared.policy
        """With its lengths, once `begin` was called."""
        self.generated = 0
        """Samples that this call generated."""
        self.forwards = 0
        """NFE of these."""
        self._before = frozenset(before)
        self._session: tuple[int, Mapping[str, Any]] | None = None
        """Number of the session that this call opened, and its entry of environment.json."""
        self._live: LiveRun | None = None
        """What it publishes of itself while it is executed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.leave(error)

    @property
    def config(self) -> RunConfig:
        return self.prepared.config

    def lacks(self, ids: Collection[str]) -> bool:
        """Whether any of these samples was not on disk when the call began."""
        return not self._before.issuperset(ids)

    def is_settled(self, ids: Sequence[str]) -> bool:
        """Whether nothing is left to do: all these samples are recorded, and the run's metrics are of exactly these."""
        if self.lacks(ids) or not self.folder.finished:
            return False
        metrics = read_metrics(self.folder.path)
        measured = self._before if metrics.sample_ids is None else set(metrics.sample_ids)
        return measured == set(ids) and metrics.samples == len(ids)

    def begin(self, session: Mapping[str, Any], shard: Shard | None) -> None:
        """Open a session. Raises RecordError where earlier ones of the run, or of its shards, do not go with it."""
        if shard is not None:
            run = self.prepared.folder
            run.check_session(session)
            check_alike(run.path, session, shard)
        self._session = self.folder.begin(self.config.to_yaml(), session), session

    def find_lengths(self, devices: Devices, progress: Progress) -> None:
        """Give the policy the lengths that it needs before its first sample, computed once for a run and recorded."""
        if not isinstance(self.prepared.policy, PrecomputedLengths):
            return
        run = self.prepared.folder
        with run.lock_lengths():  # one of the shards computes them; the others wait and read them
            prepared = self.prepared if run.lengths is None else self.prepared.with_kept_lengths()
            self.policy = devices.policy_with_lengths(prepared, progress)
            if isinstance(self.policy, PrecomputedLengths) and self.policy.lengths is not None:
                run.write_lengths(self.policy.lengths)

    def publish(self, jobs: Sequence[Job], progress: Progress) -> LiveRun:
        """Begin to publish the progress of these jobs, which the run lacks."""
        assert self._session is not None, "a run publishes after it has begun"
        expected = expected_costs([self.prepared], [self.policy], [Task(job, (0,)) for job in jobs])
        costs = {job.problem.id: cost for job, cost in zip(jobs, expected, strict=True)}
        _, session = self._session
        self._live = LiveRun(self.config, self.folder.path, self.prepared.ids, costs, progress.notice, session)
        return self._live

    def keep(self, job: Job, generation: Generation, score: Score, elapsed: float) -> SampleRecord:
        """Record a sample. `elapsed`: seconds since the session began to generate."""
        assert self._session is not None, "a run records samples after it has begun"
        number, _ = self._session
        record = _record(job, generation, score, number, elapsed)
        self.folder.append(record)
        if self._live is not None:
            self._live.kept(record)
        self.generated += 1
        self.forwards += generation.ledger.total.nfe
        return record

    def note(self, sentence: str) -> None:
        """Record a remark that a reader of the results should know."""
        if self._live is not None:
            self._live.note(sentence)
        self.folder.note(sentence)

    def finish(self) -> None:
        """Close the log and the tracker of a session that this call opened, with the run's metrics if it has any."""
        if self._live is not None:
            self._live.finish()


def make_arm(run: PreparedRun, folder: RunFolder, *others: RunFolder) -> Arm:
    """A run whose samples are written to `folder`; `others`: further folders that may have samples of it already.

    Those in `folder` that failed with their workers are to be generated again, unless they are merged into the run
    already. Raises RecordError where they answer other problems, as the data behind a path changed.
    """
    own = set(check_recorded(run, folder))
    merged = {name for each in others for name in check_recorded(run, each)}
    return Arm(run, folder, merged | own.difference(read_lost_ids(folder.path)))


def generate_missing(
    arms: Sequence[Arm], ids: Collection[str], progress: Progress, models: Models, shard: Shard | None = None
) -> int:
    """Generate, score and record those of the samples `ids` that arms lack; the number of forwards computed.

    Raises RecordError where recorded samples had other prompts.
    """
    if not arms:
        return 0
    wanted = frozenset(ids)
    jobs = [job for job in _checked_jobs(arms, progress) if job.problem.id in wanted]
    lacking = [arm for arm in arms if arm.lacks([job.problem.id for job in jobs])]
    if not lacking:
        return 0
    smallest = min(lacking, key=lambda arm: arm.prepared.budget.tokens)  # a forward may have samples of all arms
    devices = models.devices(smallest.prepared, progress)
    session = _session(lacking, devices)
    for arm in lacking:
        arm.begin(session, shard)
        arm.find_lengths(devices, progress)
    return _Recording(lacking, jobs, devices, progress).run()


def _checked_jobs(arms: Sequence[Arm], progress: Progress) -> list[Job]:
    """All problems with their prompts. Raises RecordError where recorded samples had other prompts."""
    progress.phase("preparing the prompts")
    jobs = arms[0].prepared.jobs
    for arm in arms:
        for folder in {folder.path: folder for folder in (arm.prepared.folder, arm.folder)}.values():
            check_recorded(arm.prepared, folder, jobs)
    return jobs


def _session(arms: Sequence[Arm], devices: Devices) -> dict[str, Any]:
    """The entry of environment.json that runs made together have in common."""
    config = arms[0].config
    weights = checkpoint_digest(config.model.path, config.model.revision, config.model.adapter)
    data = {"prompt": config.benchmark.prompt_description, "data_sha256": config.benchmark.data_digest}
    return devices.environment(weights) | data | {"runs_together": len(arms)}


class _Recording:
    """Generates the samples that arms lack, and records each once it is scored."""

    def __init__(self, arms: Sequence[Arm], jobs: Sequence[Job], devices: Devices, progress: Progress) -> None:
        self._arms = arms
        self._devices = devices
        self._progress = progress
        self._tasks = [
            Task(job, lacking)
            for job in jobs
            if (lacking := tuple(index for index, arm in enumerate(arms) if arm.lacks([job.problem.id])))
        ]
        self._total = len(jobs) * len(arms)
        self._done = self._total - sum(len(task.arms) for task in self._tasks)
        self._forwards = 0
        self._start = 0.0
        self._left_masks: set[int] = set()
        """Arms whose policy has left masks on a canvas."""

    def run(self) -> int:
        """Generate, score and record; the number of forwards computed."""
        self._progress.phase("generating")
        self._progress.samples(self._done, self._total)
        self._start = time.perf_counter()
        with self._publishing() as live, Scorers(self._arms[0].config.benchmark, self._keep) as scorers:

            def stepped(step: Step) -> None:
                self._forwards += step.samples
                self._forward_notes()
                scorers.drain()
                live.beat()

            for generation in self._devices.generate(
                [arm.prepared for arm in self._arms],
                [arm.policy for arm in self._arms],
                self._tasks,
                on_step=stepped,
                backlog=lambda: scorers.backlog,
            ):
                scorers.submit(self._tasks[generation.index].job, generation)
            scorers.drain(to_the_end=True)
        self._forward_notes()
        return self._forwards

    def _publishing(self) -> LiveRuns:
        """What the runs publish of themselves while they are executed."""
        live = [
            arm.publish([task.job for task in self._tasks if index in task.arms], self._progress)
            for index, arm in enumerate(self._arms)
        ]
        hardware = self._arms[0].config.hardware
        use = DeviceUse(choose_device(hardware.device)) if hardware.executor == "local" else _unknown_use
        return LiveRuns(live, self._progress.running, use)

    def _keep(self, job: Job, generation: Generation, score: Score) -> None:
        arm = self._arms[generation.arm]
        record = arm.keep(job, generation, score, time.perf_counter() - self._start)
        if record.masks_left and generation.arm not in self._left_masks:
            self._left_masks.add(generation.arm)
            self._note(_masks_left(arm.config, record), [arm])
        self._done += 1
        self._progress.samples(self._done, self._total)

    def _forward_notes(self) -> None:
        for note in self._devices.take_notes():
            self._note(note, self._arms)

    def _note(self, sentence: str, arms: Sequence[Arm]) -> None:
        self._progress.notice(sentence)
        for arm in arms:
            arm.note(sentence)


def _unknown_use() -> str:
    """The devices of Ray's workers are shown by Ray's dashboard."""
    return ""


def _masks_left(config: RunConfig, record: SampleRecord) -> str:
    """The note on masks that a policy left; for one from outside the package with what is expected.

    Of the package's own, only block_causal does so, with `masks_behind`, where they are requested.
    """
    file = getattr(config.policy, "file", None)
    policy = f"policy {config.policy.name!r}{f' of {file}' if file else ''}"
    advice = "" if is_own(type(config.policy)) else "; denoise should end when no position is masked"
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
