"""Checks of the arrays of every statistic: one dimension, finite values, equal sizes where they are paired."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlm_length.common import counted, first_few
from dlm_length.stats.errors import StatisticsError

FloatArray = NDArray[np.float64]

TIE_TOLERANCE = 1e-12
"""Relative tolerance: a smaller difference of two values is a rounding error, and a tie in every test.

Neither 0.1 + 0.2 and 0.3, nor 2/3 - 1/3 and 1/3 - 0 are equal in floating point. The rule is applied in
`paired_differences` alone.
"""


@dataclass(frozen=True, eq=False)
class Differences:
    """Paired differences; those that are only rounding errors are exactly 0."""

    values: FloatArray
    """(samples,), run less baseline."""
    errors: FloatArray
    """(samples,), bound of each difference's rounding error; 0 where the two values are equal."""

    @property
    def largest_error(self) -> float:
        """Largest rounding error; two differences that are no further apart count as equal."""
        return float(self.errors.max(initial=0.0))

    @property
    def error_of_sum(self) -> float:
        """Rounding error of a sum of the differences with any signs; two sums that are no further apart are equal."""
        return math.fsum(self.errors.tolist())

    @property
    def sum(self) -> float:
        """Sum of the differences, rounded once, so that it does not depend on the order of samples."""
        return math.fsum(self.values.tolist())

    @property
    def mean(self) -> float:
        """Mean difference; NaN for no samples."""
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
    """Both as (samples,) float64, in the same order. Raises StatisticsError for different n, NaN or infinity."""
    left, right = finite(ours, what), finite(theirs, what)
    if left.size != right.size:
        raise StatisticsError(
            f"{what} is paired, but the run has {counted(left.size, 'sample')} and its baseline {right.size:,};"
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
    """Whether two numbers are equal within rounding."""
    return not paired_differences([one], [other], "two numbers").values.any()


def require_samples(n: int, what: str) -> None:
    """Raise StatisticsError for no samples."""
    if not n:
        raise StatisticsError(f"{what}: there is no sample to test; were all left out, or is the run empty?")


def require_resamples(resamples: int, what: str) -> None:
    """Raise StatisticsError for fewer than one resample."""
    if resamples < 1:
        raise StatisticsError(f"{what}: resamples must be at least 1, but is {resamples}.")


def is_binary(values: ArrayLike) -> bool:
    """Whether every value is 0 or 1 within rounding, so that McNemar's test applies."""
    array = np.asarray(values, dtype=np.float64)
    return bool((np.minimum(np.abs(array), np.abs(array - 1)) <= TIE_TOLERANCE).all())
