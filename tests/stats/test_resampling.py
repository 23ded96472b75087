"""The paired bootstrap against SciPy's under the same draws, against full enumeration, and in edge cases."""

import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dlm_length.stats import Estimate, IntervalKind, Statistic, StatisticsError, bootstrap

Values = NDArray[np.float64]

graded = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12)


def estimate(
    statistic: Statistic, seed: int = 0, resamples: int = 500, interval: IntervalKind = "percentile"
) -> Estimate:
    return bootstrap({"it": statistic}, rng=seed, resamples=resamples, interval=interval)["it"]


def p_of(statistic: Statistic, resamples: int = 500) -> float:
    test = estimate(statistic, resamples=resamples).test
    assert test is not None
    return test.p


def draw(kind: str, n: int = 60) -> tuple[Values, Values]:
    rng = np.random.default_rng(n)
    if kind == "binary":
        return (rng.random(n) < 0.6).astype(float), (rng.random(n) < 0.5).astype(float)
    return rng.lognormal(0, 0.7, n), rng.lognormal(0.3, 0.7, n)


@pytest.mark.parametrize(("interval", "method"), [("percentile", "percentile"), ("bca", "BCa")])
@pytest.mark.parametrize("kind", ["binary", "skewed"])
@pytest.mark.parametrize(
    ("statistic", "formula"),
    [
        (Statistic.performance_delta, lambda a, b, axis: a.mean(axis) / b.mean(axis) - 1),
        (Statistic.flops_saved, lambda a, b, axis: 1 - a.sum(axis) / b.sum(axis)),
        (Statistic.difference, lambda a, b, axis: (a - b).mean(axis)),
        (Statistic.ratio, lambda a, b, axis: a.sum(axis) / b.sum(axis)),
    ],
)
def test_intervals_are_scipys_under_the_same_draws(
    interval: IntervalKind, method: str, kind: str, statistic: object, formula: object
) -> None:
    assert callable(statistic)
    ours, theirs = draw(kind)
    found = bootstrap({"it": statistic(ours, theirs)}, rng=11, resamples=1500, confidence=0.9, interval=interval)["it"]
    reference = scipy.stats.bootstrap(
        (ours, theirs), formula, paired=True, vectorized=True, n_resamples=1500, confidence_level=0.9, method=method,
        rng=np.random.default_rng(11),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx(tuple(reference), rel=1e-9)
    assert (found.confidence, found.interval, found.n, found.resamples) == (0.9, interval, 60, 1500)


def test_p_against_all_resamples_of_three_samples() -> None:
    """All 27 resamples: 10 have a sum of at most 0, 23 of at least 0, 6 of exactly 0."""
    differences = [-2, 1, 4]
    sums = [sum(drawn) for drawn in itertools.product(differences, repeat=3)]
    at_most = sum(total <= 0 for total in sums) / 27
    assert at_most == 10 / 27
    found = p_of(Statistic.difference(differences, [0, 0, 0]), resamples=20_000)
    assert found == pytest.approx(2 * at_most, abs=0.02)


def test_the_smallest_p_includes_the_observed_sample() -> None:
    scores, baseline = np.ones(100), np.zeros(100)
    assert p_of(Statistic.difference(scores, baseline), resamples=99) == 2 * 1 / 100


@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_few_samples_cannot_have_stars(n: int) -> None:
    """Every resample of n equal differences has their sign; n random signs agree with probability 2^(1 - n)."""
    assert p_of(Statistic.flops_saved(np.full(n, 1.0), np.full(n, 2.0)), resamples=5000) == 2.0 ** (1 - n)


@settings(deadline=None)
@given(graded, st.integers(1, 60))
def test_p_lies_between_one_resample_and_one(pairs: list[tuple[float, float]], resamples: int) -> None:
    scores, baseline = zip(*pairs, strict=True)
    assert 1 / (resamples + 1) <= p_of(Statistic.performance_delta(scores, baseline), resamples) <= 1


@settings(deadline=None)
@given(graded)
def test_swapping_run_and_baseline_changes_only_the_sign(pairs: list[tuple[float, float]]) -> None:
    scores, baseline = zip(*pairs, strict=True)
    one = estimate(Statistic.difference(scores, baseline))
    other = estimate(Statistic.difference(baseline, scores))
    assert other.value == -one.value
    assert (other.low, other.high) == pytest.approx((-one.high, -one.low), abs=1e-12, nan_ok=True)
    assert one.test is not None
    assert other.test is not None
    assert (other.test.p, other.test.statistic) == (one.test.p, -one.test.statistic)


@settings(deadline=None)
@given(graded, st.sampled_from(["percentile", "bca"]))
def test_an_interval_is_ordered(pairs: list[tuple[float, float]], interval: IntervalKind) -> None:
    scores, _ = zip(*pairs, strict=True)
    found = estimate(Statistic.mean(scores), interval=interval, resamples=40)
    assert math.isnan(found.low) == math.isnan(found.high)
    assert not found.low > found.high


@settings(deadline=None)
@given(st.integers(2, 60), st.floats(-1, 1), st.integers(0, 10_000))
def test_the_percentile_interval_leaves_0_out_where_p_is_below_5_percent(n: int, shift: float, seed: int) -> None:
    noise = np.random.default_rng(seed).normal(shift, 1, n)
    found = estimate(Statistic.difference(noise, np.zeros(n)), resamples=999)
    assert found.test is not None
    if found.test.p < 0.05:
        assert not found.low <= 0 <= found.high
    elif n > 6:  # below, 2^(1 - n) can hold p up
        assert found.low <= 0 <= found.high or found.test.p < 0.055


def test_runs_share_their_resamples() -> None:
    """A run that does exactly twice another's FLOPs has exactly twice its mean in every resample."""
    flops = draw("skewed")[0]
    found = bootstrap({"one": Statistic.mean(flops), "two": Statistic.mean(2 * flops)}, rng=0, resamples=200)
    assert (found["two"].low, found["two"].high) == pytest.approx((2 * found["one"].low, 2 * found["one"].high))


def test_pairing_removes_the_variance_between_samples() -> None:
    """Hard and easy samples differ far more than the runs do; unpaired, the interval would be about 2.8 wide."""
    difficulty = np.random.default_rng(0).normal(0, 10, 400)
    found = estimate(Statistic.difference(difficulty + 0.1, difficulty))
    assert found.high - found.low < 1e-9


def test_a_seed_fixes_a_statistic_whatever_others_are_computed() -> None:
    ours, theirs = draw("skewed")
    delta = Statistic.performance_delta(ours, theirs)
    statistics = {"mean": Statistic.mean(ours), "it": delta, "saved": Statistic.flops_saved(ours, theirs)}
    together = bootstrap(statistics, rng=0, resamples=500)["it"]
    alone = estimate(delta)
    assert (together.low, together.high, together.test) == pytest.approx((alone.low, alone.high, alone.test))
    assert estimate(delta, seed=1).low != alone.low


def test_a_generator_is_advanced() -> None:
    statistic, rng = Statistic.mean(draw("skewed")[0]), np.random.default_rng(0)
    first, second = (bootstrap({"it": statistic}, rng=rng, resamples=100)["it"] for _ in range(2))
    assert first.low != second.low


def test_memory_is_bounded_without_changing_a_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    delta = Statistic.performance_delta(*draw("binary"))
    whole = estimate(delta)
    monkeypatch.setattr("dlm_length.stats.resampling._DRAWS_AT_ONCE", 7 * 60 + 5)
    assert estimate(delta) == whole


def test_thirds_that_cancel_count_as_0() -> None:
    """In floating point their sum is 1e-17 of either sign; the same sums of integers are 0."""
    rng = np.random.default_rng(5)
    ours, theirs = rng.integers(0, 4, 40), rng.integers(0, 4, 40)
    assert p_of(Statistic.difference(ours / 3, theirs / 3)) == p_of(Statistic.difference(ours, theirs))


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_equal_scores_have_no_effect(interval: IntervalKind) -> None:
    scores = [0.1, 0.7, 0.3]
    found = estimate(Statistic.performance_delta(scores, scores), interval=interval)
    assert (found.value, found.low, found.high) == (0, 0, 0)
    assert found.test is not None
    assert found.test.p == 1


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_an_effect_without_variance_has_an_interval_of_width_0(interval: IntervalKind) -> None:
    found = estimate(Statistic.flops_saved(np.full(30, 0.3), np.full(30, 0.4)), interval=interval)
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))
    assert found.test is not None
    assert found.test.p == 2 / 501


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_a_single_sample_has_a_value_but_no_interval_and_no_star(interval: IntervalKind) -> None:
    found = estimate(Statistic.performance_delta([1], [0.5]), interval=interval)
    assert found.value == 1
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.test is not None
    assert found.test.p == 1


def test_a_baseline_of_0_has_no_relative_change_but_has_a_test() -> None:
    found = estimate(Statistic.performance_delta(np.ones(20), np.zeros(20)))
    assert [math.isnan(number) for number in (found.value, found.low, found.high)] == [True] * 3
    assert found.test is not None
    assert (found.test.p, found.test.statistic) == (2 / 501, 1)


def test_a_baseline_of_nearly_0_has_an_unbounded_relative_change() -> None:
    """One success in 20: a third of the resamples have none."""
    scores, baseline = np.repeat([1.0, 0.0], 10), np.eye(20)[0]
    found = estimate(Statistic.performance_delta(scores, baseline))
    assert found.value == 9
    assert 0 < found.low < 9
    assert found.high == math.inf
    with np.errstate(all="raise"):
        corrected = estimate(Statistic.performance_delta(scores, baseline), interval="bca")
    assert math.isnan(corrected.low), "leaving out the only success leaves no baseline"


def test_a_quantity_of_one_run_has_no_test() -> None:
    assert estimate(Statistic.mean([1, 2, 3])).test is None


def test_no_statistics_no_estimates() -> None:
    assert bootstrap({}, rng=0) == {}


@pytest.mark.parametrize(
    ("statistics", "settings", "message"),
    [
        ({"a": Statistic.mean([])}, {}, "no sample to test"),
        ({"a": Statistic.mean([1]), "b": Statistic.mean([1, 2])}, {}, r"only over the same samples, but n is \[1, 2\]"),
        ({"a": Statistic.mean([1, 2])}, {"resamples": 0}, "resamples must be at least 1"),
        ({"a": Statistic.mean([1, 2])}, {"confidence": 95}, "confidence must be between 0 and 1, but is 95"),
    ],
)
def test_statistics_that_cannot_be_resampled_are_refused(
    statistics: dict[str, Statistic], settings: dict, message: str
) -> None:
    with pytest.raises(StatisticsError, match=message):
        bootstrap(statistics, rng=0, **settings)


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 30), st.integers(0, 100))
def test_a_ratio_is_resampled_as_the_ratio_of_its_sums(n: int, seed: int) -> None:
    """Against a loop over resamples, drawn one index at a time."""
    rng = np.random.default_rng(seed)
    e_token, n_token = rng.integers(1, 50, n).astype(float), rng.integers(50, 500, n).astype(float)
    found = estimate(Statistic.ratio(e_token, n_token), seed=seed, resamples=60)
    drawn = np.random.default_rng(seed).integers(0, n, (60, n))
    looped = [e_token[row].sum() / n_token[row].sum() for row in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(looped, [0.025, 0.975])))


@pytest.mark.parametrize("flips", [1, 2, 5, 8])
def test_samples_that_do_not_differ_add_no_evidence(flips: int) -> None:
    """With a hundred ties, resampling alone would give five flips in one direction a p of 0.01."""
    scores, baseline = np.zeros(100), np.zeros(100)
    scores[:flips] = 1
    assert p_of(Statistic.difference(scores, baseline), resamples=20_000) >= 2.0 ** (1 - flips)
