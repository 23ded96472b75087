"""CSV: read back, every number is the one that went in, bit by bit."""

import csv
import io
import math
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.reports.rendering import csv_table
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row


def make_table(*rows: Row, columns: tuple[Column, ...] = (Column("value"),), heading: str = "") -> ReportTable:
    return ReportTable("name", "title", columns, (Group(heading, rows),))


def read(table: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(table, newline=""), strict=True))


def bits(value: float) -> bytes:
    return struct.pack(">d", math.nan if math.isnan(value) else value)


def parsed(cell: str) -> float:
    return float(cell) if cell else math.nan


def test_powers_in_titles_are_ascii() -> None:
    row = Row((Number(1.5), Number(2.0)), ())
    columns = (Column("sum L² (10⁶)"), Column("sum L (10³)"))
    assert read(csv_table(make_table(row, columns=columns)))[0] == ["sum L^2 (10^6)", "sum L (10^3)", "runs"]


numbers = st.builds(Number, st.floats(), st.integers(0, 4), st.floats(), st.floats(), st.floats())


@given(st.lists(numbers, min_size=1, max_size=5))
def test_numbers_come_back_bit_by_bit(cells: list[Number]) -> None:
    titles, *rows = read(csv_table(make_table(*(Row((cell,), ()) for cell in cells))))
    for row, cell in zip(rows, cells, strict=True):
        found = dict(zip(titles, row, strict=True))
        for title, value in {"value": cell.value, "low": cell.low, "high": cell.high, "p": cell.p}.items():
            name = title if title == "value" else f"value {title}"
            assert bits(parsed(found.get(name, ""))) == bits(value)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=5))
def test_texts_come_back_and_none_is_a_formula(cells: list[tuple[str, str]]) -> None:
    columns = (Column("first", numeric=False), Column("second", numeric=False))
    _, *rows = read(csv_table(make_table(*(Row(texts, ()) for texts in cells), columns=columns)))
    assert len(rows) == len(cells)
    for row, texts in zip(rows, cells, strict=True):
        for shown, text in zip(row, texts, strict=False):
            assert shown.removeprefix("'") == text.removeprefix("'")
            assert shown[:1] not in ("=", "@", "\t", "\r")


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-", "-"),
        ("-3.2%", "-3.2%"),
        ("+11.25***", "+11.25***"),
        ("half \udc80", "half ?"),
        (Number(-3.25), "-3.25"),
        (Number(-0.04, digits=1), "-0.04"),
        (Number(math.nan), ""),
        (Number(-math.inf), "-inf"),
        (Number(0.1 + 0.2, stars="***", mark="best"), "0.30000000000000004"),
    ],
)
def test_a_cell(cell: Cell, shown: str) -> None:
    assert read(csv_table(make_table(Row((cell,), ()))))[1] == [shown, ""]


def test_columns_stand_where_a_row_has_something_for_them() -> None:
    columns = (Column("policy", numeric=False), Column("score"), Column("delta"), Column("n"))
    made = make_table(
        Row(("fixed 64", Number(1.5), "-", Number(3.0)), (Path("runs/a"),), baseline=True),
        Row(
            ("oracle", Number(2.5, low=2.0, high=3.0), Number(7.0, p=0.25), Number(4.0)),
            (Path("runs/b"), Path("runs/a")),
        ),
        columns=columns,
        heading="GSM8K",
    )
    table = csv_table(made)
    assert read(table) == [
        ["group", "policy", "score", "score low", "score high", "delta", "delta p", "n", "runs"],
        ["GSM8K", "fixed 64", "1.5", "", "", "-", "", "3.0", "runs/a"],
        ["GSM8K", "oracle", "2.5", "2.0", "3.0", "7.0", "0.25", "4.0", "runs/b;runs/a"],
    ]
    assert table.endswith("\n")
    assert "\r" not in table
    assert read(csv_table(make_table(columns=columns))) == [["policy", "score", "delta", "n", "runs"]], (
        "no heading, no group"
    )
