"""Power analysis: the smallest effect that a comparison can show, and the number of samples that an effect needs.

By the normal approximation of the paired comparison; for 0/1 scores by that of McNemar's test, whose differences vary
less under an effect than without one (Connor, Biometrics 43, 1987). Below about 30 samples it is optimistic.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from dlm_length.stats.arrays import is_binary, paired, paired_differences
from dlm_length.stats.errors import StatisticsError
from dlm_length.stats.paired_tests import flips

_NORMAL = NormalDist()


@dataclass(frozen=True)
class Spread:
    """How much the paired differences of a run and its baseline vary."""

    sd: float
    """Standard deviation of the differences, in the score's unit."""
    discordance: float | None
    """Share of samples that flip for a 0/1 metric; None for a graded metric."""


@dataclass(frozen=True)
class Power:
    """With probability `power`, `n` samples show a difference of `effect` in the mean score, two-sided at `alpha`."""

    effect: float
    """Absolute, in the score's unit; divided by the baseline's mean it is a performance delta."""
    n: int
    alpha: float
    power: float
    spread: Spread


def observed_spread(scores: ArrayLike, baseline: ArrayLike) -> Spread:
    """Spread of the observed differences; `scores`, `baseline`: (samples,).

    Raises StatisticsError for fewer than two samples, NaN or different n.
    """
    ours, theirs = paired(scores, baseline, "spread of differences")
    if ours.size < 2:
        raise StatisticsError(f"The spread of differences takes at least two samples, but there are {ours.size}.")
    differences = paired_differences(ours, theirs, "spread of differences")
    sd = float(np.std(differences.values, ddof=1))
    both = is_binary(ours) and is_binary(theirs)
    return Spread(
        sd=sd if sd > differences.largest_error else 0.0,
        discordance=flips(ours, theirs).discordant / ours.size if both else None,
    )


def minimum_detectable_effect(n: int, spread: Spread, *, alpha: float = 0.05, power: float = 0.8) -> Power:
    """The smallest difference in the mean score that `n` samples show with probability `power`.

    Raises StatisticsError where no difference was observed, so that the spread is unknown, and where `n` samples with
    that discordance cannot show any effect.
    """
    level, strength = _quantiles(alpha, power)
    _check(spread, n)
    if spread.discordance is None:
        return Power((level + strength) * spread.sd / math.sqrt(n), n, alpha, power, spread)
    # The solution of effect * sqrt(n) = level * sqrt(share) + strength * sqrt(share - effect^2)
    share, within = spread.discordance, n - level**2 + strength**2
    effect = math.inf
    if within >= 0:
        effect = math.sqrt(share) * (level * math.sqrt(n) + strength * math.sqrt(within)) / (n + strength**2)
    if effect > share:
        raise StatisticsError(
            f"{n:,} samples of which {share:.1%} flip show no effect with power {power:g}: not even all flips in one"
            f" direction would suffice. Take more samples."
        )
    return Power(effect, n, alpha, power, spread)


def samples_needed(effect: float, spread: Spread, *, alpha: float = 0.05, power: float = 0.8) -> Power:
    """The number of samples that show a difference of `effect` in the mean score with probability `power`.

    `effect`: absolute, of either sign. Raises StatisticsError for an effect of 0 or NaN, for one that exceeds the share
    of samples that flip, and where no difference was observed.
    """
    level, strength = _quantiles(alpha, power)
    _check(spread, 1)
    size, share = abs(effect), spread.discordance
    if not 0 < size < math.inf:
        raise StatisticsError(
            f"An effect of {effect:g} cannot be shown by any number of samples; give one other than 0."
        )
    if share is not None and size > share:
        raise StatisticsError(
            f"The accuracy cannot change by {size:.1%} where only {share:.1%} of the samples flip; give a larger"
            f" discordance."
        )
    null, alternative = (spread.sd, spread.sd) if share is None else (math.sqrt(share), math.sqrt(share - size**2))
    n = math.ceil(((level * null + strength * alternative) / size) ** 2)
    return Power(effect, n, alpha, power, spread)


def samples_for_margin(
    margin: float, spread: Spread, *, alpha: float = 0.05, power: float = 0.8, equivalence: bool = False
) -> int:
    """The number of samples that show a run to be within `margin` of its baseline with probability `power`.

    For non-inferiority, one-sided at `alpha`, or with `equivalence` for both one-sided tests. Assumes that the true
    difference is 0 and that differences vary as in `spread` (Julious, Statist. Med. 23, 2004; for 0/1 scores with Nam's
    variance, Biometrics 53, 1997, taken at no difference instead of under the null hypothesis). Never fewer than the n
    at which `margin_test` can give p <= `alpha` without any loss.

    `margin`: between 0 and 1. Raises StatisticsError for another margin and for settings out of range.
    """
    if not 0 < margin < 1 or not 0 < alpha < 1 or not alpha < power < 1:
        raise StatisticsError(
            f"A margin is between 0 and 1, alpha too, and power between alpha and 1, but they are {margin:g},"
            f" {alpha:g}, {power:g}."
        )
    level, strength = _NORMAL.inv_cdf(1 - alpha), _NORMAL.inv_cdf((1 + power) / 2 if equivalence else power)
    sd = spread.sd if spread.discordance is None else math.sqrt(spread.discordance)
    least = math.ceil(math.log(alpha) / math.log1p(-margin))
    return max(least, math.ceil(((level + strength) * sd / margin) ** 2))


def _quantiles(alpha: float, power: float) -> tuple[float, float]:
    """Normal quantiles of a two-sided level and of a power. Raises StatisticsError for values out of range."""
    if not 0 < alpha < 1 or not alpha < power < 1:
        raise StatisticsError(
            f"alpha must be between 0 and 1, power between alpha and 1, but they are {alpha}, {power}."
        )
    return _NORMAL.inv_cdf(1 - alpha / 2), _NORMAL.inv_cdf(power)


def _check(spread: Spread, n: int) -> None:
    if n < 1:
        raise StatisticsError(f"A comparison needs at least one sample, but n is {n}.")
    varies = spread.sd > 0 if spread.discordance is None else 0 < spread.discordance <= 1
    if not varies:
        raise StatisticsError(
            "No power analysis: the differences do not vary over these samples, so that their spread is unknown."
        )
