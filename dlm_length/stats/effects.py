"""Costs, lengths and effects over a set of samples (docs/methods.md section 6). An undefined value is NaN, never 0.

Every quantity of the tables is a ratio of two sums over samples. `Statistic` keeps the two columns, so that the value
in the table and its resamples have one definition.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from dlm_length.stats.arrays import FloatArray, finite, paired, paired_differences


@dataclass(frozen=True, eq=False)
class Statistic:
    """sum(numerator) / sum(denominator) over samples."""

    numerator: FloatArray
    denominator: FloatArray
    """Each (samples,), finite."""
    is_effect: bool
    """Whether the numerator is the difference of a run and its baseline, so that a sum of 0 means no effect."""
    error: float = 0.0
    """Rounding error of an effect's numerator sum; two sums that are no further apart count as equal."""

    @property
    def n(self) -> int:
        """Number of samples."""
        return self.numerator.size

    @property
    def value(self) -> float:
        """The ratio, which does not depend on the order of samples.

        NaN where the denominator is 0: for no samples, and for a change relative to a baseline of 0.
        """
        total = math.fsum(self.denominator.tolist())
        return math.fsum(self.numerator.tolist()) / total if total else float("nan")

    @classmethod
    def mean(cls, values: ArrayLike, what: str = "mean") -> Self:
        """Arithmetic mean of (samples,)."""
        column = finite(values, what)
        return cls(column, np.ones_like(column), is_effect=False)

    @classmethod
    def ratio(cls, numerator: ArrayLike, denominator: ArrayLike, what: str = "ratio of sums") -> Self:
        """Ratio of two sums of one run, each of (samples,): E_ratio, tokens per second."""
        return cls(*paired(numerator, denominator, what), is_effect=False)

    @classmethod
    def difference(cls, values: ArrayLike, baseline: ArrayLike) -> Self:
        """Mean of `values` - `baseline`, in their unit; each (samples,) over the same samples."""
        differences = paired_differences(values, baseline, "difference")
        return cls(differences.values, np.ones_like(differences.values), is_effect=True, error=differences.error_of_sum)

    @classmethod
    def flops_saved(cls, flops: ArrayLike, baseline: ArrayLike) -> Self:
        """SmartCrop's FLOPs saved, 1 - sum(flops) / sum(baseline); each (samples,) over the same samples."""
        differences = paired_differences(flops, baseline, "FLOPs saved")
        saved = 0.0 - differences.values  # -values would have negative zeros
        return cls(saved, finite(baseline, "FLOPs saved"), is_effect=True, error=differences.error_of_sum)

    @classmethod
    def performance_delta(cls, scores: ArrayLike, baseline: ArrayLike) -> Self:
        """SmartCrop's performance delta, mean(scores) / mean(baseline) - 1; each (samples,) over the same samples.

        For a baseline with mean 0 the relative change and its interval are NaN. Whether the scores differ is still
        tested, by the sum of differences.
        """
        what = "performance delta"
        differences = paired_differences(scores, baseline, what)
        return cls(differences.values, finite(baseline, what), is_effect=True, error=differences.error_of_sum)


def e_ratio(e_token: ArrayLike, n_token: ArrayLike) -> float:
    """Share of effective tokens in the canvas: sum(e_token) / sum(n_token), each (samples,) (DAEDAL's E_ratio)."""
    return Statistic.ratio(e_token, n_token, "E_ratio").value


def flops_saved(flops: ArrayLike, baseline: ArrayLike) -> float:
    """1 - sum(flops) / sum(baseline), each (samples,) over the same samples (SmartCrop's FLOPs saved)."""
    return Statistic.flops_saved(flops, baseline).value


def performance_delta(scores: ArrayLike, baseline: ArrayLike) -> float:
    """Relative change of the mean score, each (samples,) over the same samples (SmartCrop's performance delta)."""
    return Statistic.performance_delta(scores, baseline).value


def mean(values: ArrayLike) -> float:
    """Arithmetic mean of (samples,); NaN for no values."""
    return Statistic.mean(values).value


def standard_deviation(values: Sequence[float]) -> float:
    """Standard deviation of (repeats,) values, with n - 1 in the denominator, such as of scores under several seeds.

    NaN for fewer than two values, or where one is NaN.
    """
    if len(values) < 2 or any(map(math.isnan, values)):
        return float("nan")
    return statistics.stdev(values)


def cost_statistics(
    *,
    prompt_length: ArrayLike,
    n_token: ArrayLike,
    e_token: ArrayLike,
    nfe: ArrayLike,
    length_sum: ArrayLike,
    length_squared_sum: ArrayLike,
    flops: ArrayLike,
    seconds: ArrayLike,
) -> dict[str, Statistic]:
    """The columns of the cost table for one run, by name. Each argument: (samples,), a field of the run's records.

    Lengths in tokens and NFE in forwards are means per sample; `length_sum` and `length_squared_sum` are sum L and sum
    L^2 over a sample's forwards, `flops` its FLOPs and `seconds` its share of the forwards' wall-clock, also as means;
    `e_ratio` is sum(e_token) / sum(n_token), `tokens_per_second` sum(e_token) / sum(seconds).
    """
    prompt, canvas = paired(prompt_length, n_token, "processed length")
    return {
        "prompt_length": Statistic.mean(prompt),
        "n_token": Statistic.mean(canvas),
        "processed_length": Statistic.mean(prompt + canvas),
        "e_token": Statistic.mean(e_token, "e_token"),
        "e_ratio": Statistic.ratio(e_token, canvas, "E_ratio"),
        "nfe": Statistic.mean(nfe, "NFE"),
        "length_sum": Statistic.mean(length_sum, "sum L"),
        "length_squared_sum": Statistic.mean(length_squared_sum, "sum L^2"),
        "flops": Statistic.mean(flops, "FLOPs"),
        "seconds": Statistic.mean(seconds, "seconds"),
        "tokens_per_second": Statistic.ratio(e_token, seconds, "tokens per second"),
    }
