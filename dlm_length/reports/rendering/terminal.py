"""Tables on a terminal: which columns its width has room for, and how long titles are wrapped."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table as RichTable
from rich.text import Text

from dlm_length.common.printable import one_line, printable
from dlm_length.reports.table import Cell, ReportTable, plain_cell

_WIDEST = 1_000
"""The most characters of a line that a table is measured for."""
_FEWEST_COLUMNS = 3
"""A table of so few columns loses none: it compares two things."""
_NARROWEST_TITLE = 8
_TEXT = 26
"""Characters of a line of a column of text, where room is short."""
_HEADING = "\ue000"
"""Private-use character: in a row of its own it stands for a group's heading, which goes across the columns."""


def print_table(table: ReportTable, width: int | None) -> list[str]:
    """Print a table without its notes to standard output, in lines of at most `width` characters (None: of any length).

    Titles are wrapped first, then columns of numbers are left out: details, then others, each from the right. What
    still does not fit is wrapped within its cells. Returns the titles of the columns left out.
    """
    places = list(range(len(table.columns)))
    drawn = _drawn(table, places, wrapped=False)
    order = _leaving(table)
    while width is not None and _needs(drawn) > width:
        drawn = _drawn(table, places, wrapped=True)
        if _needs(drawn) <= width or len(places) <= _FEWEST_COLUMNS or (last := next(order, None)) is None:
            break
        places.remove(last)
    console = Console(width=max(_needs(drawn), len(table.title)) if width is None else width)
    console.print(Text(printable(table.title), style="table.title"))  # the table's own title is no wider than the table
    headings = iter([printable(one_line(group.heading)) for group in table.groups if group.heading])
    for line in console.render_lines(drawn, pad=False):
        text = "".join(segment.text for segment in line)
        if _HEADING in text:
            for part in _across(next(headings), text):
                console.print(part, soft_wrap=True)
        else:
            console.print(Segments([*line, Segment.line()]), end="")
    return [table.titles[place] for place in range(len(table.columns)) if place not in places]


def left_out(titles: Sequence[str], width: int) -> str:
    """Which columns were left out, and how to see them."""
    return (
        f"Left out at {width} characters a line: {', '.join(titles)}. A wider terminal shows them, and so does --json."
    )


def _leaving(table: ReportTable) -> Iterator[int]:
    """The places of the columns that can be left out, in the order in which they are."""
    numeric = [place for place, column in enumerate(table.columns) if column.numeric and place]
    details = table.details
    yield from (place for place in reversed(numeric) if place in details)
    yield from (place for place in reversed(numeric) if place not in details)


def _needs(drawn: RichTable) -> int:
    return Console(width=_WIDEST).measure(drawn).maximum


def _drawn(table: ReportTable, places: Iterable[int], *, wrapped: bool) -> RichTable:
    """The table with these columns; `wrapped`: titles in lines as short as the cells."""
    shown = list(places)
    drawn = RichTable()
    cells = [[printable(plain_cell(row.cells[place])) for row in table.rows] for place in shown]
    for place, column in zip(shown, cells, strict=True):
        widest = max([_NARROWEST_TITLE, *map(len, column)])
        title = printable(table.titles[place])
        drawn.add_column(
            Text(textwrap.fill(title, widest, break_long_words=False) if wrapped else title),
            justify="right" if table.columns[place].numeric else "left",
            overflow="fold",
            no_wrap=table.columns[place].numeric and len(shown) > _FEWEST_COLUMNS,
            max_width=_TEXT if wrapped and place and not table.columns[place].numeric else None,
        )
    for group in table.groups:
        if group.heading:
            drawn.add_section()
            drawn.add_row(_HEADING)
        for row in group.rows:
            drawn.add_row(*(_cell(row.cells[place]) for place in shown))
    return drawn


def _across(heading: str, row: str) -> Iterator[Text]:
    """Lines with a group's heading across all columns, between the edges that `row` has; `n = 50` is not torn apart."""
    width = max(1, cell_len(row) - 4)
    for part in textwrap.wrap(heading.replace(" = ", "\0=\0"), width, break_on_hyphens=False):
        text = Text(part.replace("\0", " "), style="italic")
        text.pad_right(width - cell_len(text.plain))
        yield Text(f"{row[0]} ").append_text(text).append(f" {row[-1]}")


def _cell(cell: Cell) -> Text:
    """A cell, with the best of its group in bold and the second underlined, as the notes say."""
    styles = {"best": "bold", "second": "underline"}
    return Text(printable(plain_cell(cell)), style=styles.get(getattr(cell, "mark", None) or "", ""))
