"""The least-squares sum of two decaying exponentials and a constant."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_RATES = np.concatenate([[0.0], np.geomspace(1e-4, 10.0, 80)])
"""Decay rates that are tried first, per unit of x."""
_ZOOMS = 6
_DIGITS = 6
"""Decimal places of a coefficient."""


def fit_exponentials(places: Sequence[float], values: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """(a, b, c, d, e), none negative and b >= d, of the least-squares curve a exp(-b x) + c exp(-d x) + e.

    `values`: at the places x, (places,). For two given rates the best amplitudes are a linear problem, so that a
    search over the rates finds the curve: a grid over all of them, then finer grids around the best pair.
    """
    at = np.asarray(places, dtype=np.float64)
    low = high = _RATES
    for _ in range(_ZOOMS):
        fits = [(*_amplitudes(at, values, fast, slow), fast, slow) for fast in high for slow in low if slow <= fast]
        _, (a, c, e), fast, slow = min(fits, key=lambda fit: fit[0])
        high, low = _around(high, fast), _around(low, slow)
    a, b, c, d, e = (round(float(value), _DIGITS) for value in (a, fast, c, slow, e))
    return a, b, c, d, e


def _amplitudes(
    places: NDArray[np.float64], values: NDArray[np.float64], fast: float, slow: float
) -> tuple[float, NDArray[np.float64]]:
    """Sum of squared errors and the amplitudes (a, c, e), none negative, for two given rates.

    Non-negative least squares of three columns: the best unconstrained fit over every subset of the columns.
    """
    columns = np.stack([np.exp(-fast * places), np.exp(-slow * places), np.ones_like(places)], axis=1)
    best: tuple[float, NDArray[np.float64]] = (float("inf"), np.zeros(3))
    for chosen in ([0, 1, 2], [1, 2], [0, 2], [0, 1], [2], [1], [0]):
        amplitudes = np.zeros(3)
        amplitudes[chosen] = np.linalg.lstsq(columns[:, chosen], values, rcond=None)[0]
        error = float(((columns @ amplitudes - values) ** 2).sum())
        if (amplitudes >= 0).all() and error < best[0]:
            best = error, amplitudes
            if len(chosen) == len(amplitudes):  # no fit of fewer columns is better
                break
    return best


def _around(rates: NDArray[np.float64], best: float) -> NDArray[np.float64]:
    """A grid between the neighbours of the best rate."""
    place = int(np.flatnonzero(rates == best)[0])
    return np.linspace(rates[max(place - 1, 0)], rates[min(place + 1, len(rates) - 1)], 9)
