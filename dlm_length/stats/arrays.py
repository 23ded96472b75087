"""What every statistic asks of its arrays: one dimension, finite, and as many of each where they are paired."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dlm_length.common import first_few
from dlm_length.stats.errors import StatisticsError

FloatArray = NDArray[np.float64]

ROUNDING = 1e-12
"""Relative to the values, or to the sum of absolute terms: what differs by less differs by rounding alone.

Thirds do not subtract exactly: 2/3 - 1/3 is not 1/3 - 0, and a test must see such differences as ties.
"""


def finite(values: ArrayLike, what: str) -> FloatArray:
    """`values` as (samples,) float64. Raises StatisticsError for NaN or infinity, named by `what`."""
    array = np.asarray(values, dtype=np.float64)
    assert array.ndim == 1, f"{what}: one value a sample, but the array has shape {array.shape}"
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


def some(n: int, what: str) -> None:
    """Raises StatisticsError for no samples."""
    if not n:
        raise StatisticsError(f"{what}: there is no sample to test; were all left out, or is the run empty?")


def some_resamples(resamples: int, what: str) -> None:
    """Raises StatisticsError for none."""
    if resamples < 1:
        raise StatisticsError(f"{what}: resamples must be at least 1, but is {resamples}.")


def is_binary(values: ArrayLike) -> bool:
    """Whether every value is 0 or 1, so that McNemar's test applies."""
    array = np.asarray(values, dtype=np.float64)
    return bool(np.isin(array, (0.0, 1.0)).all())
