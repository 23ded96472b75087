"""Costs, lengths and effects over a set of samples (docs/methods.md section 6). Undefined is NaN, never 0.

Every quantity of the tables is a ratio of two sums over samples. `Statistic` keeps the two columns, so that the
number in the table and its resamples have one definition.
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
    """Whether the numerator is the difference of a run and its baseline: its sum is 0 where there is no effect."""
    error: float = 0.0
    """Sums of an effect's numerator that are no further apart differ by rounding alone."""

    @property
    def n(self) -> int:
        """Samples."""
        return self.numerator.size

    @property
    def value(self) -> float:
        """The same in every order of samples. NaN where the denominator is 0: of no samples, and of a change relative
        to a baseline of 0.
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
        found = paired_differences(values, baseline, "difference")
        return cls(found.values, np.ones_like(found.values), is_effect=True, error=found.error_of_sum)

    @classmethod
    def flops_saved(cls, flops: ArrayLike, baseline: ArrayLike) -> Self:
        """SmartCrop's FLOPs saved, 1 - sum(flops) / sum(baseline); each (samples,) over the same samples."""
        found = paired_differences(flops, baseline, "FLOPs saved")
        saved = 0.0 - found.values  # not -values, of which some would be -0
        return cls(saved, finite(baseline, "FLOPs saved"), is_effect=True, error=found.error_of_sum)

    @classmethod
    def performance_delta(cls, scores: ArrayLike, baseline: ArrayLike) -> Self:
        """SmartCrop's performance delta, mean(scores) / mean(baseline) - 1; each (samples,) over the same samples.

        Against a baseline whose mean is 0 the relative change is NaN, and so is its interval. Whether the scores differ
        is still tested: the test is of the sum of differences.
        """
        found = paired_differences(scores, baseline, "performance delta")
        return cls(found.values, finite(baseline, "performance delta"), is_effect=True, error=found.error_of_sum)


def e_ratio(e_token: ArrayLike, n_token: ArrayLike) -> float:
    """Share of canvas tokens that are answer: sum(e_token) / sum(n_token), each (samples,) (DAEDAL's E_ratio)."""
    return Statistic.ratio(e_token, n_token, "E_ratio").value


def flops_saved(flops: ArrayLike, baseline: ArrayLike) -> float:
    """1 - sum(flops) / sum(baseline), each (samples,) over the same samples (SmartCrop's FLOPs saved)."""
    return Statistic.flops_saved(flops, baseline).value


def performance_delta(scores: ArrayLike, baseline: ArrayLike) -> float:
    """Relative change of the mean score, each (samples,) over the same samples (SmartCrop's performance delta)."""
    return Statistic.performance_delta(scores, baseline).value


def mean(values: ArrayLike) -> float:
    """Arithmetic mean, NaN of nothing."""
    return Statistic.mean(values).value


def standard_deviation(values: Sequence[float]) -> float:
    """Of (repeats,) values, n - 1 in the denominator: how much a number varies from seed to seed.

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
    """A run's columns of the cost table, by name; each argument (samples,) of that run, fields of its records.

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
