"""Repeats: runs that differ only in their seed, as one row of every table.

Their samples are pooled, and every test takes the mean of a problem's samples over all seeds as one observation:
answers to one problem are not independent, and counting each would overstate n and the stars. The standard deviation
that tables show is that of the mean score over the seeds.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from dlm_length.analysis.runs import Run, mean_score, read_run
from dlm_length.records import RunMetrics, are_distinct, but_for_the_seed, key_of_repeats
from dlm_length.stats import standard_deviation

_MEANS = ("prompt_length", "n_token", "e_token", "processed_length", "nfe", "probe_nfe")
"""Fields of metrics.json that are means over the samples that ran."""
_SUMS = (
    *("samples", "scored", "failed", "flops_reference", "flops_executed", "probe_flops_reference"),
    *("forward_seconds", "wall_clock_seconds"),
)


def read_row(paths: Path | Sequence[Path], metrics: Mapping[Path, RunMetrics] | None = None) -> Run:
    """Read a run, or the repeats of one, as one row. `metrics`: as in `read_run`, by folder.

    Raises RecordError for a run that is not finished.
    """
    known = metrics or {}
    runs = [read_run(path, known.get(path)) for path in ([paths] if isinstance(paths, Path) else paths)]
    # Compares configs, as a run can be older than the record of versions.
    assert len({but_for_the_seed(run.config) for run in runs}) == 1, "repeats differ only in their seed"
    return _as_row(runs)


def as_rows(runs: Iterable[Run]) -> list[Run]:
    """The runs, with those that differ only in their seed as one row, in the order of the first run of each row.

    Runs that have a seed in common are not repeats, whatever else differs: each is a row of its own.
    """
    alike: dict[tuple[str, frozenset[str]], list[Run]] = {}
    for run in runs:
        key = key_of_repeats(run.path, run.config, run.metrics)
        alike.setdefault((key, frozenset(run.samples)), []).append(run)
    return [row for group in alike.values() for row in ([_as_row(group)] if _are_distinct(group) else group)]


def _are_distinct(runs: Sequence[Run]) -> bool:
    return are_distinct([seed for run in runs for seed in run.seeds])


def _as_row(runs: Sequence[Run]) -> Run:
    if len(runs) == 1:
        return runs[0]
    assert _are_distinct(runs), "repeats have a seed each"
    ordered = tuple(sorted(runs, key=lambda run: run.seeds))
    first = ordered[0]
    samples = {
        f"{name}@{seed}": sample for run in ordered for seed in run.seeds for name, sample in run.samples.items()
    }
    return Run(first.path, _metrics([run.metrics for run in ordered]), samples, first.config, ordered)


def _metrics(each: Sequence[RunMetrics]) -> RunMetrics:
    """The metrics of a row: sums, means over all samples, and for the benchmark's further metrics means over runs."""
    ran = [metrics.samples - metrics.failed for metrics in each]
    canvas = _mean([metrics.n_token for metrics in each], ran)
    tokens = _mean([metrics.e_token for metrics in each], ran)
    sums = {name: sum(getattr(metrics, name) for metrics in each) for name in _SUMS}
    seconds = sums["wall_clock_seconds"]
    common = [name for name in each[0].metrics if all(name in metrics.metrics for metrics in each)]
    changes = {
        "score": _mean([metrics.score for metrics in each], [metrics.scored for metrics in each]),
        "metrics": {name: math.fsum(metrics.metrics[name] for metrics in each) / len(each) for name in common},
        "e_ratio": tokens / canvas if tokens is not None and canvas else None,
        "stderr": {},  # those recorded are of one run's samples each
        "intervals": {},
        "runs_together": max(metrics.runs_together for metrics in each),
        "devices": max(metrics.devices for metrics in each),
        "tokens_per_second": tokens * sum(ran) / seconds if tokens is not None and seconds else None,
    }
    means = {name: _mean([getattr(metrics, name) for metrics in each], ran) for name in _MEANS}
    return each[0].model_copy(update=sums | means | changes)


def _mean(values: Sequence[float | None], counts: Sequence[int]) -> float | None:
    """The mean over all samples, from means over `counts` samples each; None where there is no sample."""
    known = [(value * count, count) for value, count in zip(values, counts, strict=True) if value is not None]
    total = sum(count for _, count in known)
    return math.fsum(value for value, _ in known) / total if total else None


def score_spread(run: Run) -> float:
    """Standard deviation of the mean score over the seeds; NaN for one seed, and where a run has no score."""
    return standard_deviation([mean_score(repeat) for repeat in run.repeats])


def seeds_label(run: Run) -> str:
    """`seed 0`, or `seeds 0, 1, 2`."""
    return f"seed{'s' * (len(run.seeds) > 1)} {', '.join(map(str, run.seeds))}"


def draws(run: Run) -> bool:
    """Whether the run used random numbers, by its config; see `Policy.draws`."""
    policy = run.config["policy"]
    return bool(policy.get("temperature")) or policy.get("remasking") == "random"
