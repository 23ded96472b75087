"""What every statistic requires of its arrays: one dimension, finite values, equal sizes where they are paired."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlm_length.common import first_few
from dlm_length.stats.errors import StatisticsError

FloatArray = NDArray[np.float64]

TIE_TOLERANCE = 1e-12
"""Relative to the values: a smaller difference is rounding, and is a tie in every test.

Neither 0.1 + 0.2 and 0.3, nor 2/3 - 1/3 and 1/3 - 0 are equal in floating point. The rule is applied in
`paired_differences` alone.
"""


@dataclass(frozen=True, eq=False)
class Differences:
    """Paired differences, in which those that are rounding are exactly 0."""

    values: FloatArray
    """(samples,), run less baseline."""
    errors: FloatArray
    """(samples,): how far rounding may have moved each; 0 where both values are the same number."""

    @property
    def largest_error(self) -> float:
        """Two differences that are no further apart are the same."""
        return float(self.errors.max(initial=0.0))

    @property
    def error_of_sum(self) -> float:
        """Sums of the differences, under whatever signs, that are no further apart are the same."""
        return math.fsum(self.errors.tolist())

    @property
    def sum(self) -> float:
        """Rounded once, and so the same in every order of samples."""
        return math.fsum(self.values.tolist())

    @property
    def mean(self) -> float:
        """NaN of no samples."""
        return self.sum / self.values.size if self.values.size else math.nan


def finite(values: ArrayLike, what: str) -> FloatArray:
    """`values` as (samples,) float64. Raises StatisticsError for NaN or infinity, named by `what`."""
    array = np.asarray(values, dtype=np.float64)
    assert array.ndim == 1, f"{what}: one value per sample, but the array has shape {array.shape}"
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise StatisticsError(
            f"{what}: {bad.size:,} of {array.size:,} values are NaN or infinite (rows {first_few(bad.tolist())});"
            f" leave those samples out of every run of the comparison."
        )
    return array


def paired(ours: ArrayLike, theirs: ArrayLike, what: str) -> tuple[FloatArray, FloatArray]:
    """Both as (samples,) float64, sample by sample. Raises StatisticsError for different n, NaN or infinity."""
    left, right = finite(ours, what), finite(theirs, what)
    if left.size != right.size:
        raise StatisticsError(
            f"{what} is paired, but the run has {left.size:,} samples and its baseline {right.size:,};"
            f" `pair` aligns them by id and names those that are missing."
        )
    return left, right


def paired_differences(ours: ArrayLike, theirs: ArrayLike, what: str) -> Differences:
    """`ours` less `theirs`, sample by sample. Raises as `paired`."""
    left, right = paired(ours, theirs, what)
    values = left - right
    errors = TIE_TOLERANCE * np.maximum(np.abs(left), np.abs(right))
    values[np.abs(values) <= errors] = 0.0
    errors[left == right] = 0.0
    return Differences(values, errors)


def is_tie(one: float, other: float) -> bool:
    """Whether two numbers are equal, but for rounding."""
    return not paired_differences([one], [other], "two numbers").values.any()


def require_samples(n: int, what: str) -> None:
    """Raises StatisticsError for no samples."""
    if not n:
        raise StatisticsError(f"{what}: there is no sample to test; were all left out, or is the run empty?")


def require_resamples(resamples: int, what: str) -> None:
    """Raises StatisticsError for none."""
    if resamples < 1:
        raise StatisticsError(f"{what}: resamples must be at least 1, but is {resamples}.")


def is_binary(values: ArrayLike) -> bool:
    """Whether every value is 0 or 1, but for rounding, so that McNemar's test applies."""
    array = np.asarray(values, dtype=np.float64)
    return bool((np.minimum(np.abs(array), np.abs(array - 1)) <= TIE_TOLERANCE).all())
