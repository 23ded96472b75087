"""Non-inferiority and equivalence, against hand-worked cases, statsmodels and SciPy; their level by enumeration."""

import math
from itertools import product

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, multinomial, norm
from statsmodels.stats.weightstats import ttost_paired

from dlm_length.stats import (
    MARGIN_LEVEL,
    Spread,
    StatisticsError,
    margin_test,
    observed_spread,
    samples_for_margin,
)
from dlm_length.stats.margins import _SHARE_ERROR, _share_interval, exact_margin_p, score_bound, score_statistic


def flipped(gained: int, lost: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a run and its baseline with these numbers of flips; all other samples are correct in both."""
    ours, theirs = np.ones(n), np.ones(n)
    theirs[:gained] = 0
    ours[gained : gained + lost] = 0
    return ours, theirs


def shares(share: float, margin: float) -> tuple[float, float, float]:
    """Probabilities of (gained, lost, unchanged) where `share` flip and the run is worse by the margin."""
    gained, lost = max(0.0, (share - margin) / 2), (share + margin) / 2
    return gained, lost, max(0.0, 1 - gained - lost)


@pytest.mark.parametrize(("count", "n"), [(0, 20), (3, 20), (17, 40), (20, 20), (5, 400)])
def test_each_end_of_the_share_interval_has_half_of_the_error(count: int, n: int) -> None:
    def chance(counts: range, share: float) -> float:
        return math.fsum(math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in counts)

    low, high = _share_interval(count, n)
    if count:
        assert chance(range(count, n + 1), low) == pytest.approx(_SHARE_ERROR / 2, rel=1e-6)
    if count < n:
        assert chance(range(count + 1), high) == pytest.approx(_SHARE_ERROR / 2, rel=1e-6)
    assert (low == 0, high == 1) == (count == 0, count == n)


def test_the_statistic_reproduces_tangos_example() -> None:
    """Tango 1998: 44 patients of the soft contact lens trial, one lost, margin 0.1: z = 1.709, p = 0.044."""
    z = float(score_statistic(0, 1, 44, 0.1))
    # by hand: 4 n q = 9.9 + sqrt(9.9^2 - 8 * 44 * 0.11) = 17.6, q = 0.1, variance 44 * (0.2 - 0.11), shift -1 + 4.4
    assert z == pytest.approx(3.4 / math.sqrt(3.96))
    assert (round(z, 3), round(float(norm.sf(z)), 3)) == (1.709, 0.044)


def test_a_margin_of_0_is_mcnemars_statistic() -> None:
    assert float(score_statistic(12, 5, 90, 0.0)) == pytest.approx((12 - 5) / math.sqrt(12 + 5))


@pytest.mark.parametrize(("gained", "lost", "n", "margin"), [(3, 7, 60, 0.05), (0, 4, 30, 0.2), (9, 2, 45, -0.1)])
def test_its_variance_is_that_of_the_most_likely_share(gained: int, lost: int, n: int, margin: float) -> None:
    def unlikely(losses: float) -> float:
        logs = [
            count * math.log(share)
            for count, share in (
                (gained, losses - margin),
                (lost, losses),
                (n - gained - lost, 1 - 2 * losses + margin),
            )
            if count
        ]
        return -sum(logs)

    bounds = (max(0.0, margin) + 1e-9, (1 + margin) / 2 - 1e-9)
    losses = minimize_scalar(unlikely, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    z = (gained - lost + n * margin) / math.sqrt(n * (2 * losses - margin - margin**2))
    assert float(score_statistic(gained, lost, n, margin)) == pytest.approx(z, rel=1e-5)


@pytest.mark.parametrize("flips", [(4, 1), (1, 2), (0, 0), (5, 6), (0, 9)])
def test_the_exact_p_is_the_largest_over_the_shares_that_may_flip(flips: tuple[int, int]) -> None:
    """By enumeration, within SciPy's interval of that share, whose error of 0.0001 is added."""
    n, margin = 18, 0.15
    observed = float(score_statistic(*flips, n, margin))
    as_high = [
        (up, down, n - up - down)
        for up, down in product(range(n + 1), repeat=2)
        if up + down <= n and float(score_statistic(up, down, n, margin)) >= observed - 1e-9
    ]
    p = exact_margin_p(*flips, n, margin)
    within = binomtest(sum(flips), n).proportion_ci(1 - 1e-4)
    tried = np.linspace(max(margin, within.low), within.high, 400)
    largest = max(float(multinomial.pmf(as_high, n, shares(share, margin)).sum()) for share in tried)
    assert p == pytest.approx(largest + 1e-4, abs=2e-4)


@pytest.mark.parametrize(("n", "margin"), [(15, 0.2), (24, 0.15)])
def test_the_exact_test_keeps_its_level_whatever_share_flips(n: int, margin: float) -> None:
    """Type-I error at the margin, summed over all outcomes: never above the level, and near it for some share."""
    outcomes = [(up, down, n - up - down) for up, down in product(range(n + 1), repeat=2) if up + down <= n]
    shown = [outcome for outcome in outcomes if exact_margin_p(outcome[0], outcome[1], n, margin) <= MARGIN_LEVEL]
    errors = [float(multinomial.pmf(shown, n, shares(share, margin)).sum()) for share in np.linspace(margin, 0.999, 60)]
    assert max(errors) <= MARGIN_LEVEL
    assert max(errors) > 0.6 * MARGIN_LEVEL


def test_more_gains_among_the_same_flips_never_raise_the_p_of_a_loss() -> None:
    """Which makes the boundary of the hypothesis its worst case."""
    for flips in range(31):
        z = [float(score_statistic(gained, flips - gained, 30, 0.1)) for gained in range(flips + 1)]
        assert z == sorted(z)


def test_the_exact_test_keeps_its_level_in_simulation() -> None:
    rng, runs, n, margin, share = np.random.default_rng(5), 4_000, 150, 0.06, 0.14
    drawn = rng.multinomial(n, shares(share, margin), runs)
    p = {(up, down): exact_margin_p(int(up), int(down), n, margin) for up, down, _ in np.unique(drawn, axis=0)}
    errors = sum(p[up, down] <= MARGIN_LEVEL for up, down, _ in drawn.tolist()) / runs
    assert errors <= MARGIN_LEVEL + 3 * math.sqrt(MARGIN_LEVEL * (1 - MARGIN_LEVEL) / runs)
    assert errors >= 0.5 * MARGIN_LEVEL, "a test that never rejects keeps any level"


@pytest.mark.parametrize("n", [30, 120])
def test_the_bootstrap_keeps_its_level_in_simulation(n: int) -> None:
    """Means of three answers to a problem, the run worse by exactly the margin; both one-sided tests, by symmetry."""
    rng, runs = np.random.default_rng(n), 1_500
    worse = better = 0
    for _ in range(runs):
        theirs = rng.binomial(3, 0.6, n) / 3
        ours = rng.binomial(3, 0.5, n) / 3
        test = margin_test(ours, theirs, 0.1, rng=rng, resamples=499)
        worse += test.p_not_worse <= MARGIN_LEVEL
        better += margin_test(theirs, ours, 0.1, rng=rng, resamples=499).p_not_better <= MARGIN_LEVEL
    allowed = MARGIN_LEVEL + 3 * math.sqrt(MARGIN_LEVEL * (1 - MARGIN_LEVEL) / runs)
    for errors in (worse / runs, better / runs):
        assert 0.5 * MARGIN_LEVEL <= errors <= allowed


def test_equivalence_is_two_one_sided_tests_as_in_statsmodels() -> None:
    rng = np.random.default_rng(3)
    theirs = rng.beta(4, 3, 400)
    ours = np.clip(theirs + rng.normal(0.004, 0.12, 400), 0, 1)
    test = margin_test(ours, theirs, 0.02, rng=0, resamples=20_000)
    p, (_, lower, _), (_, upper, _) = ttost_paired(ours, theirs, -0.02, 0.02)
    assert test.name == "studentised bootstrap"
    assert test.p_not_worse == pytest.approx(lower, abs=0.006)
    assert test.p_not_better == pytest.approx(upper, abs=0.006)
    assert test.p_equivalent == max(test.p_not_worse, test.p_not_better) == pytest.approx(p, abs=0.006)
    assert test.difference == pytest.approx(float(np.mean(ours - theirs)))


@pytest.mark.parametrize("graded", [False, True])
def test_the_interval_ends_where_a_margin_is_just_shown(graded: bool) -> None:
    rng = np.random.default_rng(8)
    theirs = rng.random(200) if graded else rng.integers(0, 2, 200).astype(float)
    ours = np.clip(theirs + rng.normal(0, 0.1, 200), 0, 1) if graded else np.where(rng.random(200) < 0.9, theirs, 0.0)
    low = margin_test(ours, theirs, 0.5, rng=4).low
    assert low < 0
    just, barely_not = (margin_test(ours, theirs, -low * factor, rng=4).p_not_worse for factor in (1.12, 0.88))
    assert just <= MARGIN_LEVEL < barely_not
    assert margin_test(theirs, ours, 0.5, rng=4).high == pytest.approx(-low, abs=0.004)


def test_tangos_interval_has_the_score_statistic_of_its_level_at_its_end() -> None:
    low = score_bound(12, 20, 164)
    assert float(score_statistic(12, 20, 164, -low)) == pytest.approx(float(norm.isf(MARGIN_LEVEL)))


def test_few_samples_show_no_margin_even_if_all_are_equal() -> None:
    """20 equal answers: a run that loses 2 in 100 would give them with probability 0.98^20 = 0.67."""
    for scores in (np.ones(20), np.full(20, 0.4)):
        test = margin_test(scores, scores, 0.02, rng=0)
        assert test.p_equivalent == pytest.approx(0.98**20, abs=2e-4)
    many = np.full(400, 0.4)
    assert margin_test(many, many, 0.02, rng=0).p_equivalent < 0.001
    assert margin_test(many - 0.1, many, 0.02, rng=0).p_not_worse == 1.0
    one = margin_test([1.0], [1.0], 0.5, rng=0)
    assert one.p_not_worse >= 0.5


def test_rounding_errors_are_not_differences() -> None:
    third = np.array([2 / 3 - 1 / 3, 0.1 + 0.2] * 50)
    equal = np.array([1 / 3, 0.3] * 50)
    assert margin_test(third, equal, 0.1, rng=0).name == "equal differences"


def test_the_bootstrap_replaces_a_slow_exact_test_and_agrees_with_it() -> None:
    gained, lost, n = 1_050, 1_150, 8_000
    ours, theirs = flipped(gained, lost, n)
    drawn = margin_test(ours, theirs, 0.02, rng=0, resamples=5_000)
    assert drawn.name == "studentised bootstrap"
    assert drawn.p_not_worse == pytest.approx(exact_margin_p(gained, lost, n, 0.02), abs=0.02)
    assert (drawn.low, drawn.high) == pytest.approx(
        (score_bound(gained, lost, n), -score_bound(lost, gained, n)), abs=6e-4
    )
    assert margin_test(*flipped(90, 110, n), 0.02, rng=0).name == "exact unconditional", "few flips are cheap"


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_one_more_sample_does_not_reduce_the_power(lost: int) -> None:
    """The test is chosen by its cost and not by n: the same number of flips costs the same for any n."""
    for n in (1_999, 2_000, 2_001, 5_000, 50_000):
        found = margin_test(*flipped(0, lost, n), 0.02, rng=0)
        assert found.name == "exact unconditional"
        assert found.p_not_worse < 0.001
        assert -0.02 < found.low <= found.difference


def test_where_too_few_samples_differ_the_bootstrap_shows_no_margin_and_says_so() -> None:
    """One of 400 graded samples lost a tenth: a third of the resamples lack it, and have an infinite t."""
    theirs = np.full(400, 0.4)
    ours = theirs.copy()
    ours[7] = 0.3
    found = margin_test(ours, theirs, 0.02, rng=0, resamples=2_000)
    assert found.p_not_worse == pytest.approx(math.exp(-1), abs=0.05), "as likely is a resample without it"
    assert math.isnan(found.low), "not -1"
    assert found.too_few_differ
    assert found.description.endswith(", too few samples differ to show anything")
    more = theirs - 0.1 * (np.arange(400) % 20 == 0)
    assert not margin_test(more, theirs, 0.02, rng=0, resamples=2_000).too_few_differ


def test_the_result_depends_on_the_seed_but_not_on_the_order_of_samples() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = rng.random(50), rng.random(50)
    assert margin_test(ours, theirs, 0.1, rng=2) == margin_test(ours, theirs, 0.1, rng=2)
    binary = flipped(4, 7, 60)
    order = rng.permutation(60)
    assert margin_test(*binary, 0.1, rng=0) == margin_test(binary[0][order], binary[1][order], 0.1, rng=9)
    assert margin_test(*binary, 0.1, rng=0).resamples is None


@pytest.mark.parametrize("margin", [0.0, 1.0, -0.1, math.nan, 2.0])
def test_a_margin_that_is_not_between_0_and_1_is_refused(margin: float) -> None:
    with pytest.raises(StatisticsError, match=r"A margin must be between 0 and 1 \(0.02: two points"):
        margin_test([1.0, 0.0], [0.0, 1.0], margin, rng=0)


def test_samples_for_margin_by_hand() -> None:
    """(1.645 + 0.842)^2 * 0.10 / 0.02^2 = 1545.6 by hand; equivalence has 1.282 for 0.842."""
    spread = Spread(sd=0.31, discordance=0.10)
    assert samples_for_margin(0.02, spread) == 1546
    assert samples_for_margin(0.02, spread, equivalence=True) == math.ceil((1.644854 + 1.281552) ** 2 * 0.10 / 0.0004)
    assert samples_for_margin(0.02, Spread(sd=0.5, discordance=None)) == math.ceil(2.486475**2 * 0.25 / 0.0004)
    # No flip so far: the fewest that could show it, log 0.05 / log 0.98.
    assert samples_for_margin(0.02, Spread(sd=0.0, discordance=0.0)) == 149
    with pytest.raises(StatisticsError, match="A margin is between 0 and 1"):
        samples_for_margin(0.0, spread)
    with pytest.raises(StatisticsError, match="power between alpha and 1"):
        samples_for_margin(0.02, spread, power=0.01)


def test_samples_for_margin_have_the_power() -> None:
    margin, share, runs = 0.15, 0.3, 1_000
    n = samples_for_margin(margin, Spread(sd=math.sqrt(share), discordance=share))
    drawn = np.random.default_rng(11).multinomial(n, (share / 2, share / 2, 1 - share), runs)
    p = {(up, down): exact_margin_p(int(up), int(down), n, margin) for up, down, _ in np.unique(drawn, axis=0)}
    shown = sum(p[up, down] <= MARGIN_LEVEL for up, down, _ in drawn.tolist()) / runs
    assert 0.72 <= shown <= 0.88
    assert observed_spread(*flipped(10, 10, 100)).discordance == 0.2
