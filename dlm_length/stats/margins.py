"""Non-inferiority and equivalence: whether a run's mean score is within a margin of its baseline's.

A difference that is not significant is not evidence of no difference: with a small n, no difference is significant.
Here the null hypothesis is that the run is worse than its baseline by the margin or more (non-inferiority, one-sided),
or that it differs by the margin or more in either direction (equivalence: two one-sided tests, Schuirmann, J.
Pharmacokinet. Biopharm. 15, 1987). A margin is a difference of mean scores, 0.02 for two points.

0/1 scores: the exact unconditional test over the two kinds of flips (Hsueh, Liu and Chen, Biometrics 57, 2001; Sidik,
Statist. Med. 22, 2003). It orders outcomes by the score statistic of Nam (Biometrics 53, 1997) and Tango (Statist. Med.
17, 1998). The share of samples that flip is a nuisance parameter: p is the largest one over a confidence interval of
that share, plus the interval's error (Berger and Boos, JASA 89, 1994). McNemar's test conditions on the flips instead,
which is possible for a margin of 0 only.

Graded scores, means of several answers to a problem, and more flips than the exact test takes: the studentised
bootstrap of the mean difference (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, sections 12.5 and 16.4),
which keeps its level at smaller n than the percentile bootstrap. A resample without any of the few samples that differ
has an infinite t. It is counted as such, and where the share of such resamples exceeds the level, no margin is shown.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlm_length.stats.arrays import TIE_TOLERANCE, FloatArray, is_binary, paired, require_resamples, require_samples
from dlm_length.stats.errors import StatisticsError
from dlm_length.stats.paired_tests import flips
from dlm_length.stats.resampling import RESAMPLES

MARGIN_LEVEL = 0.05
"""Level of each one-sided test. Its interval is the 90% one: margins inside the interval are not shown."""

_EXACT_OUTCOMES = 150_000
"""Most (gained, lost) outcomes that the exact test enumerates for each share; that many take about a second. There are
never more for 2,000 pairs of 0/1 scores, nor for 10,000 of which a tenth flips, nor for few flips at any n."""
_SHARE_ERROR = 1e-4
"""Error of the confidence interval of the share that flips, which is added to p."""
_SHARES = 40
"""Grid points over that interval; a third as many are tried again between the neighbours of the worst."""
_DEVIATIONS, _LEAST_REACH = 7, 25
"""Counts are enumerated within this many standard deviations plus this many counts of their mean."""
_DRAWS_AT_ONCE = 1 << 20
"""Draws held in memory together: 8 MB of indices and as much of differences."""

_NORMAL = NormalDist()


@dataclass(frozen=True)
class MarginTest:
    """The test of a run against its baseline with a margin."""

    __test__ = False  # pytest would collect it for its name

    name: str
    """As in a table's note, such as "exact unconditional" or "studentised bootstrap"."""
    margin: float
    """In the score's unit, above 0."""
    difference: float
    """Mean score of the run less that of its baseline."""
    low: float
    high: float
    """Ends of the 90% interval of the difference (1 - 2 `MARGIN_LEVEL`). Both are NaN where all graded differences are
    equal; one is NaN where too few samples differ to bound it."""
    n: int
    """Number of pairs."""
    resamples: int | None
    """None where nothing was drawn."""
    p_not_worse: float
    """One-sided p of the null hypothesis that the run is worse by the margin or more."""
    p_not_better: float
    """One-sided p of the null hypothesis that the run is better by the margin or more."""

    @property
    def p_equivalent(self) -> float:
        """The p of equivalence: the larger one of the two one-sided tests."""
        return max(self.p_not_worse, self.p_not_better)

    @property
    def too_few_differ(self) -> bool:
        """Whether so many resamples have none of the differing samples that an end of the interval is unbounded; no
        margin can then be shown on that side.
        """
        return self.resamples is not None and (math.isnan(self.low) or math.isnan(self.high))

    @property
    def description(self) -> str:
        """For a table's note: test, n, number of resamples, and whether too few samples differ."""
        drawn = "" if self.resamples is None else f", {self.resamples:,} resamples"
        failing = ", too few samples differ to show anything" if self.too_few_differ else ""
        return f"{self.name}, n = {self.n:,}{drawn}{failing}"


def margin_test(
    scores: ArrayLike,
    baseline: ArrayLike,
    margin: float,
    *,
    rng: int | np.random.Generator,
    resamples: int = RESAMPLES,
) -> MarginTest:
    """Test a run's scores against its baseline's, each (samples,) in [0, 1] over the same independent units.

    Several answers to one problem are not independent; `pair` averages them. `rng` and `resamples` are for the
    bootstrap, which is used unless all scores are 0 or 1, and where too many samples flip for the exact test. It draws
    only from observed differences, so its p is bounded from below by (1 - margin)^n: the probability that n samples
    show no loss where a share `margin` of all samples is lost. The exact test's p has the same bound where no sample
    flips.

    Raises StatisticsError for a margin that is not between 0 and 1, for no samples, NaN or different n.
    """
    ours, theirs = paired(scores, baseline, "non-inferiority")
    require_samples(ours.size, "non-inferiority")
    check_margin(margin)
    if is_binary(ours) and is_binary(theirs) and _outcomes(ours, theirs, margin) <= _EXACT_OUTCOMES:
        return _exact(ours, theirs, margin)
    require_resamples(resamples, "non-inferiority")
    return _studentised(ours, theirs, margin, np.random.default_rng(rng), resamples)


def check_margin(margin: float) -> None:
    """Raise StatisticsError for a margin that is not between 0 and 1."""
    if not 0 < margin < 1:
        raise StatisticsError(f"A margin must be between 0 and 1 (0.02: two points of the score), but is {margin:g}.")


def _outcomes(ours: FloatArray, theirs: FloatArray, margin: float) -> int:
    """Upper bound of the outcomes that `_tail` enumerates at the largest share that `exact_margin_p` tries."""
    table, n = flips(ours, theirs), ours.size
    flipped = table.gained + table.lost
    # Four standard deviations, and 10 for small counts: about the upper end of `_share_interval`.
    share = max(margin, min(1.0, (flipped + 4 * math.sqrt(flipped) + 10) / n))
    return _likely_counts(n, (share + margin) / 2).size * _likely_counts(n, (share - margin) / 2).size


def _exact(ours: FloatArray, theirs: FloatArray, margin: float) -> MarginTest:
    table = flips(ours, theirs)
    gained, lost, n = table.gained, table.lost, ours.size
    return MarginTest(
        name="exact unconditional",
        margin=margin,
        difference=(gained - lost) / n,
        low=score_bound(gained, lost, n),
        high=-score_bound(lost, gained, n),
        n=n,
        resamples=None,
        p_not_worse=exact_margin_p(gained, lost, n, margin),
        p_not_better=exact_margin_p(lost, gained, n, margin),
    )


def score_statistic(
    gained: int | NDArray[np.int64], lost: int | NDArray[np.int64], n: int, margin: float
) -> FloatArray:
    """Nam's and Tango's z of `n` pairs: about standard normal under the hypothesis that the run is worse by `margin`.

    `gained`, `lost`: numbers of flips, of any one shape, which z has too. The standard deviation is that under the
    hypothesis, with the maximum likelihood estimate of the share of losses. A margin of 0 gives McNemar's z without
    continuity correction.
    """
    up, down = np.asarray(gained, dtype=np.float64), np.asarray(lost, dtype=np.float64)
    middle = up + down + margin * (2 * n + down - up)
    root = np.sqrt(np.maximum(middle**2 - 8 * n * down * margin * (1 + margin), 0.0))
    losses = (middle + root) / (4 * n)
    variance = np.maximum(n * (2 * losses - margin * (1 + margin)), 0.0)
    shift = up - down + n * margin
    with np.errstate(divide="ignore", invalid="ignore"):
        z = shift / np.sqrt(variance)
    return np.asarray(np.where(shift == 0, 0.0, z))


def score_bound(gained: int, lost: int, n: int, level: float = MARGIN_LEVEL) -> float:
    """Lower bound of the difference at a one-sided `level`: Tango's score interval, by bisection over margins."""
    target = _NORMAL.inv_cdf(1 - level)
    worse, better = -1.0, 1.0  # a margin of -1 is never shown, one of 1 always
    for _ in range(60):
        middle = (worse + better) / 2
        if float(score_statistic(gained, lost, n, middle)) < target:
            worse = middle
        else:
            better = middle
    return -better


def exact_margin_p(gained: int, lost: int, n: int, margin: float) -> float:
    """One-sided exact p of the hypothesis that a run is worse by `margin`, from the flips among `n` pairs."""
    observed = float(score_statistic(gained, lost, n, margin))
    log_factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    low, high = _share_interval(gained + lost, n)
    low = max(low, margin)
    worst = 0.0  # where low is above high, so few flip that the run cannot be worse by the margin
    if low <= high:
        shares = np.linspace(low, high, _SHARES)
        tails = [_tail(observed, margin, float(share), log_factorials) for share in shares]
        place = int(np.argmax(tails))
        near = np.linspace(shares[max(0, place - 1)], shares[min(_SHARES - 1, place + 1)], _SHARES // 3)
        worst = max(*tails, *(_tail(observed, margin, float(share), log_factorials) for share in near))
    return min(1.0, worst + _SHARE_ERROR)


def _tail(observed: float, margin: float, share: float, log_factorials: FloatArray) -> float:
    """P(z >= observed) if `share` of the samples flip and the run is worse by `margin`.

    `log_factorials`: (n + 1,), log k! for k = 0..n.
    """
    n = log_factorials.size - 1
    down, up = (share + margin) / 2, max(0.0, (share - margin) / 2)
    lost, gained = _likely_counts(n, down)[:, None], _likely_counts(n, up)[None, :]
    rest = n - lost - gained
    inside = rest >= 0
    rest = np.where(inside, rest, 0)
    log_p = log_factorials[n] - log_factorials[lost] - log_factorials[gained] - log_factorials[rest]
    log_p += lost * _log(down) + gained * _log(up) + rest * _log(1 - down - up)
    shown = score_statistic(gained, lost, n, margin) >= observed - TIE_TOLERANCE * max(1.0, abs(observed))
    return float(np.exp(log_p[inside & shown]).sum())


def _likely_counts(n: int, share: float) -> NDArray[np.int64]:
    """The counts that Binomial(n, share) takes; the probability of all others together is negligible."""
    reach = _DEVIATIONS * math.sqrt(n * share * (1 - share)) + _LEAST_REACH
    return np.arange(max(0, math.floor(n * share - reach)), min(n, math.ceil(n * share + reach)) + 1)


def _log(share: float) -> float:
    """log(share); for 0 a finite number, so that 0 times it is 0, and exp of any positive multiple is 0."""
    return math.log(share) if share > 0 else -1e6


def _share_interval(count: int, n: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share observed as `count` of `n`, with error `_SHARE_ERROR`."""
    from scipy.special import betaincinv

    tail = _SHARE_ERROR / 2
    low = 0.0 if count == 0 else float(betaincinv(count, n - count + 1, tail))
    high = 1.0 if count == n else float(betaincinv(count + 1, n - count, 1 - tail))
    return low, high


def _studentised(
    ours: FloatArray, theirs: FloatArray, margin: float, rng: np.random.Generator, resamples: int
) -> MarginTest:
    differences, n = ours - theirs, ours.size
    mean = math.fsum(differences.tolist()) / n
    around = differences - mean
    error = float(np.std(differences, ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    tie = TIE_TOLERANCE * float(max(np.abs(ours).max(), np.abs(theirs).max()))
    least = (1 - margin) ** n
    if error <= tie:  # all differences are equal: there is nothing to resample, and only n is evidence
        worse, better = (least if shift > tie else 1.0 for shift in (mean + margin, margin - mean))
        nothing = float("nan")
        return MarginTest("equal differences", margin, mean, nothing, nothing, n, None, worse, better)
    t = _studentised_means(around, rng, resamples)
    level = [MARGIN_LEVEL, 1 - MARGIN_LEVEL]
    below, above = np.quantile(t, level, method="inverted_cdf")  # without interpolation, as t may be infinite
    hits_worse = int(np.count_nonzero(t >= (mean + margin) / error - TIE_TOLERANCE))
    hits_better = int(np.count_nonzero(t <= (mean - margin) / error + TIE_TOLERANCE))
    return MarginTest(
        name="studentised bootstrap",
        margin=margin,
        difference=mean,
        low=max(-1.0, float(mean - above * error)) if np.isfinite(above) else math.nan,
        high=min(1.0, float(mean - below * error)) if np.isfinite(below) else math.nan,
        n=n,
        resamples=resamples,
        p_not_worse=max((hits_worse + 1) / (resamples + 1), least),
        p_not_better=max((hits_better + 1) / (resamples + 1), least),
    )


def _studentised_means(around: FloatArray, rng: np.random.Generator, resamples: int) -> FloatArray:
    """The t of each resample of centred differences: (samples,) to (resamples,).

    For a resample of equal differences it is infinite with their sign, or 0 where they are 0.
    """
    n, blocks = around.size, []
    block = max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, resamples, block):
        drawn = around[rng.integers(0, n, (min(block, resamples - start), n))]
        means = drawn.mean(axis=1)
        errors = drawn.std(axis=1, ddof=1) / math.sqrt(n)
        varied = errors > TIE_TOLERANCE
        equal = np.where(np.abs(means) > TIE_TOLERANCE, np.copysign(np.inf, means), 0.0)
        blocks.append(np.where(varied, means / np.where(varied, errors, 1.0), equal))
    return np.concatenate(blocks)
