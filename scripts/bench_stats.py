"""Time the statistics of a table: bootstrap, permutation and alignment at GSM8K's size, on one core.

    OMP_NUM_THREADS=1 python scripts/bench_stats.py                  # 6 runs, a table as in SmartCrop's paper
    OMP_NUM_THREADS=1 python scripts/bench_stats.py --runs 40        # a report

Every run is compared with one baseline: FLOPs saved and performance delta, each with interval and p, and eleven cost
columns with their intervals. Prints the median and the slowest of the repetitions, and the peak memory of NumPy and
Python in addition to the data.
"""

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np

from dlm_length.stats import RESAMPLES, Statistic, bootstrap, cost_statistics, pair, run_test


def table(runs: int, samples: int) -> dict[tuple[int, str], Statistic]:
    """The statistics of a report on `runs` runs, from synthetic records: 0/1 scores, FLOPs, lengths."""
    rng = np.random.default_rng(0)
    baseline_scores = (rng.random(samples) < 0.56).astype(np.float64)
    baseline_flops = rng.lognormal(34, 0.2, samples)
    statistics_of_report: dict[tuple[int, str], Statistic] = {}
    for run in range(runs):
        scores = np.where(rng.random(samples) < 0.7, baseline_scores, rng.random(samples) < 0.56)
        flops = baseline_flops * rng.uniform(0.2, 0.8, samples)
        lengths = rng.integers(32, 256, (6, samples))
        statistics_of_report[run, "performance_delta"] = Statistic.performance_delta(scores, baseline_scores)
        statistics_of_report[run, "flops_saved"] = Statistic.flops_saved(flops, baseline_flops)
        costs = cost_statistics(
            prompt_length=lengths[0],
            n_token=lengths[1],
            e_token=lengths[2],
            nfe=lengths[3],
            length_sum=lengths[4],
            length_squared_sum=lengths[5],
            flops=flops,
            seconds=rng.random(samples),
        )
        statistics_of_report |= {(run, name): cost for name, cost in costs.items()}
    return statistics_of_report


def measure(name: str, work: Callable[[], object], repetitions: int) -> None:
    """Print wall-clock seconds of `work`, and its peak memory, measured in a separate call as tracing is slow."""
    seconds = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    median, slowest = statistics.median(seconds), max(seconds)
    print(f"{name:<58} {median:7.3f} s (slowest {slowest:.3f}), {peak / 2**20:6.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--samples", type=int, default=1319)
    parser.add_argument("--resamples", type=int, default=RESAMPLES)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    runs, samples, resamples = options.runs, options.samples, options.resamples
    statistics_of_report = table(runs, samples)
    effects = {key: statistic for key, statistic in statistics_of_report.items() if statistic.is_effect}
    print(f"{runs} runs x {samples:,} samples, {resamples:,} resamples, {options.repetitions} repetitions")
    for label, chosen in (
        (f"{len(effects)} effects", effects),
        (f"{len(statistics_of_report)} statistics", statistics_of_report),
    ):
        for kind in ("percentile", "bca"):
            measure(
                f"bootstrap, {label}, {kind}",
                lambda chosen=chosen, kind=kind: bootstrap(chosen, rng=0, resamples=resamples, interval=kind),
                options.repetitions,
            )
    rng = np.random.default_rng(1)
    graded = [rng.random((2, samples)) for _ in range(runs)]
    for name in ("wilcoxon", "permutation"):
        measure(
            f"{name}, {runs} runs",
            lambda name=name: [run_test(name, *scores, rng=0, resamples=resamples) for scores in graded],
            options.repetitions,
        )
    ids = [f"gsm8k/{sample}" for sample in range(samples)]
    columns = {f"run {run}": (ids, rng.random(samples)) for run in range(runs)}
    measure(f"pair, {runs} runs", lambda: pair(columns), options.repetitions)


if __name__ == "__main__":
    main()
