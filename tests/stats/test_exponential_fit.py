"""The fitted curve against known ones and scipy's fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from dlm_length.policies.length_search import length_bias
from dlm_length.stats import fit_exponentials

LENGTHS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]


def test_a_curve_without_noise_is_found_again() -> None:
    """CAL's own."""
    known = (1.0, 1.77, 0.56, 0.06, 0.24)
    found = fit_exponentials(LENGTHS, length_bias(np.array(LENGTHS), known))
    np.testing.assert_allclose(found, known, rtol=0.02)
    np.testing.assert_allclose(length_bias(np.arange(1, 129), found), length_bias(np.arange(1, 129), known), atol=5e-4)


@pytest.mark.parametrize("seed", range(3))
def test_with_noise_no_fit_of_scipy_is_better(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = np.array(LENGTHS)
    measured = length_bias(lengths, (0.6, 0.8, 0.4, 0.03, 0.3)) + rng.normal(0, 0.01, len(LENGTHS))

    def curve(places: np.ndarray, *bias: float) -> np.ndarray:
        return length_bias(places, bias)

    bounds = (np.zeros(5), [np.inf, 10, np.inf, 10, np.inf])
    theirs = curve_fit(curve, lengths, measured, p0=(0.5, 1.0, 0.5, 0.02, 0.2), bounds=bounds)[0]
    ours = fit_exponentials(LENGTHS, measured)
    assert ((curve(lengths, *ours) - measured) ** 2).sum() <= ((curve(lengths, *theirs) - measured) ** 2).sum() * 1.001


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=8))
def test_no_coefficient_is_negative(confidences: list[float]) -> None:
    bias = fit_exponentials(range(1, len(confidences) + 1), np.array(confidences))
    assert min(bias) >= 0
    assert bias[1] >= bias[3]


def test_a_flat_confidence_is_a_flat_curve() -> None:
    np.testing.assert_allclose(
        length_bias(np.arange(1, 200), fit_exponentials(LENGTHS, np.full(14, 0.4))), 0.4, atol=1e-5
    )
