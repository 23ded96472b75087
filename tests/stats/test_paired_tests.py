"""McNemar, Wilcoxon and permutation tests against hand-worked cases, full enumeration and independent formulas."""

import itertools
import math
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_length.common import ConfigError
from dlm_length.stats import (
    STARS_BY,
    Flips,
    Statistic,
    StatisticsError,
    TestName,
    bootstrap,
    choose_test,
    flips,
    further_tests,
    mcnemar,
    permutation,
    run_test,
    wilcoxon,
)

TESTS: tuple[TestName, ...] = get_args(TestName)

binary = st.lists(st.tuples(st.sampled_from([0, 1]), st.sampled_from([0, 1])), min_size=1, max_size=60)
thirds = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=9)


def scores_of(table: Flips) -> tuple[list[int], list[int]]:
    counts = (table.gained, table.lost, table.both, table.neither)
    pairs = [pair for pair, count in zip(((1, 0), (0, 1), (1, 1), (0, 0)), counts, strict=True) for _ in range(count)]
    return [ours for ours, _ in pairs], [theirs for _, theirs in pairs]


def sign_patterns(n: int) -> np.ndarray:
    """Every way to choose n signs, (2^n, n)."""
    return np.array(list(itertools.product([-1, 1], repeat=n))).reshape(2**n, n)


@pytest.mark.parametrize("table", [Flips(1, 2, 3, 4), Flips(0, 0, 1, 0), Flips(5, 0, 0, 7)])
def test_flips_are_counted_by_direction(table: Flips) -> None:
    assert flips(*scores_of(table)) == table
    assert table.discordant == table.gained + table.lost


def test_mcnemar_by_hand() -> None:
    """1 gained, 5 lost: twice the probability of at most one head in six tosses, 2 * (1 + 6) / 64."""
    found = mcnemar(*scores_of(Flips(gained=1, lost=5, both=10, neither=4)))
    assert (found.p, found.statistic, found.n, found.resamples) == (14 / 64, -4, 20, None)
    assert mcnemar(*scores_of(Flips(3, 3, 1, 1))).p == 1
    assert mcnemar(*scores_of(Flips(0, 0, 4, 4))).p == 1, "nothing flipped"
    assert mcnemar([1], [0]).p == 1, "a single sample shows nothing"


def fair_tosses(fewer: int, tosses: int) -> float:
    """Twice the probability of at most this many heads, by integer arithmetic."""
    return float(min(Fraction(1), Fraction(2 * sum(math.comb(tosses, k) for k in range(fewer + 1)), 2**tosses)))


@settings(deadline=None)
@given(binary)
def test_mcnemar_is_the_binomial_sum(pairs: list[tuple[int, int]]) -> None:
    scores, baseline = zip(*pairs, strict=True)
    table = flips(scores, baseline)
    expected = fair_tosses(min(table.gained, table.lost), table.discordant)
    assert mcnemar(scores, baseline).p == pytest.approx(expected, rel=1e-12)


def test_mcnemar_of_a_large_benchmark() -> None:
    found = mcnemar(*scores_of(Flips(gained=700, lost=560, both=40, neither=19)))
    assert found.p == pytest.approx(fair_tosses(560, 1260), rel=1e-10)


def test_mcnemar_refuses_graded_scores_and_names_tests_for_them() -> None:
    with pytest.raises(StatisticsError, match=r"0 or 1, but 2 of 6 are others \(the first: 0.5\); use wilcoxon"):
        mcnemar([1, 0.5, 0], [0, 1, 0.25])


def test_wilcoxon_by_hand() -> None:
    """Differences 1, 2, -3, 4 have ranks 1 to 4 and signed sum 4. 10 of 16 sign patterns are at least that large."""
    found = wilcoxon([1, 2, 0, 4], [0, 0, 3, 0])
    assert (found.p, found.statistic, found.n, found.resamples) == (10 / 16, 4, 4, None)


def test_wilcoxon_drops_zeros_and_keeps_n() -> None:
    found = wilcoxon([1, 2, 0, 4, 9, 9], [0, 0, 3, 0, 9, 9])
    assert (found.p, found.statistic, found.n) == (10 / 16, 4, 6)


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=20, unique=True), st.randoms(use_true_random=False))
def test_wilcoxon_without_ties_is_scipys_exact_test(sizes: list[int], random: object) -> None:
    differences = [size * random.choice([-1, 1]) for size in sizes]  # type: ignore[attr-defined]
    expected = scipy.stats.wilcoxon(differences, method="exact").pvalue
    assert wilcoxon(differences, [0] * len(sizes)).p == pytest.approx(expected)


def mean_ranks(sizes: np.ndarray) -> np.ndarray:
    """Ranks by counting: the number of smaller values, plus the middle of the equal ones."""
    return np.array([(sizes < size).sum() + ((sizes == size).sum() + 1) / 2 for size in sizes])


def normal_rank_p(differences: np.ndarray) -> float:
    """Two-sided normal approximation for ranks with random signs: the variance is the sum of their squares."""
    moved = differences[differences != 0]
    ranks = mean_ranks(np.abs(moved))
    z = abs((np.sign(moved) * ranks).sum()) / math.sqrt((ranks**2).sum())
    return math.erfc(z / math.sqrt(2))


@pytest.mark.parametrize("steps", [4, 30, 10**9])
def test_wilcoxon_of_many_is_the_normal_approximation(steps: int) -> None:
    """From scores with five levels, mostly tied, to scores without ties."""
    rng = np.random.default_rng(steps)
    scores, baseline = rng.integers(0, steps + 1, 300), rng.integers(0, steps + 1, 300)
    found = wilcoxon(scores / steps, baseline / steps)
    assert found.p == pytest.approx(normal_rank_p(scores - baseline), rel=1e-9)
    assert "normal approximation" in found.name


def test_wilcoxon_of_a_textbook() -> None:
    """Darwin's 15 pairs of maize (Fisher, The Design of Experiments, 1935): the negative ranks sum to 24, p = 0.041."""
    inches = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    found = wilcoxon(inches, [0] * 15)
    assert found.statistic == 120 - 2 * 24
    assert found.p == pytest.approx(0.0413, abs=5e-5)


def test_differences_of_mixed_scales_are_all_ranked() -> None:
    """A difference that is smaller than the rounding error of another is not itself a rounding error."""
    scores = np.concatenate([np.full(60, 1e-6), [1e9 + 1.0]])
    baseline = np.concatenate([np.zeros(60), [1e9]])
    expected = normal_rank_p(np.concatenate([np.ones(60), [2.0]]))
    assert wilcoxon(scores, baseline).p == pytest.approx(expected)


@settings(deadline=None)
@given(thirds)
def test_wilcoxon_with_ties_is_exact_by_enumeration(pairs: list[tuple[int, int]]) -> None:
    """Also where thirds do not subtract exactly: 2/3 - 1/3 ties with 1/3 - 0."""
    scores, baseline = np.array(pairs).T
    moved = (scores - baseline)[scores != baseline]
    ranks = mean_ranks(np.abs(moved))
    observed = abs((np.sign(moved) * ranks).sum())
    expected = np.mean(np.abs(sign_patterns(len(moved)) @ ranks) >= observed)
    assert wilcoxon(scores / 3, baseline / 3).p == pytest.approx(expected)


def test_exact_and_approximate_wilcoxon_agree_where_one_replaces_the_other() -> None:
    rng = np.random.default_rng(0)
    exact, approximate = (wilcoxon(rng.normal(0.3, 1, n), np.zeros(n)) for n in (50, 51))
    assert ("exact" in exact.name, "exact" in approximate.name) == (True, False)
    values = rng.normal(0.3, 1, 50)
    assert wilcoxon(values, np.zeros(50)).p == pytest.approx(normal_rank_p(values), rel=0.05)


def test_permutation_by_hand() -> None:
    """Differences 1, 2, 3: 2 of 8 sign patterns have a sum of at least 6 in size."""
    found = permutation([1, 2, 3, 5], [0, 0, 0, 5], rng=0)
    assert (found.p, found.statistic, found.n, found.resamples) == (2 / 8, 1.5, 4, None)


@settings(deadline=None)
@given(thirds, st.integers(2**9, 5000))
def test_permutation_of_few_is_exact_by_enumeration(pairs: list[tuple[int, int]], resamples: int) -> None:
    scores, baseline = np.array(pairs).T
    differences = scores - baseline
    expected = np.mean(np.abs(sign_patterns(len(pairs)) @ differences) >= abs(differences.sum()))
    assert permutation(scores / 3, baseline / 3, rng=0, resamples=resamples).p == pytest.approx(expected)


def test_permutation_of_few_equals_scipys() -> None:
    rng = np.random.default_rng(1)
    scores, baseline = rng.random(10), rng.random(10)
    expected = scipy.stats.permutation_test(
        (scores, baseline), lambda a, b, axis: (a - b).mean(axis), permutation_type="samples", vectorized=True
    )
    found = permutation(scores, baseline, rng=0)
    assert (found.p, found.statistic) == pytest.approx((expected.pvalue, expected.statistic))


@settings(deadline=None)
@given(binary)
def test_permutation_of_0_and_1_equals_mcnemar(pairs: list[tuple[int, int]]) -> None:
    scores, baseline = zip(*pairs, strict=True)
    table = flips(scores, baseline)
    if 2**table.discordant <= 5000:
        assert permutation(scores, baseline, rng=0).p == pytest.approx(mcnemar(scores, baseline).p)


def test_permutation_of_many_samples_is_drawn_and_reported_so() -> None:
    """Against McNemar's exact p; 5 standard errors of 20,000 draws are 0.015."""
    scores, baseline = scores_of(Flips(gained=70, lost=50, both=30, neither=20))
    found = permutation(scores, baseline, rng=0, resamples=20_000)
    assert found.resamples == 20_000
    assert found.p == pytest.approx(mcnemar(scores, baseline).p, abs=0.015)
    assert found == permutation(scores, baseline, rng=0, resamples=20_000)
    assert found.p != permutation(scores, baseline, rng=1, resamples=20_000).p


def test_the_smallest_permutation_p_includes_the_observed_sample() -> None:
    assert permutation(np.ones(60), np.zeros(60), rng=0, resamples=99).p == 1 / 100


def test_a_permutation_test_without_draws_is_refused() -> None:
    with pytest.raises(StatisticsError, match="permutation test: resamples must be at least 1, but is 0"):
        permutation([1, 2], [0, 0], rng=0, resamples=0)


def test_permutation_draws_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    scores, baseline = rng.random(40), rng.random(40)
    whole = permutation(scores, baseline, rng=0, resamples=5000).p
    monkeypatch.setattr("dlm_length.stats.paired_tests._SIGNS_AT_ONCE", 1000)
    assert permutation(scores, baseline, rng=0, resamples=5000).p == pytest.approx(whole, abs=0.05)


@settings(deadline=None)
@given(binary, st.randoms(use_true_random=False), st.sampled_from(["mcnemar", "wilcoxon", "permutation"]))
def test_order_of_samples_does_not_matter(pairs: list[tuple[int, int]], random: object, name: TestName) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (run_test(name, *zip(*order, strict=True), rng=0, resamples=50) for order in (pairs, shuffled))
    assert (one.p, one.statistic, one.n) == (other.p, pytest.approx(other.statistic), other.n)


def test_the_draws_of_a_permutation_test_do_not_depend_on_order_or_direction() -> None:
    rng = np.random.default_rng(6)
    scores, baseline = rng.random(30), rng.random(30)
    found = permutation(scores, baseline, rng=0, resamples=500).p
    assert permutation(scores[::-1], baseline[::-1], rng=0, resamples=500).p == found
    assert permutation(baseline, scores, rng=0, resamples=500).p == found


@pytest.mark.parametrize("name", TESTS)
@settings(deadline=None)
@given(binary)
def test_swapping_run_and_baseline_changes_only_the_sign(name: TestName, pairs: list[tuple[int, int]]) -> None:
    scores, baseline = zip(*pairs, strict=True)
    one, other = (run_test(name, *runs, rng=0, resamples=50) for runs in ((scores, baseline), (baseline, scores)))
    assert (other.p, other.statistic) == (one.p, -one.statistic)
    assert 0 < one.p <= 1


@pytest.mark.parametrize("name", TESTS)
def test_equal_scores_have_p_1(name: TestName) -> None:
    found = run_test(name, [0, 1, 1, 0], [0, 1, 1, 0], rng=0)
    assert (found.p, found.statistic, found.n) == (1, 0, 4)


@pytest.mark.parametrize("name", TESTS)
def test_a_single_sample_has_p_1(name: TestName) -> None:
    assert run_test(name, [1], [0], rng=0).p == 1


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize(
    ("scores", "baseline", "message"),
    [
        ([], [], "no sample to test"),
        ([1, 0], [1], "the run has 2 samples and its baseline 1"),
        ([1, math.nan], [1, 0], r"1 of 2 values are NaN or infinite \(rows 1\)"),
    ],
)
def test_scores_that_cannot_be_tested_are_refused(name: TestName, scores: list, baseline: list, message: str) -> None:
    with pytest.raises(StatisticsError, match=message):
        run_test(name, scores, baseline, rng=0)


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("paired_bootstrap", "paired bootstrap, n = 1,200, 2,000 resamples"),
        ("mcnemar", "exact McNemar, n = 1,200"),
        ("wilcoxon", "Wilcoxon signed-rank (normal approximation), n = 1,200"),
        ("permutation", "paired permutation, n = 1,200, 2,000 resamples"),
    ],
)
def test_a_note_names_test_n_and_resamples(name: TestName, description: str) -> None:
    scores, baseline = scores_of(Flips(100, 60, 500, 540))
    assert run_test(name, scores, baseline, rng=0, resamples=2000).description == description


def test_the_bootstrap_test_equals_that_of_performance_delta() -> None:
    scores, baseline = scores_of(Flips(30, 18, 50, 40))
    estimate = bootstrap({"delta": Statistic.performance_delta(scores, baseline)}, rng=3)["delta"]
    assert run_test("paired_bootstrap", scores, baseline, rng=3) == estimate.test


def test_a_test_is_chosen_by_name() -> None:
    assert [choose_test(name) for name in TESTS] == list(TESTS)
    assert STARS_BY == "paired_bootstrap"


def test_an_unknown_test_names_field_choices_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"report.stars_by: no test is called 'mcnemer'.*Did you mean 'mcnemar'\?"):
        choose_test("mcnemer", "report.stars_by")
    with pytest.raises(ConfigError, match="test: no test is called 'bootstrap'"):
        run_test("bootstrap", [1], [0], rng=0)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="allowed: paired_bootstrap, mcnemar, wilcoxon or permutation"):
        choose_test("t")


def test_the_metric_decides_which_tests_accompany_the_bootstrap() -> None:
    assert further_tests([0, 1], [1, 1]) == ("mcnemar",)
    assert further_tests([0, 1], [0.5, 1]) == ("wilcoxon", "permutation")


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize(
    ("scores", "baseline"),
    [
        ([0.1 + 0.2] * 20, [0.3] * 20),
        ([2 / 3 - 1 / 3] * 20, [1 / 3] * 20),
        ([sum([0.1] * 10)] * 20, [1.0] * 20),
        ([1e15 * (0.1 + 0.2)] * 20, [1e15 * 0.3] * 20),
    ],
)
def test_differences_that_are_rounding_are_ties(name: TestName, scores: list[float], baseline: list[float]) -> None:
    if name == "mcnemar":  # as 0/1 scores: what is 1 but for rounding is 1
        scores, baseline = [ours / theirs for ours, theirs in zip(scores, baseline, strict=True)], [1.0] * 20
    found = run_test(name, scores, baseline, rng=0)
    assert (found.p, found.statistic) == (1, 0)


@pytest.mark.parametrize("name", TESTS)
def test_a_small_difference_is_not_a_rounding_error(name: TestName) -> None:
    """A billionth in each of 20 samples gives the smallest p of each test of graded scores."""
    if name != "mcnemar":
        assert run_test(name, np.full(20, 0.3 + 1e-9), np.full(20, 0.3), rng=0).p < 0.001


@settings(deadline=None)
@given(thirds, st.floats(0.1, 1e12), st.sampled_from(["wilcoxon", "permutation", "paired_bootstrap"]))
def test_the_unit_of_the_scores_does_not_matter(pairs: list[tuple[int, int]], unit: float, name: TestName) -> None:
    scores, baseline = np.array(pairs).T
    whole = run_test(name, scores, baseline, rng=0, resamples=600)
    assert run_test(name, scores * unit / 7, baseline * unit / 7, rng=0, resamples=600).p == pytest.approx(whole.p)


@pytest.mark.parametrize(
    ("name", "n", "least"),
    [
        ("paired_bootstrap", 200, 2 / 1001),
        ("paired_bootstrap", 4, 1 / 8),
        ("mcnemar", 6, 1 / 32),
        ("wilcoxon", 6, 1 / 32),
        ("permutation", 6, 1 / 32),
        ("permutation", 200, 1 / 1001),
    ],
)
def test_the_least_p_is_attained_by_the_clearest_data(name: TestName, n: int, least: float) -> None:
    found = run_test(name, np.ones(n), np.zeros(n), rng=0, resamples=1000)
    assert found.least_p == pytest.approx(least)
    assert found.p == pytest.approx(found.least_p)


def test_the_least_p_of_many_ranks_is_that_of_the_approximation() -> None:
    clearest = wilcoxon(np.arange(1, 61), np.zeros(60))
    assert clearest.p == clearest.least_p < 1e-10
    rng = np.random.default_rng(0)
    mixed = wilcoxon(rng.permutation(np.arange(1, 61)) * rng.choice([-1, 1], 60), np.zeros(60))
    assert mixed.least_p == clearest.least_p < mixed.p
