"""Costs and lengths over samples, against hand-worked cases (METHODS.md section 6)."""

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dlm_length.stats import e_ratio, flops_saved, mean, performance_delta

counts = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20)
scores = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.0, 0.5, 1.0])), min_size=1)


def test_e_ratio_is_the_ratio_of_sums() -> None:
    assert e_ratio([10, 0], [20, 60]) == 10 / 80, "and not the mean of 0.5 and 0"


def test_flops_saved_is_of_sums() -> None:
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


@pytest.mark.parametrize(
    "undefined",
    [e_ratio([], []), e_ratio([0], [0]), flops_saved([], []), flops_saved([1], [0]), performance_delta([], []),
     performance_delta([1, 0], [0, 0]), mean([])],
)  # fmt: skip
def test_undefined_is_nan_never_0(undefined: float) -> None:
    assert math.isnan(undefined)


@pytest.mark.parametrize("measure", [flops_saved, performance_delta])
def test_what_is_paired_has_as_many_of_each(measure: object) -> None:
    assert callable(measure)
    with pytest.raises(AssertionError, match="paired"):
        measure([1, 2], [1])


@given(counts)
def test_ratios_by_exact_arithmetic(pairs: list[tuple[int, int]]) -> None:
    ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
    assume(sum(theirs))
    share = Fraction(sum(ours), sum(theirs))
    assert e_ratio(ours, theirs) == pytest.approx(float(share))
    assert flops_saved(ours, theirs) == pytest.approx(float(1 - share))


@given(scores, st.randoms(use_true_random=False))
def test_the_order_of_samples_does_not_matter(pairs: list[tuple[float, float]], random: object) -> None:
    assume(sum(other for _, other in pairs))
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    measured = [performance_delta(*zip(*rows, strict=True)) for rows in (pairs, shuffled)]
    assert measured[0] == pytest.approx(measured[1])
    ours, theirs = (Fraction(sum(map(Fraction, column))) for column in zip(*pairs, strict=True))
    assert measured[0] == pytest.approx(float((ours - theirs) / theirs))
