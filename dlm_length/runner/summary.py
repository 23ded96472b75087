"""A run's records as metrics.json, and how sure each metric is."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from dlm_length.benchmarks import Benchmark, Score
from dlm_length.config import RunConfig
from dlm_length.records import SCHEMA_VERSION, IntervalRecord, RunMetrics, SampleSummary
from dlm_length.stats import Estimate, Statistic, e_ratio, mean, score_intervals

SEED = 0
"""Of the resamples, so that a run scored twice has the same intervals."""


def summarise(
    config: RunConfig,
    recorded: Sequence[SampleSummary],
    sessions: Sequence[Mapping[str, Any]],
    asked: Sequence[str] | None = None,
) -> RunMetrics:
    """Metrics of a run from its samples; what is undefined is None.

    `recorded`: all that the folder holds. `sessions`: what environment.json says. `asked`: ids of the samples that the
    metrics shall be of, all recorded; None: of all.
    """
    ids = sorted(record.id for record in recorded) if asked is None else asked
    wanted = frozenset(ids)
    records = [record for record in recorded if record.id in wanted]
    ran = [record for record in records if record.error is None]
    scores = {record.id: Score(record.score, details=record.details) for record in records}
    metrics = config.benchmark.aggregate(scores)
    estimates = uncertainty(config.benchmark, scores)
    e_token, n_token = [r.e_token for r in ran], [r.n_token for r in ran]
    totals = [record.ledger.total for record in records]
    probes = [record.ledger.probe for record in records]
    wall_clock = _wall_clock(recorded, wanted)
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

    The same in whatever order the scores come. Where problems have several samples, the problems are what is drawn.
    """
    statistics = {}
    for name, column in benchmark.columns(scores).items():
        units = [column[unit] for unit in sorted(column)]
        statistics[name] = Statistic.ratio([value for value, _ in units], [weight for _, weight in units], name)
    return score_intervals(statistics, rng=SEED)


def stderr(metrics: Mapping[str, Estimate]) -> dict[str, float]:
    """The standard errors by lm-eval's names, `exact_match_stderr`; those that are undefined are left out."""
    return {f"{name}_stderr": each.stderr for name, each in metrics.items() if each.stderr == each.stderr}


def _termination(config: RunConfig, sessions: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | None:
    """The tokens that end an answer, as the last session that recorded them has them; None where none did."""
    tokens = next((found for each in reversed(sessions) if (found := each.get("special_tokens"))), None)
    if tokens is None:
        return None
    counted = [tokens["eos"], tokens["eot"] if config.policy.ends_at_eot else None]
    return tuple(token["text"] or f"token {token['id']}" for token in counted if token is not None)


def _intervals(estimates: Mapping[str, Estimate]) -> dict[str, IntervalRecord]:
    """Those that there are: one graded sample has none."""
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


def _wall_clock(recorded: Sequence[SampleSummary], wanted: Collection[str]) -> float:
    """Each session lasts from its start to its last sample: a killed one has no later witness.

    Of a session that made other samples too, the share that the wanted ones had of its forwards' time.
    """
    seconds = []
    for session in sorted({record.session for record in recorded}):
        made = [record for record in recorded if record.session == session]
        ours = [record for record in made if record.id in wanted]
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
    return value if value == value else None
