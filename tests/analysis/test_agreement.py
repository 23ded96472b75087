"""Token agreement of two runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_helpers import text_rows

from dlm_length.analysis.agreement import first_difference, machine_differences, token_agreement
from dlm_length.reports.tables.run import agreement_table

CANVASES = st.lists(st.integers(0, 3), max_size=8)


@pytest.mark.parametrize(
    ("one", "other", "place"),
    [([], [], None), ([1, 2], [1, 2], None), ([1, 2], [1, 3], 1), ([1, 2], [1, 2, 3], 2), ([], [4], 0)],
)
def test_where_two_canvases_part(one: list[int], other: list[int], place: int | None) -> None:
    assert first_difference(one, other) == first_difference(other, one) == place


@given(CANVASES, CANVASES)
def test_everything_before_the_first_difference_is_equal(one: list[int], other: list[int]) -> None:
    place = first_difference(one, other)
    assert (place is None) == (one == other)
    if place is not None:
        assert one[:place] == other[:place]
        assert one[place : place + 1] != other[place : place + 1]


FIRST = {"a": [5, 6, 7, 8], "b": [5, 6], "c": [9], "only here": [1]}
SECOND = {"a": [5, 6, 0, 8], "b": [5, 6], "c": [9, 9]}
HERE = {"device_name": "H100", "dtype": "bfloat16", "torch": "2.11.0", "fused": True, "started": "today"}
THERE = HERE | {"device_name": "A100", "fused": False, "started": "yesterday"}


def test_positions_are_those_of_the_longer_canvas() -> None:
    found = token_agreement(FIRST, SECOND)
    assert (found.samples, found.equal_samples) == (3, 1)
    assert (found.positions, found.equal_positions, found.equal_share) == (8, 6, 0.75)
    assert found.first_differences == {"a": 2, "c": 1}
    assert token_agreement({"a": [1]}, {"b": [1]}).equal_share is None


def test_only_what_rounding_may_depend_on_differs_between_machines() -> None:
    assert machine_differences([HERE], [THERE, THERE | {"dtype": "float32"}]) == {
        "device_name": (("H100",), ("A100",)),
        "dtype": (("bfloat16",), ("bfloat16", "float32")),
        "fused": (("True",), ("False",)),
    }


def test_the_table_counts_and_names_what_differs() -> None:
    table = agreement_table(token_agreement(FIRST, SECOND), machine_differences([HERE], [THERE]), 2)
    assert {row[0]: row[1:] for row in text_rows(table)} == {
        "samples with the same answer": ("2 of 3", ""),
        "samples with equal canvases": ("1 of 3", ""),
        "equal tokens, of the longer canvas": ("0.7500", ""),
        "first difference, median": ("position 1", ""),
        "device_name": ("H100", "A100"),
        "fused": ("True", "False"),
    }
    assert "The earliest: c at 1, a at 2." in table.notes


def test_equal_runs_differ_nowhere() -> None:
    table = agreement_table(token_agreement(FIRST, FIRST), machine_differences([HERE], [HERE]), 4)
    assert [row[:2] for row in text_rows(table)] == [
        ("samples with the same answer", "4 of 4"),
        ("samples with equal canvases", "4 of 4"),
        ("equal tokens, of the longer canvas", "1.0000"),
    ]
