"""Minimum detectable effect and samples needed, against statsmodels and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import normal_power_het, normal_sample_size_one_tail

from dlm_length.stats import (
    Spread,
    Statistic,
    StatisticsError,
    bootstrap,
    mcnemar,
    minimum_detectable_effect,
    observed_spread,
    samples_needed,
)

GRADED = Spread(sd=0.2, discordance=None)
FLIPPING = Spread(sd=math.nan, discordance=0.3)


def test_the_observed_spread_by_hand() -> None:
    spread = observed_spread([1, 1, 0, 0], [0, 1, 1, 0])
    assert spread.discordance == 0.5
    assert spread.sd == pytest.approx(math.sqrt(2 / 3))
    assert observed_spread([0.5, 1], [0, 0]) == Spread(sd=pytest.approx(math.sqrt(0.125)), discordance=None)


def test_gsm8k_by_hand() -> None:
    """1,319 graded samples, sd 0.2: (1.96 + 0.842) * 0.2 / sqrt(1319)."""
    found = minimum_detectable_effect(1319, GRADED)
    assert found.effect == pytest.approx(2.8016 * 0.2 / math.sqrt(1319), rel=1e-4)
    assert (found.n, found.alpha, found.power, found.spread) == (1319, 0.05, 0.8, GRADED)


@pytest.mark.parametrize("n", [60, 164, 1319])
@pytest.mark.parametrize(("alpha", "power"), [(0.05, 0.8), (0.01, 0.9), (0.2, 0.4)])
@pytest.mark.parametrize("spread", [GRADED, FLIPPING])
def test_a_minimum_detectable_effect_has_the_power_statsmodels_gives_it(
    n: int, alpha: float, power: float, spread: Spread
) -> None:
    effect = minimum_detectable_effect(n, spread, alpha=alpha, power=power).effect
    null, alternative = (0.2, 0.2) if spread is GRADED else (math.sqrt(0.3), math.sqrt(0.3 - effect**2))
    found = normal_power_het(effect, n, alpha / 2, std_null=null, std_alternative=alternative, alternative="larger")
    assert found == pytest.approx(power)


@settings(deadline=None)
@given(st.floats(0.01, 0.29), st.sampled_from([0.01, 0.05]), st.sampled_from([0.5, 0.8, 0.95]))
def test_samples_needed_are_statsmodels(effect: float, alpha: float, power: float) -> None:
    for spread in (GRADED, FLIPPING):
        null, alternative = (0.2, 0.2) if spread is GRADED else (math.sqrt(0.3), math.sqrt(0.3 - effect**2))
        expected = normal_sample_size_one_tail(effect, power, alpha / 2, std_null=null, std_alternative=alternative)
        assert samples_needed(effect, spread, alpha=alpha, power=power).n == math.ceil(expected)


@settings(deadline=None)
@given(st.integers(30, 5000), st.sampled_from([GRADED, FLIPPING]))
def test_detectable_effect_and_samples_needed_are_inverse(n: int, spread: Spread) -> None:
    smallest = minimum_detectable_effect(n, spread).effect
    assert samples_needed(-smallest * (1 + 1e-9), spread).n == n
    assert samples_needed(smallest * (1 - 1e-9), spread).n == n + 1


def test_the_number_of_samples_gives_the_power_to_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    n = samples_needed(0.05, GRADED).n
    data = {i: Statistic.difference(rng.normal(0.05, 0.2, n), np.zeros(n)) for i in range(1000)}
    tests = [estimate.test for estimate in bootstrap(data, rng=1, resamples=1000).values()]
    shown = np.mean([test.p < 0.05 for test in tests if test is not None])
    assert shown == pytest.approx(0.8, abs=0.04)


def test_the_number_of_samples_gives_the_power_to_mcnemar() -> None:
    """Slightly less, as the exact test stays below its level."""
    rng = np.random.default_rng(2)
    n = samples_needed(0.06, FLIPPING).n
    draws = rng.choice([1, -1, 0], size=(1000, n), p=[0.18, 0.12, 0.7])
    shown = np.mean([mcnemar(row > 0, row < 0).p < 0.05 for row in draws])
    assert 0.74 < shown < 0.82


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: observed_spread([1], [0]), "at least two samples, but there are 1"),
        (lambda: observed_spread([1, math.nan], [0, 1]), "1 of 2 values are NaN"),
        (lambda: minimum_detectable_effect(100, observed_spread([1, 0], [1, 0])), "differences do not vary"),
        (lambda: minimum_detectable_effect(100, observed_spread([0.5, 0.7], [0.5, 0.7])), "differences do not vary"),
        (lambda: minimum_detectable_effect(100, observed_spread([0.3, 0.4], [0.2, 0.3])), "differences do not vary"),
        (lambda: samples_needed(0.1, observed_spread([1, 0], [1, 0])), "differences do not vary"),
        (lambda: minimum_detectable_effect(0, GRADED), "at least one sample, but n is 0"),
        (lambda: minimum_detectable_effect(2, FLIPPING), "2 samples of which 30.0% flip show no effect"),
        (lambda: minimum_detectable_effect(15, FLIPPING), "not even all flips in one direction"),
        (lambda: samples_needed(0, GRADED), "effect of 0 cannot be shown"),
        (lambda: samples_needed(math.nan, GRADED), "effect of nan cannot be shown"),
        (lambda: samples_needed(0.4, FLIPPING), "cannot change by 40.0% where only 30.0%"),
        (lambda: samples_needed(0.1, GRADED, alpha=5), "alpha must be between 0 and 1"),
        (lambda: samples_needed(0.1, GRADED, power=1), "power between alpha and 1"),
    ],
)
def test_an_impossible_power_analysis_is_refused(ask: object, message: str) -> None:
    assert callable(ask)
    with pytest.raises(StatisticsError, match=message):
        ask()
