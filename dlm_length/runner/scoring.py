"""Scoring answers in threads, and the metrics of a run with their standard errors and intervals."""

import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

from dlm_length.benchmarks import Benchmark, Problem, Score
from dlm_length.config import RunConfig
from dlm_length.engine import Generation
from dlm_length.records import SCHEMA_VERSION, IntervalRecord, RunMetrics, SampleSummary
from dlm_length.runner.prepare import Job
from dlm_length.stats import Estimate, Statistic, e_ratio, mean, score_intervals

SEED = 0
"""Seed of the bootstrap, so that a run scored twice has the same intervals."""
Sink = Callable[[Job, Generation, Score], None]
"""Takes a score in the thread that drains the `Scorers`."""


def summarise(
    config: RunConfig,
    recorded: Sequence[SampleSummary],
    sessions: Sequence[Mapping[str, Any]],
    sample_ids: Sequence[str] | None = None,
) -> RunMetrics:
    """The content of metrics.json from a run's samples; what is undefined is None.

    `recorded`: every sample of the folder. `sessions`: the entries of environment.json. `sample_ids`: the samples to
    summarise, all recorded; None: every one.
    """
    ids = sorted(record.id for record in recorded) if sample_ids is None else sample_ids
    summarised = frozenset(ids)
    records = [record for record in recorded if record.id in summarised]
    ran = [record for record in records if record.error is None]
    scores = {record.id: Score(record.score, details=record.details) for record in records}
    metrics = config.benchmark.aggregate(scores)
    estimates = uncertainty(config.benchmark, scores)
    e_token, n_token = [r.e_token for r in ran], [r.n_token for r in ran]
    totals = [record.ledger.total for record in records]
    probes = [record.ledger.probe for record in records]
    wall_clock = _wall_clock(recorded, summarised)
    return RunMetrics(
        schema_version=SCHEMA_VERSION,
        benchmark=config.benchmark.label,
        metric=config.benchmark.main_metric,
        model=config.model.short_name,
        policy=config.policy.name,
        policy_label=config.policy.label,
        policy_role=config.policy.role,
        lengths_charged=config.policy.lengths_charged,
        series_field=config.policy.series_field,
        policy_version=config.policy.version,
        benchmark_version=config.benchmark.version,
        termination=_termination(config, sessions),
        prompt=config.benchmark.prompt_description,
        samples=len(records),
        sample_ids=tuple(ids),
        scored=sum(record.score is not None for record in records),
        failed=len(records) - len(ran),
        uncached=sum(record.ran_uncached for record in records),
        with_masks_left=sum(record.masks_left > 0 for record in records),
        score=metrics.get(config.benchmark.main_metric),
        metrics=metrics,
        stderr=stderr(estimates),
        intervals=_intervals(estimates),
        prompt_length=_defined(mean([r.prompt_length for r in ran])),
        n_token=_defined(mean(n_token)),
        e_token=_defined(mean(e_token)),
        processed_length=_defined(mean([r.processed_length for r in ran])),
        e_ratio=_defined(e_ratio(e_token, n_token)),
        nfe=_defined(mean([r.ledger.total.nfe for r in ran])),
        probe_nfe=_defined(mean([r.ledger.probe.nfe for r in ran])),
        flops_reference=sum(cost.flops_reference for cost in totals),
        flops_executed=sum(cost.flops_executed for cost in totals),
        probe_flops_reference=sum(cost.flops_reference for cost in probes),
        forward_seconds=math.fsum(cost.seconds for cost in totals),
        wall_clock_seconds=wall_clock,
        runs_together=max((session.get("runs_together", 1) for session in sessions), default=1),
        devices=_devices(recorded, sessions),
        tokens_per_second=sum(e_token) / wall_clock if wall_clock else None,
    )


def uncertainty(benchmark: Benchmark, scores: Mapping[str, Score]) -> dict[str, Estimate]:
    """Every metric that `benchmark.aggregate` has of these scores, with its standard error and 95% interval, by name.

    Independent of the order of the scores. Where problems have several samples, problems are resampled.
    """
    statistics = {}
    for name, column in benchmark.columns(scores).items():
        units = [column[unit] for unit in sorted(column)]
        statistics[name] = Statistic.ratio([value for value, _ in units], [weight for _, weight in units], name)
    return score_intervals(statistics, rng=SEED)


def stderr(metrics: Mapping[str, Estimate]) -> dict[str, float]:
    """The standard errors by lm-eval's names, `exact_match_stderr`; those that are undefined are left out."""
    return {f"{name}_stderr": each.stderr for name, each in metrics.items() if not math.isnan(each.stderr)}


def _termination(config: RunConfig, sessions: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | None:
    """The tokens that end an answer, from the last session that recorded them; None where none did."""
    tokens = next((own for each in reversed(sessions) if (own := each.get("special_tokens"))), None)
    if tokens is None:
        return None
    counted = [tokens["eos"], tokens["eot"] if config.policy.ends_at_eot else None]
    return tuple(token["text"] or f"token {token['id']}" for token in counted if token is not None)


def _intervals(estimates: Mapping[str, Estimate]) -> dict[str, IntervalRecord]:
    """The intervals that are defined: a single graded sample has none."""
    return {
        name: IntervalRecord(
            low=each.low,
            high=each.high,
            method="wilson" if each.interval == "wilson" else "percentile",
            n=each.n,
            resamples=each.resamples,
        )
        for name, each in estimates.items()
        if not math.isnan(each.low)
    }


def _wall_clock(recorded: Sequence[SampleSummary], ids: Collection[str]) -> float:
    """Seconds of all sessions, each from its start to its last sample, as a killed one records no end.

    Of a session with other samples too, the share that the samples `ids` have in the time of its forwards.
    """
    seconds = []
    for session in sorted({record.session for record in recorded}):
        made = [record for record in recorded if record.session == session]
        ours = [record for record in made if record.id in ids]
        lasted = max(record.elapsed for record in made)
        if len(ours) == len(made):
            seconds.append(lasted)
        elif whole := math.fsum(record.ledger.total.seconds for record in made):
            seconds.append(lasted * math.fsum(record.ledger.total.seconds for record in ours) / whole)
    return math.fsum(seconds)


def _devices(recorded: Sequence[SampleSummary], sessions: Sequence[Mapping[str, Any]]) -> int:
    """The most that a session had which left a sample."""
    left = {record.session for record in recorded}
    return max((session.get("devices") or 1 for number, session in enumerate(sessions) if number in left), default=1)


def _defined(value: float) -> float | None:
    """None for NaN, which JSON does not have."""
    return None if math.isnan(value) else value


class Scorers:
    """Scores answers in a pool of threads while others are generated; `drain` passes scores on in the caller's thread.

    The pool has a thread per two cores, as forwards and programs under test share the machine.
    """

    def __init__(self, benchmark: Benchmark, sink: Sink) -> None:
        self._benchmark = benchmark
        self._sink = sink
        self._pool = ThreadPoolExecutor(max_workers=max(1, _cores() // 2), thread_name_prefix="score")
        self._scoring: dict[Future[Score], tuple[Job, Generation]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def backlog(self) -> int:
        """Answers whose scores were not passed on yet."""
        return len(self._scoring)

    def submit(self, job: Job, generation: Generation) -> None:
        """Queue an answer to be scored."""
        future = self._pool.submit(_score, self._benchmark, job.problem, generation)
        self._scoring[future] = job, generation

    def drain(self, *, to_the_end: bool = False) -> None:
        """Pass on the scores that are ready, or wait for all of them."""
        while self._scoring:
            scored, _ = wait(self._scoring, timeout=None if to_the_end else 0, return_when=FIRST_COMPLETED)
            if not scored:
                return
            for future in scored:
                self._sink(*self._scoring.pop(future), future.result())


def score_all(
    benchmark: Benchmark, answered: Sequence[tuple[Problem, str]], watch: Callable[[int, int], None]
) -> list[Score]:
    """The score of each (problem, answer), in their order. `watch`: called with the number of scores now and in all."""
    with ThreadPoolExecutor(max_workers=_cores(), thread_name_prefix="score") as pool:
        scores: list[Score] = []
        for score in pool.map(lambda pair: benchmark.score(*pair), answered):
            scores.append(score)
            watch(len(scores), len(answered))
        return scores


def _score(benchmark: Benchmark, problem: Problem, generation: Generation) -> Score:
    if generation.error is not None:
        return Score(None, details={"reason": "not generated"})
    return benchmark.score(problem, generation.text())


def _cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
