"""The paired bootstrap over samples: intervals and p values of any number of statistics from one set of resamples.

docs/methods.md section 7; Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapters 13 and 14.

A resample draws n samples with replacement. A sum over it depends only on how often each sample was drawn, so a block
of resamples is a matrix of counts, and its product with the columns of all statistics of all runs gives all sums. Runs
are thus compared on the same draws, and a ratio is resampled as the ratio of its two sums.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal, TypeVar

import numpy as np

from dlm_length.stats.arrays import TIE_TOLERANCE, FloatArray, is_binary, require_resamples, require_samples
from dlm_length.stats.effects import Statistic
from dlm_length.stats.errors import StatisticsError
from dlm_length.stats.significance import TestResult

RESAMPLES = 10_000
"""Default number of resamples. The smallest p is then 0.0002, which can have a star in a family of up to 250 tests.
SmartCrop's paper uses 5,000."""

IntervalKind = Literal["percentile", "bca"]

Key = TypeVar("Key")

_DRAWS_AT_ONCE = 1 << 20
"""Draws in memory at a time: 8 MB of indices and as much of counts."""

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Estimate:
    """A statistic with its interval and, for an effect, its test."""

    value: float
    """NaN where it is undefined; see `Statistic.value`."""
    low: float
    high: float
    """Ends of the interval. NaN for a single sample, for scores without spread (see `score_intervals`) and where the
    value is NaN. Infinite where a relative change is unbounded, as a baseline that is mostly 0 is 0 in all samples of
    many resamples."""
    confidence: float
    interval: IntervalKind | Literal["wilson"]
    n: int
    """Number of samples."""
    resamples: int | None
    """None where nothing was drawn."""
    test: TestResult | None
    """Test of the null hypothesis that the effect is 0, with the mean paired difference as its statistic; None for a
    quantity of one run."""
    stderr: float
    """Standard error of the ratio of sums, linearised. For a mean: standard deviation over the square root of n, as in
    lm-eval. NaN for a single sample and where the value is NaN."""


def bootstrap(
    statistics: Mapping[Key, Statistic],
    *,
    rng: int | np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
    interval: IntervalKind = "percentile",
) -> dict[Key, Estimate]:
    """Every statistic with its interval and p, under the same keys, all from the same resamples of the same n samples.

    `rng`: a seed, or a generator that is advanced. With a seed, the result of a statistic does not depend on which
    other statistics are in the same call.

    The two-sided p is 2 * (count + 1) / (resamples + 1), where count is the smaller one of the numbers of resamples in
    which the sum of paired differences is at most 0, or at least 0. It belongs to the percentile interval, whichever
    interval is chosen. It is never below 2 / (resamples + 1), nor below 2^(1 - m), the smallest p that the signs of the
    m nonzero differences can give: three flips in one direction among a hundred samples are no more evidence when they
    are resampled.

    Raises StatisticsError for no samples, for statistics over different n, and for settings out of range.
    """
    require_resamples(resamples, "bootstrap")
    if not 0 < confidence < 1:
        raise StatisticsError(f"bootstrap: confidence must be between 0 and 1, but is {confidence}.")
    sizes = sorted({statistic.n for statistic in statistics.values()})
    if len(sizes) > 1:
        raise StatisticsError(f"bootstrap: statistics share resamples only over the same samples, but n is {sizes}.")
    if not sizes:
        return {}
    require_samples(sizes[0], "bootstrap")
    columns = np.array([column for s in statistics.values() for column in (s.numerator, s.denominator)])
    sums = _resampled_sums(columns, resamples, np.random.default_rng(rng))
    return {
        key: _estimate(statistic, sums[2 * i], sums[2 * i + 1], confidence, interval)
        for i, (key, statistic) in enumerate(statistics.items())
    }


def score_intervals(
    scores: Mapping[Key, Statistic],
    *,
    rng: int | np.random.Generator,
    resamples: int = RESAMPLES,
    confidence: float = 0.95,
) -> dict[Key, Estimate]:
    """Mean scores with their intervals, under the same keys: Wilson's for 0/1 scores, else the percentile bootstrap's.

    A row of a statistic is one independent unit: a sample, or a problem with several samples. Statistics with the same
    number of units share their resamples. Raises StatisticsError as `bootstrap`.

    Where every unit has the same value, all resamples are equal, and their interval would have no width. A pooled share
    (sums of 0/1 outcomes, such as the instructions followed out of those in a prompt) then has Wilson's interval with
    the number of units as n, since the outcomes of a unit are not independent. For other values, such as means of
    several answers that are all one half, nothing is known about their spread, and the interval is NaN.
    """
    estimates: dict[Key, Estimate] = {}
    graded: dict[int, dict[Key, Statistic]] = {}
    for key, statistic in scores.items():
        require_samples(statistic.n, "score")
        binary = is_binary(statistic.numerator) and bool((statistic.denominator == 1).all())
        if binary or (_is_uniform(statistic) and _is_pooled_share(statistic)):
            low, high = wilson(statistic.value, statistic.n, confidence=confidence)
            estimates[key] = Estimate(
                statistic.value, low, high, confidence, "wilson", statistic.n, None, None, standard_error(statistic)
            )
        else:
            graded.setdefault(statistic.n, {})[key] = statistic
    for of_one_size in graded.values():
        estimates |= bootstrap(of_one_size, rng=rng, resamples=resamples, confidence=confidence)
        for key, statistic in of_one_size.items():
            if _is_uniform(statistic):
                estimates[key] = replace(estimates[key], low=math.nan, high=math.nan)
    return {key: estimates[key] for key in scores}


def _is_uniform(statistic: Statistic) -> bool:
    """Whether all units have the same value, within rounding."""
    expected = statistic.value * statistic.denominator
    tolerance = TIE_TOLERANCE * np.maximum(np.abs(statistic.numerator), np.abs(expected))
    return bool((np.abs(statistic.numerator - expected) <= tolerance).all())


def _is_pooled_share(statistic: Statistic) -> bool:
    """Whether every numerator is a count of successes out of a count of outcomes, the denominator."""
    counts = np.stack([statistic.numerator, statistic.denominator])
    integers = bool((np.abs(counts - np.rint(counts)) <= TIE_TOLERANCE * np.maximum(1.0, np.abs(counts))).all())
    within = bool(((statistic.numerator >= 0) & (statistic.numerator <= statistic.denominator)).all())
    return integers and within and bool((statistic.denominator > 0).all())


def wilson(share: float, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion observed as `share` of `n` (Wilson 1927; Brown, Cai, DasGupta 2001).

    Unlike the bootstrap's interval it has a width where all or none succeeded, and the nominal coverage at small n.
    `share` may be a published one, whose count is not known exactly. Raises StatisticsError for no samples and for a
    share outside [0, 1].
    """
    require_samples(n, "Wilson's interval")
    if not 0 <= share <= 1:
        raise StatisticsError(f"Wilson's interval: a share lies in [0, 1], but is {share}.")
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # For a share of 0 or 1 that end is exact, which rounding could miss.
    return (0.0 if share == 0 else max(0.0, centre - reach), 1.0 if share == 1 else min(1.0, centre + reach))


def standard_error(statistic: Statistic) -> float:
    """Standard error of a statistic; see `Estimate.stderr`."""
    value, n = statistic.value, statistic.n
    if n < 2 or math.isnan(value):
        return math.nan
    residuals = statistic.numerator - value * statistic.denominator
    squares = math.fsum((residuals**2).tolist())
    return math.sqrt(n / (n - 1) * squares) / abs(math.fsum(statistic.denominator.tolist()))


def _resampled_sums(columns: FloatArray, resamples: int, rng: np.random.Generator) -> FloatArray:
    """Sums over each resample: (columns, samples) to (columns, resamples)."""
    blocks = [columns @ counts.T for counts in _counts(columns.shape[1], resamples, rng)]
    return np.concatenate(blocks, axis=1)


def _counts(n: int, resamples: int, rng: np.random.Generator) -> Iterator[FloatArray]:
    """How often each resample drew each sample, (block, samples) at a time, every row summing to n."""
    block = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, resamples, block):
        rows = min(block, resamples - start)
        drawn = rng.integers(0, n, (rows, n))
        drawn += np.arange(rows)[:, None] * n
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _estimate(
    statistic: Statistic, numerators: FloatArray, denominators: FloatArray, confidence: float, interval: IntervalKind
) -> Estimate:
    """Interval and test of one statistic, from the sums of its two columns in each resample, each (resamples,)."""
    value, resamples = statistic.value, numerators.size
    low = high = float("nan")
    if statistic.n > 1 and not math.isnan(value):
        # A resample in which the baseline is 0 throughout: the relative change is infinite.
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            resampled = np.where(denominators == 0, np.inf, numerators / denominators)
        tails = ((1 - confidence) / 2, (1 + confidence) / 2)
        levels = tails if interval == "percentile" else _bca_levels(statistic, resampled, tails)
        ascending = np.sort(resampled)
        low, high = (_quantile(ascending, level) for level in levels)
    test = None
    if statistic.is_effect:
        difference = math.fsum(statistic.numerator.tolist()) / statistic.n
        tie = statistic.error  # differences such as thirds that cancel must count as 0 on both sides
        fewer = min(np.count_nonzero(numerators <= tie), np.count_nonzero(numerators >= -tie))
        moved = int(np.count_nonzero(statistic.numerator))
        least = min(1.0, max(2 / (resamples + 1), 2.0 ** (1 - moved)))
        p = min(1.0, max(2 * (int(fewer) + 1) / (resamples + 1), least))
        test = TestResult("paired bootstrap", p, difference, statistic.n, resamples, least)
    return Estimate(value, low, high, confidence, interval, statistic.n, resamples, test, standard_error(statistic))


def _bca_levels(statistic: Statistic, resampled: FloatArray, tails: tuple[float, float]) -> tuple[float, float]:
    """Quantile levels of the ends of the BCa interval (Efron and Tibshirani, equations 14.9 to 14.15).

    NaN where the correction is undefined: no resample lies on one side of the estimate, or the baseline is 0 without
    one of its samples.
    """
    value = statistic.value
    tie = TIE_TOLERANCE * float(np.abs(statistic.numerator).sum()) / abs(float(statistic.denominator.sum()))
    below = (np.mean(resampled < value - tie) + np.mean(resampled <= value + tie)) / 2
    remaining = statistic.denominator.sum() - statistic.denominator
    if not 0 < below < 1 or not remaining.all():
        return float("nan"), float("nan")
    bias = _NORMAL.inv_cdf(float(below))
    jackknife = (statistic.numerator.sum() - statistic.numerator) / remaining
    deviations = jackknife.mean() - jackknife
    squares = float((deviations**2).sum())
    skew = float((deviations**3).sum()) / (6 * squares**1.5) if squares else 0.0

    def level(tail: float) -> float:
        shifted = bias + _NORMAL.inv_cdf(tail)
        return _NORMAL.cdf(bias + shifted / (1 - skew * shifted))

    return level(tails[0]), level(tails[1])


def _quantile(ascending: FloatArray, level: float) -> float:
    """NumPy's linear quantile, for sorted values that may end in infinities."""
    if math.isnan(level):
        return float("nan")
    position = level * (ascending.size - 1)
    below, above = ascending[int(np.floor(position))], ascending[int(np.ceil(position))]
    if below == above:  # also where both are infinite, and have no difference
        return float(above)
    return float(below + (above - below) * (position % 1))
