"""Token agreement of two runs."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.reports.agreement import agreement_table, first_difference

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


def test_the_table_counts_and_names_what_differs() -> None:
    def records(**canvases: list[int]) -> dict[str, SimpleNamespace]:
        return {name: SimpleNamespace(canvas_ids=ids) for name, ids in canvases.items()}

    first = records(a=[5, 6, 7, 8], b=[5, 6], c=[9], only_here=[1])
    second = records(a=[5, 6, 0, 8], b=[5, 6], c=[9, 9])
    here = {"device_name": "H100", "dtype": "bfloat16", "torch": "2.11.0", "fused": True, "started": "today"}
    there = here | {"device_name": "A100", "fused": False, "started": "yesterday"}
    table = agreement_table(first, second, ([here], [there, there | {"dtype": "float32"}]))
    cells = {row[0]: row[1:] for row in table.text_rows}
    assert cells == {
        "samples with equal tokens": ("1 of 3", ""),
        "equal tokens, of the longer canvas": ("0.7500", ""),
        "first difference, median": ("position 1", ""),
        "device_name": ("H100", "A100"),
        "dtype": ("bfloat16", "bfloat16, float32"),
        "fused": ("True", "False"),
    }
    assert "The earliest: c at 1, a at 2." in table.notes


def test_equal_runs_differ_nowhere() -> None:
    records = {"a": SimpleNamespace(canvas_ids=[1, 2])}
    table = agreement_table(records, records, ([{"dtype": "float32"}], [{"dtype": "float32"}]))
    assert [row[:2] for row in table.text_rows] == [
        ("samples with equal tokens", "1 of 1"),
        ("equal tokens, of the longer canvas", "1.0000"),
    ]
