"""Two-sided tests of a run against its baseline over the same samples (docs/methods.md section 7).

SciPy is used where it treats ties as documented here, and imported when a function is called, as that takes most of a
second. Wilcoxon's exact p and the permutation test are implemented here; their docstrings say why.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlm_length.common import ConfigError, listing, suggestion
from dlm_length.stats.arrays import (
    is_binary,
    paired,
    paired_differences,
    require_resamples,
    require_samples,
)
from dlm_length.stats.effects import Statistic
from dlm_length.stats.errors import StatisticsError
from dlm_length.stats.resampling import RESAMPLES, bootstrap
from dlm_length.stats.significance import TestResult

TestName = Literal["paired_bootstrap", "mcnemar", "wilcoxon", "permutation"]
"""Tests that a config may choose to decide a table's significance stars."""

STARS_BY: TestName = "paired_bootstrap"
"""The test that decides the stars unless a config names another."""

_EXACT_RANKS = 50
"""Most nonzero differences for which the signed-rank distribution is computed exactly; SciPy has the same limit."""

_SIGNS_AT_ONCE = 1 << 20
"""Random signs in memory at a time."""


@dataclass(frozen=True)
class Flips:
    """The two-by-two table of a run and its baseline on a 0/1 metric, as numbers of samples."""

    gained: int
    """Correct only in the run."""
    lost: int
    """Correct only in the baseline."""
    both: int
    neither: int

    @property
    def discordant(self) -> int:
        """Number of samples that flipped."""
        return self.gained + self.lost


def flips(scores: ArrayLike, baseline: ArrayLike) -> Flips:
    """The two-by-two table of 0/1 scores, each (samples,).

    Raises StatisticsError for other scores, NaN or different n.
    """
    ours, theirs = paired(scores, baseline, "McNemar's test")
    both = np.concatenate([ours, theirs])
    if not is_binary(both):
        others = both[[not is_binary(value) for value in both]]
        raise StatisticsError(
            f"McNemar's test needs scores of 0 or 1, but {others.size:,} of {both.size:,} are others"
            f" (the first: {others[0]:g}); use wilcoxon, permutation or paired_bootstrap for a graded metric."
        )
    table = np.bincount(np.rint(2 * ours + theirs).astype(np.intp), minlength=4)
    neither, lost, gained, right = (int(count) for count in table)
    return Flips(gained, lost, right, neither)


def mcnemar(scores: ArrayLike, baseline: ArrayLike) -> TestResult:
    """McNemar's exact test: under the null hypothesis a sample that flips is as likely to be gained as lost.

    `scores`, `baseline`: (samples,) of 0 and 1. The statistic is the number of samples gained less that of samples
    lost; where none flipped, p is 1. Raises StatisticsError as `flips`, and for no samples.
    """
    from scipy.stats import binomtest

    table = flips(scores, baseline)
    n = table.discordant + table.both + table.neither
    require_samples(n, "McNemar's test")
    p = float(binomtest(table.gained, table.discordant).pvalue) if table.discordant else 1.0
    return TestResult("exact McNemar", p, float(table.gained - table.lost), n, None, _least_p(table.discordant))


def wilcoxon(scores: ArrayLike, baseline: ArrayLike) -> TestResult:
    """Wilcoxon's signed-rank test; differences of 0 are dropped (as by Wilcoxon), ties have their mean rank.

    `scores`, `baseline`: (samples,). The statistic is the sum of signed ranks. For more than 50 nonzero differences p
    is SciPy's normal approximation with the variance of tied ranks, without continuity correction. For up to 50 it is
    exact given the ranks, ties included, and computed here: SciPy's exact distribution assumes ranks without ties. If
    all scores are equal, p is 1. Raises StatisticsError for no samples, NaN or different n.
    """
    from scipy import stats

    differences = paired_differences(scores, baseline, "Wilcoxon's test")
    n = differences.values.size
    require_samples(n, "Wilcoxon's test")
    moved = differences.values[differences.values != 0]
    moved = moved[np.argsort(np.abs(moved))]
    # Consecutive sizes that differ by rounding only have the same level, and so the same rank.
    sizes = np.abs(moved)
    levels = 1 + np.cumsum(np.diff(sizes, prepend=sizes[:1]) > differences.largest_error)
    doubled = np.asarray(np.rint(2 * stats.rankdata(levels)), dtype=np.int64)  # a rank may end in a half
    signed = int((np.sign(moved) * doubled).sum())
    if moved.size <= _EXACT_RANKS:
        name, p, least = "exact Wilcoxon signed-rank", _exact_rank_p(doubled, signed), _least_p(moved.size)
    else:
        name = "Wilcoxon signed-rank (normal approximation)"
        p, least = (
            float(stats.wilcoxon(each, method="asymptotic").pvalue) for each in (np.sign(moved) * levels, levels)
        )
    return TestResult(name, p, signed / 2, n, None, least)


def _least_p(moved: int) -> float:
    """Smallest two-sided p of a test in which each of `moved` differences is equally likely to have either sign."""
    return min(1.0, 2.0 ** (1 - moved))


def _exact_rank_p(doubled: NDArray[np.int64], signed: int) -> float:
    """P(|sum of signed ranks| >= |signed|) if either sign is equally likely; `doubled`: twice the ranks."""
    total = int(doubled.sum())
    chance = np.zeros(total + 1)  # of each sum of positive ranks
    chance[0] = 1.0
    for rank in doubled.tolist():
        chance /= 2
        chance[rank:] += chance[: total + 1 - rank]
    fewer = (total - abs(signed)) // 2
    return min(1.0, 2 * float(chance[: fewer + 1].sum()))


def permutation(
    scores: ArrayLike, baseline: ArrayLike, *, rng: int | np.random.Generator, resamples: int = RESAMPLES
) -> TestResult:
    """Paired permutation test of the mean difference: run and baseline are swapped sample by sample.

    `scores`, `baseline`: (samples,). The statistic is the mean difference. If the 2^m ways to swap m differing samples
    are no more than `resamples`, all are enumerated and p is exact; else p = (hits + 1) / (resamples + 1) over random
    swaps. If all scores are equal, p is 1. Raises StatisticsError for no samples, NaN or different n.

    SciPy's `permutation_test` is not used: for it two sums are a tie only within a relative 2e-14, so that rounding
    decides where differences such as thirds cancel. It also takes about 20 times as long.
    """
    differences = paired_differences(scores, baseline, "permutation test")
    n = differences.values.size
    require_samples(n, "permutation test")
    require_resamples(resamples, "permutation test")
    # Either sign is equally likely, so only sizes matter; sorted, so that p does not depend on the order of samples.
    sizes = np.sort(np.abs(differences.values[differences.values != 0]))
    total = float(sizes.sum())
    threshold = abs(differences.sum) - differences.error_of_sum

    def hits(swapped: NDArray[np.integer]) -> int:
        """Number of rows of `swapped`, (ways, differences) of 0 and 1, with a sum as far from 0 as observed."""
        return int(np.count_nonzero(np.abs(total - 2 * (swapped @ sizes)) >= threshold))

    mean, ways = differences.mean, 2**sizes.size
    if ways <= resamples:
        every = np.arange(ways)[:, None] >> np.arange(sizes.size) & 1
        return TestResult("exact paired permutation", hits(every) / ways, mean, n, None, _least_p(sizes.size))
    generator, block = np.random.default_rng(rng), max(1, _SIGNS_AT_ONCE // sizes.size)
    blocks = (min(block, resamples - start) for start in range(0, resamples, block))
    extreme = sum(hits(generator.integers(0, 2, (rows, sizes.size), dtype=np.int8)) for rows in blocks)
    return TestResult("paired permutation", (extreme + 1) / (resamples + 1), mean, n, resamples, 1 / (resamples + 1))


def paired_bootstrap(
    scores: ArrayLike, baseline: ArrayLike, *, rng: int | np.random.Generator, resamples: int = RESAMPLES
) -> TestResult:
    """Paired bootstrap of the mean difference; p equals that of `Statistic.performance_delta` under the same seed."""
    estimate = bootstrap({"": Statistic.difference(scores, baseline)}, rng=rng, resamples=resamples)[""]
    assert estimate.test is not None, "a difference is an effect"
    return estimate.test


def run_test(
    name: TestName,
    scores: ArrayLike,
    baseline: ArrayLike,
    *,
    rng: int | np.random.Generator,
    resamples: int = RESAMPLES,
) -> TestResult:
    """Run the test called `name`; only the bootstrap and the permutation test use `rng` and `resamples`.

    Raises as the test does.
    """
    match choose_test(name, "test"):
        case "paired_bootstrap":
            return paired_bootstrap(scores, baseline, rng=rng, resamples=resamples)
        case "mcnemar":
            return mcnemar(scores, baseline)
        case "wilcoxon":
            return wilcoxon(scores, baseline)
        case "permutation":
            return permutation(scores, baseline, rng=rng, resamples=resamples)


def choose_test(value: str, field: str = "stars_by") -> TestName:
    """`value` as the name of a test. Raises ConfigError, naming `field` and the nearest test, for any other."""
    names: tuple[TestName, ...] = get_args(TestName)
    for name in names:
        if value == name:
            return name
    raise ConfigError(f"{field}: no test is called {value!r}; allowed: {listing(names)}.{suggestion(value, names)}")


def further_tests(*scores: ArrayLike) -> tuple[TestName, ...]:
    """The tests to make in addition to the paired bootstrap (docs/methods.md section 7).

    McNemar's test for 0/1 scores, Wilcoxon's and the permutation test for graded scores.
    """
    return ("mcnemar",) if all(map(is_binary, scores)) else ("wilcoxon", "permutation")
