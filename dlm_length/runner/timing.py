"""Timing each policy alone: `--time-alone`.

Runs that are executed together share forwards and one clock, so that their wall-clock is no single policy's. It is
measured afterwards, on a few samples that are generated again, one run at a time.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from dlm_length.benchmarks import Problem
from dlm_length.config import Hardware, RunConfig
from dlm_length.engine import Engine, Generation
from dlm_length.engine.machine import describe_machine, use_threads
from dlm_length.models import checkpoint_digest, choose_device, choose_dtype
from dlm_length.records import (
    TimingRecord,
    read_summaries,
    read_timing,
    write_timing,
)
from dlm_length.runner.devices import Models, environment
from dlm_length.runner.model import fused
from dlm_length.runner.prepare import PreparedRun, prepare
from dlm_length.runner.progress import ProgressListener

TIMED_SAMPLES = 5
"""Default number of samples that are timed per run."""


def time_alone(configs: Sequence[RunConfig], listener: ProgressListener, *, samples: int = TIMED_SAMPLES) -> None:
    """Measure the wall-clock of finished runs and write timing.json into the folder of each.

    The samples are evenly spaced over the benchmark, the same for every policy, and generated in one batch; one of them
    is generated before the clock starts, as a warm-up. A run that was measured on these samples on this device is
    skipped.
    """
    with Models() as models:
        for prepared in prepare(configs):
            _time(prepared, listener, samples, models)


def spread(problems: Sequence[Problem], count: int) -> list[Problem]:
    """`count` problems, evenly spaced from the first to the last; all where there are no more."""
    if count >= len(problems):
        return list(problems)
    last = len(problems) - 1
    return [problems[round(place * last / max(1, count - 1))] for place in range(count)]


def _time(prepared: PreparedRun, listener: ProgressListener, samples: int, models: Models) -> None:
    config, folder = prepared.config, prepared.folder
    use_threads(config.hardware.threads)
    ran = {record.id for record in read_summaries(folder.path) if record.error is None}
    problems = [problem for problem in spread(prepared.problems, samples) if problem.id in ran]
    if not problems:
        listener.notice(f"{config.policy.label}: not measured alone, as none of the samples for it could be run")
        return
    if (known := read_timing(folder.path)) and _is_current(known, problems, config.hardware):
        return
    model, machine = models.load(config, listener)
    engine = prepared.engine(model)
    generations, seconds = _clocked(prepared, problems, engine, listener)
    checkpoint = checkpoint_digest(config.model.path, config.model.revision, config.model.adapter)
    session = environment(config.hardware, machine, engine, checkpoint=checkpoint)
    write_timing(
        folder.path,
        TimingRecord(
            sample_ids=[problem.id for problem in problems],
            seconds=seconds,
            nfe=sum(generation.ledger.total.nfe for generation in generations),
            n_token=sum(generation.n_token for generation in generations),
            e_token=sum(generation.e_token for generation in generations),
            environment={"measured": datetime.now(UTC).isoformat(timespec="seconds"), **session},
        ),
    )


def _is_current(timing: TimingRecord, problems: Sequence[Problem], hardware: Hardware) -> bool:
    """Whether a recorded measurement is of these problems, on this device, in the same precision."""
    device = choose_device(hardware.device)
    machine = describe_machine(device)
    here = {
        "device_name": machine.name,
        "threads": machine.threads,
        "dtype": choose_dtype(hardware.dtype, device),
        "fused": fused(hardware, device.type),
        "batch_invariant": hardware.batch_invariant,
        "compile": hardware.compile,
    }
    measured = {field: timing.environment.get(field) for field in here}
    return measured == here and timing.sample_ids == [problem.id for problem in problems]


def _clocked(
    prepared: PreparedRun, problems: Sequence[Problem], engine: Engine, listener: ProgressListener
) -> tuple[list[Generation], float]:
    """The samples' generations, and the seconds that they took together."""
    ready = prepared.policy_with_lengths(engine, listener)
    jobs = [prepared.inputs.job(problem) for problem in problems]
    prompts, ids = [job.prompt_ids for job in jobs], [job.problem.id for job in jobs]
    listener.phase(f"measuring {prepared.config.policy.label} alone")
    for _ in engine.generate(prompts[:1], [ready], sample_ids=ids[:1]):  # warm-up
        pass
    start = time.perf_counter()
    generations = list(engine.generate(prompts, [ready] * len(prompts), sample_ids=ids))
    return generations, time.perf_counter() - start
