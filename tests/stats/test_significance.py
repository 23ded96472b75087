"""Stars and Holm's adjustment (METHODS.md section 7), against a worked example and statsmodels."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from dlm_length import stats
from dlm_length.stats import StatisticsError, holm, stars

families = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("p", "mark"),
    [(1, ""), (0.05, ""), (0.0499, "*"), (0.01, "*"), (0.0099, "**"), (0.001, "**"), (0.00099, "***"), (0, "***"),
     (math.nan, "")],
)  # fmt: skip
def test_stars(p: float, mark: str) -> None:
    assert stars(p) == mark
    assert stats.TestResult("any", p, 1.0, 10, None).stars == mark


def test_holm_by_hand() -> None:
    """In order 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1, none below the one before."""
    assert holm([0.04, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.06, 0.04, 0.06, 0.06])


@settings(max_examples=25, deadline=None)  # statsmodels takes a tenth of a second for each
@given(families)
def test_holm_is_statsmodels(p_values: list[float]) -> None:
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


@settings(deadline=None)
@given(families)
def test_holm_keeps_the_order_and_never_helps(p_values: list[float]) -> None:
    adjusted, p = holm(p_values), np.array(p_values)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()


def test_a_test_that_was_not_made_is_not_of_the_family() -> None:
    adjusted = holm([math.nan, 0.02, 0.03])
    assert math.isnan(adjusted[0])
    assert adjusted[1:].tolist() == pytest.approx([0.04, 0.04])


def test_a_family_of_none_and_of_one() -> None:
    assert holm([]).size == 0
    assert holm([0.3]).tolist() == [0.3]


def test_holm_refuses_what_is_no_p() -> None:
    with pytest.raises(StatisticsError, match=r"\[0, 1\], but got 1.5, -1.0"):
        holm([0.5, 1.5, -1])
