"""Coverage of the intervals and type-I error of the tests, by simulation over a thousand seeded data sets."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from dlm_length.stats import (
    Adjust,
    FamilyTest,
    IntervalKind,
    Statistic,
    bootstrap,
    family_tests,
    mcnemar,
    pair,
    permutation,
    wilcoxon,
)

DATA_SETS, SAMPLES, RESAMPLES = 1000, 200, 1000

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], tuple[Values, Values]]


def accuracies(difference: float) -> Draw:
    """0/1 scores of two runs that agree on most samples: the baseline right in 56%, the run in `difference` more."""

    def draw(rng: np.random.Generator, n: int) -> tuple[Values, Values]:
        baseline = rng.random(n) < 0.56
        again = rng.random(n) < 0.56 + difference / 0.3
        return np.where(rng.random(n) < 0.7, baseline, again).astype(float), baseline.astype(float)

    return draw


def graded(rng: np.random.Generator, n: int) -> tuple[Values, Values]:
    """ROUGE-like scores, skewed, half of their variance the sample's own, equal in distribution."""
    common = rng.beta(2, 8, n)
    return common + rng.beta(2, 8, n), common + rng.beta(2, 8, n)


def flops(rng: np.random.Generator, n: int) -> tuple[Values, Values]:
    """A run that halves its FLOPs on average, by a different share for every sample."""
    baseline = rng.lognormal(30, 0.3, n)
    return baseline * rng.uniform(0.2, 0.8, n), baseline


def tokens(rng: np.random.Generator, n: int) -> tuple[Values, Values]:
    """Effective tokens, three quarters on average, of canvases of varying length."""
    n_token = rng.lognormal(5, 0.4, n)
    return n_token * rng.beta(6, 2, n), n_token


CASES = {
    "performance delta": (Statistic.performance_delta, accuracies(0.03), 0.03 / 0.56),
    "FLOPs saved": (Statistic.flops_saved, flops, 0.5),
    "E_ratio": (Statistic.ratio, tokens, 0.75),
    "difference": (Statistic.difference, graded, 0.0),
}


def data_sets(draw: Draw, seed: int, count: int = DATA_SETS, n: int = SAMPLES) -> list[tuple[Values, Values]]:
    rng = np.random.default_rng(seed)
    return [draw(rng, n) for _ in range(count)]


@pytest.mark.parametrize("interval", ["percentile", "bca"])
@pytest.mark.parametrize("case", CASES)
def test_95_percent_intervals_cover_93_to_97_percent(case: str, interval: IntervalKind) -> None:
    statistic, draw, truth = CASES[case]
    drawn = dict(enumerate(statistic(*pair) for pair in data_sets(draw, seed=1)))
    found = bootstrap(drawn, rng=2, resamples=RESAMPLES, interval=interval).values()
    covered = np.mean([estimate.low <= truth <= estimate.high for estimate in found])
    assert 0.93 <= covered <= 0.97


def assert_level(p_values: list[float], level: float = 0.05) -> None:
    """Asserts that the share of p values below the level is the level, within 3 standard errors."""
    standard_error = (level * (1 - level) / len(p_values)) ** 0.5
    assert abs(np.mean(np.array(p_values) < level) - level) < 3 * standard_error


@pytest.mark.parametrize("draw", [accuracies(0.0), graded], ids=["accuracies", "graded"])
def test_bootstrap_type_i_error(draw: Draw) -> None:
    drawn = dict(enumerate(Statistic.performance_delta(*pair) for pair in data_sets(draw, seed=3)))
    tests = [estimate.test for estimate in bootstrap(drawn, rng=4, resamples=RESAMPLES).values()]
    assert_level([test.p for test in tests if test is not None])


def test_wilcoxon_type_i_error() -> None:
    assert_level([wilcoxon(*pair).p for pair in data_sets(graded, seed=5)])
    assert_level([wilcoxon(*pair).p for pair in data_sets(graded, seed=6, n=25)])


def test_permutation_type_i_error() -> None:
    rng = np.random.default_rng(7)
    assert_level([permutation(*pair, rng=rng, resamples=400).p for pair in data_sets(graded, seed=8, n=50)])


def test_mcnemar_is_conservative() -> None:
    """An exact test of counts does not attain its level; the rate is below it, and not far below for 60 flips."""
    p_values = [mcnemar(*pair).p for pair in data_sets(accuracies(0.0), seed=9, n=400)]
    assert 0.02 < np.mean(np.array(p_values) < 0.05) < 0.05


def test_several_answers_to_a_problem_do_not_multiply_the_evidence() -> None:
    """Ten equal answers to each of 40 problems, as at temperature 0: counted separately, most would have stars."""

    def ten_each(rng: np.random.Generator, n: int) -> tuple[Values, Values]:
        ours, theirs = graded(rng, n)
        ids = [f"{problem}#{answer}" for problem in range(n) for answer in range(10)]
        runs = {"SC": (ids, np.repeat(ours, 10)), "FC": (ids, np.repeat(theirs, 10))}
        paired = pair(runs, unit_of=lambda name: name.partition("#")[0])
        return paired["SC"], paired["FC"]

    drawn = dict(enumerate(Statistic.difference(*pair) for pair in data_sets(ten_each, seed=10, count=300, n=40)))
    assert {statistic.n for statistic in drawn.values()} == {40}
    tests = [estimate.test for estimate in bootstrap(drawn, rng=11, resamples=RESAMPLES).values()]
    assert np.mean([test.p < 0.05 for test in tests if test is not None]) < 0.1, "and with n = 400 it is 0.5"


FAMILIES, ARMS = 1000, 5


@pytest.fixture(scope="module")
def null_families() -> list[list[tuple[Values, Values]]]:
    """Tables of five runs that are as good as their baselines, each run on its own problems."""
    drawn = data_sets(graded, seed=12, count=FAMILIES * ARMS, n=100)
    return [drawn[start : start + ARMS] for start in range(0, len(drawn), ARMS)]


def starred(family: list[tuple[Values, Values]], adjust: Adjust) -> bool:
    """Whether a table has any star."""
    found = bootstrap(
        dict(enumerate(Statistic.performance_delta(*pair) for pair in family)), rng=13, resamples=RESAMPLES
    )
    tests = {key: estimate.test for key, estimate in found.items() if estimate.test is not None}
    return any(test.stars for test in family_tests(tests, adjust).values())


def assert_share(found: list[bool], expected: float) -> None:
    standard_error = (expected * (1 - expected) / len(found)) ** 0.5
    assert abs(np.mean(found) - expected) < 3 * standard_error


def test_one_table_in_twenty_without_any_effect_has_a_star(null_families: list) -> None:
    """Holm's least p of five independent tests is below 0.05 where one p is below 0.01: 1 - 0.99^5 of the tables."""
    assert_share([starred(family, "holm") for family in null_families], 1 - 0.99**5)


def test_one_table_in_four_has_a_star_by_the_raw_p_of_five_runs(null_families: list) -> None:
    assert_share([starred(family, "none") for family in null_families], 1 - 0.95**5)


def test_certain_savings_do_not_affect_the_stars_of_scores() -> None:
    """Savings have stars in every table, but scores are a family of their own, of one test."""
    rng, found = np.random.default_rng(14), []
    for scores, costs in zip(data_sets(graded, seed=15, n=100), data_sets(flops, seed=16, n=100), strict=True):
        made = bootstrap(
            {"flops": Statistic.flops_saved(*costs), "score": Statistic.performance_delta(*scores)},
            rng=rng,
            resamples=RESAMPLES,
        )
        kinds: dict[str, FamilyTest] = {}
        for kind, estimate in made.items():
            assert estimate.test is not None
            kinds |= family_tests({kind: estimate.test})
        assert kinds["flops"].stars
        found.append(bool(kinds["score"].stars))
    assert_share(found, 0.05)


@pytest.mark.parametrize(("n", "flips"), [(50, 5), (50, 20), (200, 4), (200, 20), (20, 6)])
def test_few_flips_have_stars_no_more_often_than_the_level(n: int, flips: int) -> None:
    """Scores of 0 and 1 that hardly differ: five flips in one direction have probability 1/16 for any n."""
    rng = np.random.default_rng(17)

    def draw(_: np.random.Generator, size: int) -> tuple[Values, Values]:
        baseline = rng.random(size) < 0.5
        return np.where(rng.random(size) < flips / n, ~baseline, baseline).astype(float), baseline.astype(float)

    drawn = dict(enumerate(Statistic.performance_delta(*pair) for pair in data_sets(draw, seed=18, n=n)))
    tests = [estimate.test for estimate in bootstrap(drawn, rng=19, resamples=RESAMPLES).values()]
    p = np.array([test.p for test in tests if test is not None])
    for level in (0.05, 0.01):
        assert np.mean(p < level) < level + 3 * (level * (1 - level) / DATA_SETS) ** 0.5
