"""GitHub tables: what is written in a cell stays in it."""

import html
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.reports.rendering import markdown_table
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row

COLUMNS = (Column("policy", numeric=False), Column("score", higher_is_better=True))


def make_table(*groups: Group, notes: tuple[str, ...] = (), title: str = "title") -> ReportTable:
    return ReportTable("name", title, COLUMNS, groups, notes)


def cells(line: str) -> list[str]:
    """As GitHub splits a row: at pipes that have no backslash before them."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def shown(cell: str) -> str:
    """A cell without mark-up as a reader sees it."""
    return html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell))


def rows(table: str) -> list[list[str]]:
    return [cells(line) for line in table.split("\n") if line.startswith("|")]


def test_a_table() -> None:
    table = markdown_table(
        make_table(
            Group("GSM8K", (Row(("fixed 64", Number(50.0)), (Path("runs/a"),), baseline=True),)),
            Group(
                "",
                (
                    Row(("smart_crop", Number(-61.25, 2, stars="***", mark="best")), (Path("runs/b"), Path("runs/a"))),
                    Row(("_odd_ *x*", Number(60.0, 1, stars="*", mark="second")), ()),
                    Row(("", Number(math.nan)), ()),
                ),
            ),
            notes=("* p < 0.05", "1. not a list", "- nor this"),
        )
    )
    assert table == (
        """### title

| policy        |             score |
| ------------- | ----------------: |
| **GSM8K**     |                   |
| _fixed 64_    |              50.0 |
| smart_crop    |  **-61.25**\\*\\*\\* |
| \\_odd\\_ \\*x\\* | <ins>60.0</ins>\\* |
|               |                 - |

\\* p &lt; 0.05

1\\. not a list

\\- nor this

Italics: the baseline.

<!-- runs of each row
1: runs/a
2: runs/b; runs/a
3:
4:
-->
"""
    )


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.text())
def test_any_text_stays_in_its_cell(texts: list[tuple[str, str]], heading: str) -> None:
    table = markdown_table(
        make_table(Group(heading, tuple(Row(pair, (Path("a\n-->b"),)) for pair in texts)), title=heading)
    )
    title, rule, *found = rows(table)
    assert title == ["policy", "score"]
    assert re.fullmatch("-+", rule[0])
    assert re.fullmatch("-+:", rule[1])
    found = found[1:] if heading else found
    assert [[shown(cell) for cell in row] for row in found] == [
        [" ".join(text.split()) for text in pair] for pair in texts
    ]
    assert set(re.findall(r"<\S*", table)) <= {"<!--"}
    assert table.count("-->") == bool(texts)  # the folders of the rows, where there are rows


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "<!-- x", "<b", "&lt;b&gt;", "[a](http://x)", "`a|b`", "\\|"]
)
def test_nothing_becomes_mark_up(text: str) -> None:
    table = markdown_table(make_table(Group("", (Row((text, text), ()),)), title=text))
    assert [shown(cell) for cell in rows(table)[2]] == [text, text]
    assert "<" not in table.replace("<!-- runs", "")
    assert not re.search(r"(?<!\\)[\[`]", table)


@pytest.mark.parametrize("cell", [Number(3.14159, 0), Number(3.14159, 3), Number(-0.001, 1), Number(math.inf)])
def test_numbers_are_rounded_as_in_every_format(cell: Cell) -> None:
    assert isinstance(cell, Number)
    assert rows(markdown_table(make_table(Group("", (Row(("x", cell), ()),)))))[2] == ["x", cell.text]
