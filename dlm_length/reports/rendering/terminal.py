"""Tables on a terminal: which columns its width has room for, and how long titles are wrapped."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from dlm_length.common.printable import one_line, printable
from dlm_length.reports.table import ReportTable, plain_cell

_WIDEST = 1_000
"""The most characters of a line that a table is measured for."""
_FEWEST_COLUMNS = 3
"""A table of so few columns loses none: it compares two things."""
_NARROWEST_TITLE = 8
_TEXT = 24
"""Characters of a column of text where room is short."""


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
    Console(width=_needs(drawn) if width is None else width).print(drawn)
    return [table.titles[place] for place in range(len(table.columns)) if place not in places]


def left_out(titles: Sequence[str], width: int) -> str:
    """Which columns were left out, and how to see them."""
    return (
        f"Left out at {width} characters a line: {', '.join(titles)}. A wider terminal shows them, and so does"
        " --format csv where a command has it."
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
    """The table with these columns; `wrapped`: titles and headings of groups in lines as short as the cells."""
    shown = list(places)
    # As text, in which brackets mean themselves.
    drawn = RichTable(title=Text(printable(table.title)), title_justify="left", caption_justify="left")
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
    # A heading is wrapped only between words: a metric's name can be longer than any cell of the first column.
    words = [len(word) for group in table.groups for word in printable(group.heading).split()]
    label = max([2 * _NARROWEST_TITLE, *words, *map(len, cells[0])]) if cells else _WIDEST
    for group in table.groups:
        if group.heading:
            heading = printable(one_line(group.heading))
            drawn.add_row(
                Text(textwrap.fill(heading, label, break_on_hyphens=False) if wrapped else heading),
                *("" for _ in shown[1:]),
            )
        for row in group.rows:
            drawn.add_row(*(Text(printable(plain_cell(row.cells[place]))) for place in shown))
    return drawn
