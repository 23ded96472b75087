"""Costs and lengths over samples, against hand-worked cases and published rows (docs/methods.md section 6)."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dlm_length.stats import (
    Statistic,
    StatisticsError,
    cost_statistics,
    e_ratio,
    flops_saved,
    mean,
    performance_delta,
)

counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20)
scores = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1)


def test_e_ratio_is_the_ratio_of_sums() -> None:
    assert e_ratio([10, 0], [20, 60]) == 10 / 80, "and not the mean of 0.5 and 0"


def test_flops_saved_is_a_ratio_of_sums() -> None:
    assert flops_saved([1, 30], [10, 40]) == pytest.approx(1 - 31 / 50), "and not the mean of 0.9 and 0.25"
    assert flops_saved([5], [5]) == 0
    assert flops_saved([0], [5]) == 1
    assert flops_saved([10], [5]) == -1, "a run can cost more than its baseline"


def test_flops_of_large_models_do_not_overflow() -> None:
    """HumanEval on 8 billion weights is 1e18 FLOPs a run; a sum of int64 would go wrong at 9.2e18."""
    assert flops_saved([6 * 10**18] * 4, [8 * 10**18] * 4) == pytest.approx(0.25)


def test_performance_delta_is_relative() -> None:
    assert performance_delta([1, 1, 0, 1], [1, 0, 0, 1]) == pytest.approx(0.5)
    assert performance_delta([0, 0], [1, 0]) == -1
    assert performance_delta([0.2], [0.2]) == 0


def test_mean() -> None:
    assert mean([1, 2, 6]) == 3
    assert mean([True, False]) == 0.5


def test_a_difference_is_in_the_values_own_unit() -> None:
    assert Statistic.difference([3, 5], [1, 1]).value == 3


@pytest.mark.parametrize(
    "undefined",
    [e_ratio([], []), e_ratio([0], [0]), flops_saved([], []), flops_saved([1], [0]), performance_delta([], []),
     performance_delta([1, 0], [0, 0]), mean([])],
)  # fmt: skip
def test_undefined_is_nan_never_0(undefined: float) -> None:
    assert math.isnan(undefined)


@pytest.mark.parametrize("measure", [flops_saved, performance_delta, e_ratio])
def test_paired_arrays_have_equal_sizes(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(StatisticsError, match=r"paired, but the run has 2 samples and its baseline 1"):
        measure([1, 2], [1])


def test_nan_is_refused_by_quantity_and_row() -> None:
    with pytest.raises(StatisticsError, match=r"performance delta: 2 of 3 values are NaN or infinite \(rows 0, 2\)"):
        performance_delta([math.nan, 1, math.inf], [1, 1, 1])


def test_cost_statistics_of_two_samples() -> None:
    """Every column has a different sum, so that a confusion of columns is noticed."""
    costs = cost_statistics(
        prompt_length=[10, 30], n_token=[64, 192], e_token=[32, 96], nfe=[5, 8], length_sum=[370, 1776],
        length_squared_sum=[27380, 394272], flops=[2e15, 6e15], seconds=[0.5, 1.5],
    )  # fmt: skip
    assert {name: cost.value for name, cost in costs.items()} == {
        "prompt_length": 20,
        "n_token": 128,
        "processed_length": 148,
        "e_token": 64,
        "e_ratio": 0.5,
        "nfe": 6.5,
        "length_sum": 1073,
        "length_squared_sum": 210826,
        "flops": 4e15,
        "seconds": 1,
        "tokens_per_second": 64,
    }
    assert not any(cost.is_effect for cost in costs.values()), "quantities of one run have no null hypothesis"


# Table 1 and the ablations of DAEDAL (arXiv 2508.00819v1): E_token, N_token, E_ratio in percent.
PUBLISHED_FIXED = """
62 64 97.1 | 124 128 97.0 | 234 256 91.2 | 287 512 56.0 | 284 1024 27.7 | 294 2048 14.4 | 62 64 96.4 | 123 128 96.4
245 256 95.8 | 424 512 82.8 | 583 1024 56.9 | 718 2048 35.1 | 61 64 95.1 | 122 128 95.7 | 232 256 90.6 | 331 512 64.7
335 1024 32.7 | 336 2048 16.4 | 60 64 93.2 | 125 128 97.6 | 245 256 95.6 | 471 512 92.0 | 641 1024 62.6
669 2048 32.7 | 62 64 97.4 | 125 128 97.5 | 237 256 92.6 | 293 512 57.2 | 287 1024 28.1 | 292.5 2048 14.3
62 64 96.9 | 125 128 97.5 | 246 256 96.2 | 429 512 83.7 | 584 1024 57.1 | 717 2048 35.0 | 61 64 95.1 | 124 128 96.6
237 256 92.7 | 352 512 68.7 | 344 1024 33.6 | 356 2048 17.4 | 60 64 94.0 | 125 128 97.7 | 251 256 98.2 | 475 512 92.9
677 1024 66.1 | 754 2048 36.8
"""
PUBLISHED_DAEDAL = """
267 363 73.5 | 541 704 76.8 | 324 618 52.5 | 523 813 64.3 | 275 377 73.0 | 342 645 53.0 | 561 848 66.2
253 311 81.3 | 127 152 83.1 | 167 209 79.7 | 256 340 75.3 | 268 369 72.7 | 277 532 52.0 | 523 816 64.1
272 386 70.5 | 272 392 69.3 | 274 405 67.6 | 232 289 80.2 | 252 327 77.1 | 260 347 75.0
"""


def rows(table: str) -> list[tuple[float, float, float]]:
    cells = [cell for line in table.strip().splitlines() for cell in line.split("|")]
    return [(float(e), float(n), float(percent)) for e, n, percent in map(str.split, cells)]


def agrees(e_token: float, n_token: float, percent: float, n_rounding: float) -> bool:
    """Whether the published share is possible for the rounded token counts, within half of its last digit."""
    lowest = 100 * e_ratio([e_token - 0.5], [n_token + n_rounding])
    highest = 100 * e_ratio([e_token + 0.5], [n_token - n_rounding])
    return lowest - 0.05 <= percent <= highest + 0.05


@pytest.mark.parametrize("row", rows(PUBLISHED_FIXED))
def test_published_e_ratio_of_a_fixed_canvas_follows_from_its_tokens(row: tuple[float, float, float]) -> None:
    assert agrees(*row, n_rounding=0)


@pytest.mark.parametrize("row", rows(PUBLISHED_DAEDAL))
def test_published_e_ratio_of_daedal_follows_from_its_tokens(row: tuple[float, float, float]) -> None:
    assert agrees(*row, n_rounding=0.5)


def test_one_published_row_is_inconsistent() -> None:
    """LLaDA-1.5, MATH500, DAEDAL: 588 of 743 tokens are 79.1%, where 75.2% is printed; at 743 that would be 559."""
    assert not agrees(588, 743, 75.2, n_rounding=0.5)
    assert e_ratio([588], [743]) == pytest.approx(0.791, abs=5e-4)


@settings(deadline=None)
@given(counts)
def test_ratios_by_exact_arithmetic(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    assume(sum(theirs))
    share = Fraction(sum(ours), sum(theirs))
    assert e_ratio(ours, theirs) == pytest.approx(float(share))
    assert flops_saved(ours, theirs) == pytest.approx(float(1 - share))


@settings(deadline=None)
@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(pairs: list[tuple[float, float]], random: object) -> None:
    assume(sum(other for _, other in pairs))
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    measured = [performance_delta(*zip(*rows, strict=True)) for rows in (pairs, shuffled)]
    assert measured[0] == pytest.approx(measured[1])
    ours, theirs = (Fraction(sum(map(Fraction, column))) for column in zip(*pairs, strict=True))
    assert measured[0] == pytest.approx(float((ours - theirs) / theirs))


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.randoms(use_true_random=False))
def test_a_mean_is_the_same_in_every_order_of_samples(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert mean(shuffled) == mean(values) == float(sum(map(Fraction, values))) / len(values)


def test_a_sum_is_rounded_once() -> None:
    """A running sum of these loses or keeps the 1, depending on their order."""
    assert mean([1e16, 1.0, -1e16, 1.0]) == mean([1.0, 1.0, 1e16, -1e16]) == 0.5
    assert flops_saved([0.0, 1e16, 0.0], [1.0, 1e16, 1.0]) == 2 / (1e16 + 2)
