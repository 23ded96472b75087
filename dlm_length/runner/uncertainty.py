"""How sure a run's metrics are: standard errors and intervals, as metrics.json and `dlmlen score` have them."""

from collections.abc import Mapping

from dlm_length.benchmarks import Benchmark, Score
from dlm_length.stats import Estimate, Statistic, score_intervals

SEED = 0
"""Of the resamples, so that a run scored twice has the same intervals."""


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
