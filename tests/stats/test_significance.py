"""Stars and Holm's adjustment (docs/methods.md section 7), against a worked example and statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from dlm_length import stats
from dlm_length.common import ConfigError
from dlm_length.stats import ADJUST, FamilyTest, StatisticsError, choose_adjust, family_tests, holm, stars

families = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("p", "mark"),
    [(1, ""), (0.05, ""), (0.0499, "*"), (0.01, "*"), (0.0099, "**"), (0.001, "**"), (0.00099, "***"), (0, "***"),
     (math.nan, "")],
)  # fmt: skip
def test_stars(p: float, mark: str) -> None:
    assert stars(p) == mark
    test = stats.TestResult("any", p, 1.0, 10, None)
    assert FamilyTest(test, p, 1, "holm").stars == FamilyTest(test, 1.0, 9, "none").stars == mark


def test_holm_by_hand() -> None:
    """In order 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1, and never below the one before."""
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])


@settings(max_examples=10, deadline=None)  # statsmodels takes a tenth of a second for each
@given(families)
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@settings(deadline=None)
@given(families)
def test_holm_keeps_the_order_and_never_lowers_p(p_values: list[float]) -> None:
    adjusted, p = holm(p_values), np.array(p_values)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()


def test_a_test_that_was_not_made_does_not_count_in_the_family() -> None:
    adjusted = holm([math.nan, 0.02, 0.03])
    assert math.isnan(adjusted[0])
    assert adjusted[1:].tolist() == pytest.approx([0.04, 0.04])


def test_families_of_no_and_of_one_test() -> None:
    assert holm([]).size == 0
    assert holm([0.3]).tolist() == [0.3]


def test_holm_refuses_values_that_are_not_p_values() -> None:
    with pytest.raises(StatisticsError, match=r"\[0, 1\], but got 1.5, -1.0"):
        holm([0.5, 1.5, -1])


def result(p: float, least: float = 0.0) -> stats.TestResult:
    return stats.TestResult("any", p, 1.0, 10, 100, least)


def test_stars_are_those_of_the_adjusted_p_by_default() -> None:
    """0.04, 0.004 and 0.2 in a family of three: 0.08, 0.012 and 0.2."""
    tests = {"b": result(0.04), "a": result(0.004), "c": result(0.2)}
    assert ADJUST == "holm"
    adjusted = family_tests(tests)
    assert {key: each.stars for key, each in adjusted.items()} == {"b": "", "a": "*", "c": ""}
    assert [each.adjusted_p for each in adjusted.values()] == pytest.approx([0.08, 0.012, 0.2])
    raw = family_tests(tests, "none")
    assert {key: each.stars for key, each in raw.items()} == {"b": "*", "a": "**", "c": ""}
    assert [each.adjusted_p for each in raw.values()] == [each.adjusted_p for each in adjusted.values()]
    assert {each.family for each in adjusted.values()} == {3}


@settings(deadline=None)
@given(st.dictionaries(st.integers(), st.floats(0, 1), max_size=12), st.randoms(use_true_random=False))
def test_adjusted_p_does_not_depend_on_the_order_of_tests(p: dict[int, float], random: object) -> None:
    keys = list(p)
    random.shuffle(keys)  # type: ignore[attr-defined]
    expected = {key: each.adjusted_p for key, each in family_tests({key: result(p[key]) for key in p}).items()}
    assert {key: each.adjusted_p for key, each in family_tests({k: result(p[k]) for k in keys}).items()} == expected


def test_a_family_too_large_for_its_resamples_can_have_no_star() -> None:
    """126 tests with 5,000 resamples: the smallest p is 0.0004, times 126 it is 0.0504."""
    least = 2 / 5001
    assert not any(each.can_be_starred for each in family_tests(dict.fromkeys(range(126), result(0.5, least))).values())
    assert all(each.can_be_starred for each in family_tests(dict.fromkeys(range(125), result(0.5, least))).values())
    raw = family_tests(dict.fromkeys(range(126), result(0.5, least)), "none")
    assert all(each.can_be_starred for each in raw.values())


def test_an_adjustment_is_chosen_by_name() -> None:
    assert [choose_adjust("holm"), choose_adjust("none")] == ["holm", "none"]
    with pytest.raises(ConfigError, match=r"--adjust: no adjustment is called 'hom'; allowed: holm or none.*'holm'"):
        choose_adjust("hom", "--adjust")
