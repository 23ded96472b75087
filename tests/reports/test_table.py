"""Cells as a reader sees them."""

import math
from pathlib import Path

import pytest
from table_helpers import text_rows

from dlm_length.reports.rendering import csv_table, latex_table, markdown_table
from dlm_length.reports.table import duration, flops, number, percent, text_table


@pytest.mark.parametrize(
    ("value", "digits", "cell"),
    [(None, 1, "-"), (math.nan, 1, "-"), (0.0, 1, "0.0"), (1234.56, 1, "1,234.6"), (0.62449, 4, "0.6245"), (7, 0, "7")],
)
def test_number(value: float | None, digits: int, cell: str) -> None:
    assert number(value, digits) == cell


@pytest.mark.parametrize(
    ("value", "cell"), [(None, "-"), (math.nan, "-"), (0.0, "0.0%"), (0.1234, "12.3%"), (-0.5, "-50.0%"), (2, "200.0%")]
)
def test_percent(value: float | None, cell: str) -> None:
    assert percent(value) == cell


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (0, "0 MFLOPs"),
        (12_345_678, "12.3 MFLOPs"),
        (999_400_000, "999 MFLOPs"),
        (999_600_000, "1 GFLOPs"),
        (1.5e9, "1.5 GFLOPs"),
        (2.345e12, "2.35 TFLOPs"),
        (999.9e12, "1 PFLOPs"),
        (123e15, "123 PFLOPs"),
        (6.5e18, "6.5 EFLOPs"),
    ],
)
def test_flops(value: float, cell: str) -> None:
    assert flops(value) == cell


@pytest.mark.parametrize(
    ("seconds", "cell"),
    [(0, "0.0 s"), (1.25, "1.2 s"), (119, "119.0 s"), (120, "2.0 min"), (5400, "90.0 min"), (9000, "2.5 h")],
)
def test_duration(seconds: float, cell: str) -> None:
    assert duration(seconds) == cell


def test_a_table_of_text_can_be_rendered_in_every_format() -> None:
    table = text_table("run", "A_title", ("", "fixed"), (("score & sd", "0.5"),), ["A note."], sources=[Path("runs/a")])
    assert text_rows(table) == (("score & sd", "0.5"),)
    assert csv_table(table).splitlines() == ['"","fixed","runs"', '"score & sd","0.5","runs/a"']
    assert "| score &amp; sd |" in markdown_table(table)
    assert r"score \& sd" in latex_table(table)
