"""Tables on screens: as many columns as there is room for, and never a cell that is cut."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dlm_length.cli.display import show_tables
from dlm_length.reports.table import Column, Group, Number, ReportTable, Row, text_table

WIDE = ReportTable(
    "name",
    "A table",
    (
        Column("policy", numeric=False),
        Column("score (%)", own_columns=("low", "high")),
        Column("low"),
        Column("high"),
        Column("NFE"),
        Column("a count of resamples", detail=True),
        Column("verdict", numeric=False),
    ),
    (
        Group(
            "a heading that is much longer than the name of any policy",
            (Row(("smartcrop 128 tau 0.9", *map(Number, (86.0, 73.81, 93.05, 128.0, 10000.0)), "within CI"), ()),),
        ),
    ),
    ("A note.",),
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def shown(width: int | None, *tables: ReportTable) -> str:
        if width is None:
            monkeypatch.delenv("COLUMNS", raising=False)
        else:
            monkeypatch.setenv("COLUMNS", str(width))
        show_tables(tables)
        return capsys.readouterr().out

    return shown


def titles(out: str) -> list[str]:
    """Those of the first table, their lines joined."""
    lines = [re.split("┃", line)[1:-1] for line in out.splitlines() if line.startswith("┃")]
    return [" ".join(word.strip() for word in column if word.strip()) for column in zip(*lines, strict=True)]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, ["policy", "score (%)", "low", "high", "NFE", "a count of resamples", "verdict"]),
        (160, ["policy", "score (%)", "low", "high", "NFE", "a count of resamples", "verdict"]),
        (80, ["policy", "score (%)", "low", "high", "NFE", "a count of resamples", "verdict"]),  # titles wrapped
        (70, ["policy", "score (%)", "low", "high", "NFE", "verdict"]),
        (60, ["policy", "score (%)", "low", "NFE", "verdict"]),
        (50, ["policy", "score (%)", "verdict"]),
    ],
)
def test_a_screen_has_the_columns_that_it_has_room_for(shown, width: int | None, expected: list[str]) -> None:
    out = shown(width, WIDE)
    assert titles(out) == expected
    assert max(map(len, out.splitlines())) <= (width or 1000)
    assert "│ smartcrop 128 tau 0.9 " in out
    assert " within CI │" in out
    gone = [title for title in WIDE.titles if title not in expected]
    if gone:
        assert f"Left out at {width} characters a line: {', '.join(gone)}. A wider" in " ".join(out.split())
    else:
        assert "Left out" not in out


def test_a_file_gets_all_however_long_the_lines_are(shown) -> None:
    assert len(titles(shown(None, text_table("n", "t", [f"column {k}" for k in range(60)], [("x",) * 60])))) == 60


def test_a_comparison_of_two_things_keeps_both_and_wraps(shown) -> None:
    table = text_table("n", "t", ("field", "first", "second"), [("benchmark.path", "a" * 60, "b" * 60)])
    out = shown(60, table)
    assert titles(out) == ["field", "first", "second"]
    assert (out.count("a") > 60, out.count("b") > 60) == (True, True)
    assert max(map(len, out.splitlines())) == 60


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text("abc ", min_size=1, max_size=20), st.integers(0, 10**9)), min_size=1, max_size=20))
def test_no_number_is_ever_cut(columns: list[tuple[str, int]]) -> None:
    from dlm_length.reports.rendering import terminal

    table = text_table("n", "t", ["", *(title for title, _ in columns)], [("x", *(str(value) for _, value in columns))])
    places = list(range(len(table.columns)))
    order = list(terminal._leaving(table))
    assert sorted(order) == places[1:], "any of them may have to go, but not the first"
    assert terminal._needs(terminal._drawn(table, places, wrapped=True)) <= terminal._needs(
        terminal._drawn(table, places, wrapped=False)
    )


def test_a_note_of_several_tables_is_shown_once_below_the_last(shown) -> None:
    first = text_table("a", "First", ("", "x"), [("r", "1")], ("Of both.", "Of the first."))
    second = text_table("b", "Second", ("", "x"), [("r", "2")], ("Of both.", "Of the second."))
    out = shown(80, first, second)
    assert out.count("Of both.") == 1
    places = [out.index(each) for each in ("First", "Of the first.", "Second", "Of the second.", "Of both.")]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [None, 160, 80, 50])
def test_a_heading_goes_across_all_columns_and_groups_stand_apart(shown, width: int | None) -> None:
    """A metric's name is longer than any policy's: it would take the room of columns of numbers."""
    rows = (Row(("fixed 128", Number(0.5), Number(0.25)), ()),)
    columns = (Column("policy", numeric=False), Column("score"), Column("saved"))
    heading = "mini_ifeval, llada-mini: prompt_level_strict_acc, n = 50"
    out = shown(width, ReportTable("n", "t", columns, (Group(heading, rows), Group("second, n = 7", rows))))
    lines = out.splitlines()
    edges = {len(line) for line in lines if line[0] in "┏┃┡│├└"}
    assert len(edges) == 1, "every line is as wide as the table"
    assert titles(out) == ["policy", "score", "saved"]
    assert heading in " ".join(" ".join(line.strip("│ ").split()) for line in lines)
    assert [line for line in lines if "n =" in line] == [line for line in lines if "n = 50" in line or "n = 7" in line]
    assert sum(line.startswith("├") for line in lines) == 1
    assert "\ue000" not in out


def test_the_best_is_bold_and_the_second_underlined_as_the_notes_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from dlm_length.reports.rendering.terminal import print_table

    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    cells = [Number(0.5, mark="best"), Number(0.25, mark="second"), Number(0.125)]
    rows = tuple(Row((name, cell), ()) for name, cell in zip("abc", cells, strict=True))
    columns = (Column("policy", numeric=False), Column("score"))
    print_table(ReportTable("n", "t", columns, (Group("", rows),)), 80)
    best, second, third = capsys.readouterr().out.splitlines()[4:7]
    assert "\x1b[1m" in best
    assert "\x1b[4m" in second
    assert "\x1b[1m" not in third
    assert "\x1b[4m" not in third
