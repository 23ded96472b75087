"""Intervals and standard errors of scores, against statsmodels, SciPy and by simulation."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from dlm_length.stats import Estimate, Statistic, StatisticsError, bootstrap, score_intervals, standard_error, wilson


def interval(scores: object, resamples: int = 500) -> Estimate:
    return score_intervals({"it": Statistic.mean(scores)}, rng=0, resamples=resamples)["it"]  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.integers(1, 2000), st.data(), st.sampled_from([0.9, 0.95, 0.99]))
def test_wilson_is_statsmodels(n: int, data: st.DataObject, confidence: float) -> None:
    right = data.draw(st.integers(0, n))
    expected = proportion_confint(right, n, alpha=1 - confidence, method="wilson")
    low, high = wilson(right / n, n, confidence=confidence)
    assert (low, high) == pytest.approx(expected, abs=1e-12)
    assert low <= right / n <= high


def test_none_and_all_correct_have_an_interval_with_a_width() -> None:
    """For 3 correct of 3 the bootstrap's interval would be [1, 1]."""
    assert wilson(1, 3) == (pytest.approx(0.4385, abs=1e-4), 1.0)
    assert wilson(0, 3) == (0.0, pytest.approx(0.5615, abs=1e-4))
    for score in (0.0, 1.0):
        found = interval([score] * 20)
        assert found.high - found.low > 0.1


@pytest.mark.parametrize(("share", "n"), [(0.5, 0), (1.1, 10), (-0.1, 10), (math.nan, 10)])
def test_wilson_refuses_a_value_that_is_not_a_share(share: float, n: int) -> None:
    with pytest.raises(StatisticsError, match="Wilson's interval"):
        wilson(share, n)


@pytest.mark.parametrize("truth", [0.05, 0.5, 0.9])
def test_wilson_has_its_nominal_coverage(truth: float) -> None:
    """By enumeration of all outcomes of 60: 95% on average over such shares, and never far from it."""
    chance = scipy.stats.binom.pmf(np.arange(61), 60, truth)
    covered = [low <= truth <= high for low, high in (wilson(right / 60, 60) for right in range(61))]
    assert 0.93 < float(chance @ np.array(covered)) < 0.98


def test_scores_of_0_and_1_have_wilsons_interval_and_graded_ones_the_bootstraps() -> None:
    binary = [1.0] * 12 + [0.0] * 8
    found = interval(binary)
    assert (found.interval, found.resamples, found.n, found.test) == ("wilson", None, 20, None)
    assert (found.value, found.low, found.high) == (0.6, *wilson(0.6, 20))
    graded = Statistic.mean([0.1, 0.4, 0.5, 0.9])
    both = score_intervals({"g": graded, "b": Statistic.mean(binary)}, rng=3, resamples=200)
    assert list(both) == ["g", "b"]
    assert both["g"] == bootstrap({"g": graded}, rng=3, resamples=200)["g"]
    assert both["g"].interval == "percentile"


def test_scores_that_are_0_or_1_within_rounding_are_binary() -> None:
    assert interval([sum([0.1] * 10), 0.0, 1.0]).interval == "wilson"
    assert interval([0.999, 0.0, 1.0]).interval == "percentile"


@pytest.mark.parametrize("followed", [0, 1, 2])
def test_a_pooled_share_without_spread_has_wilsons_interval_of_its_units(followed: int) -> None:
    """As for IFEval's instructions where all are followed: the bootstrap's interval would be [1, 1]."""
    total = np.array([2.0, 4.0, 2.0, 6.0] * 5)
    pooled = Statistic.ratio(total * followed / 2, total)
    found = score_intervals({"": pooled}, rng=0, resamples=200)[""]
    assert (found.interval, found.low, found.high) == ("wilson", *wilson(followed / 2, 20))
    assert found.high - found.low > 0.1
    spread = Statistic.ratio([1.0, 4.0, 2.0], [2.0, 4.0, 2.0])
    assert score_intervals({"": spread}, rng=0, resamples=200)[""].interval == "percentile"


@pytest.mark.parametrize("value", [0.5, 0.1, 2 / 3])
def test_graded_scores_without_spread_have_no_interval(value: float) -> None:
    found = interval([value] * 20)
    assert found.value == pytest.approx(value)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    varied = interval([value] * 19 + [1.0])
    assert varied.low < varied.high


def test_the_standard_error_of_a_mean_is_lm_evals() -> None:
    """lm-eval's `mean_stderr`: the sample's standard deviation over the square root of n."""
    values = np.random.default_rng(0).random(50)
    expected = np.std(values, ddof=1) / math.sqrt(50)
    assert interval(values).stderr == pytest.approx(expected)
    assert math.isnan(interval([0.3]).stderr)
    assert interval([1.0, 1.0]).stderr == 0


def test_the_standard_error_of_a_ratio_is_the_spread_of_its_resamples() -> None:
    rng = np.random.default_rng(1)
    followed, total = rng.integers(0, 3, 400).astype(float), rng.integers(1, 4, 400).astype(float)
    followed = np.minimum(followed, total)
    ratio = Statistic.ratio(followed, total)
    drawn = rng.integers(0, 400, (4000, 400))
    spread = np.std(followed[drawn].sum(axis=1) / total[drawn].sum(axis=1))
    assert standard_error(ratio) == pytest.approx(spread, rel=0.05)


def test_problems_not_samples_are_the_units() -> None:
    """Ten equal answers to each problem are no more evidence than one: the interval is that of the problems."""
    problems = np.random.default_rng(2).integers(0, 2, 40).astype(float)
    once, tenfold = interval(problems), interval(np.repeat(problems, 10))
    assert tenfold.high - tenfold.low < 0.4 * (once.high - once.low), "which counting samples would claim"


def test_no_scores_have_no_intervals_and_no_samples_are_refused() -> None:
    assert score_intervals({}, rng=0) == {}
    with pytest.raises(StatisticsError, match="no sample"):
        interval([])
