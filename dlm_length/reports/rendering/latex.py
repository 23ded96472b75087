r"""LaTeX: a table to \input into a paper, and a document of all tables and figures.

The markup around the cells is in the templates. Both need booktabs, graphicx and siunitx 3, and longtable for a table
that is one. Intervals within cells are left to the other formats.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, Literal, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from dlm_length.common.printable import one_line, slug
from dlm_length.reports.rendering.figure import Figure
from dlm_length.reports.rendering.latex_text import comment, escape
from dlm_length.reports.table import Cell, Column, Number, ReportTable, Row, Width

_LINES_OF_PAGE = 40
"""Lines that a page holds with a caption, at the usual size."""
_FEWEST_LINES = 15
"""Lines of rows that a page gets, however long the table's notes are."""
_RULE = 0.5
"""Height of a rule with the space around it, in lines."""
_LONG_TEXT = 40
"""A column with longer text, in characters, is set in paragraphs."""
_PARAGRAPH = 16
"""Width of a column of paragraphs, in em; an em is about two characters."""
_GAP = 2
"""Between two columns, in characters."""
_ROOM: dict[Width, int] = {"column": 48, "page": 80}
"""Characters of a line of text at its usual size."""
_SIZES = ((1.0, "", 1.0), (1.1, r"\small", 0.92), (1.25, r"\footnotesize", 0.79), (math.inf, r"\scriptsize", 0.67))
"""Sizes of type: the largest width as a multiple of `_ROOM`, the command, and the height of a line. The width is an
estimate that only chooses what looks best; `resizebox`, which measures, makes sure that nothing sticks out."""
_WIDEST_OF_COLUMN = 1.5
"""A table wider than this multiple of a column is set across both columns."""
_WIDEST = 160
"""Characters of a line that can still be read when it is shrunk to the width of a page."""
LongTables = Literal["long", "never", "all"]
"""Which tables are longtables: long ones that are made for a page, none, or all that are narrow enough for a document.
"""
_TIGHT = 120
"""Characters of a line from which the columns of a longtable are set closer."""
_LONGTABLE: Mapping[LongTables, int] = {"long": 90, "never": 0, "all": 130}
"""Characters of a line that surely fit at a small size, on the page of any paper and on that of a document: a longtable
cannot be shrunk."""

_Item = TypeVar("_Item")


def latex_table(table: ReportTable, *, longtables: LongTables = "long") -> str:
    """A float with caption, label and notes; comments above each row name the folders of its runs.

    A table without a `width` is as wide as a page unless it is narrow; one that is too wide for a column is set across
    both. A table that is too long for a page continues in further floats under the same number, or is a longtable,
    which needs a page without columns and a second run of LaTeX.
    """
    whole = _parts(table, in_pages=False)
    too_long = sum(_heights(table, whole[0])) > _lines_together(table, whole[0])
    fits = len(whole) == 1 and whole[0].width <= _LONGTABLE[longtables]
    long = fits and (longtables == "all" or (table.width == "page" and too_long))
    parts = whole if long else _parts(table)
    width = _place(table, whole[0])
    return _template("table").render(
        long=long,
        environment="table*" if width == "page" else "table",
        table=table,
        parts=[_context(table, part, width, long) for part in parts],
        notes=[*table.notes, *table.baseline_note("Italics")],
    )


def latex_document(
    tables: Sequence[ReportTable],
    figures: Sequence[Figure] = (),
    title: str = "Report",
    notes: Sequence[str] = (),
) -> str:
    """A complete document, which includes the figures as figures/NAME.pdf next to it; LaTeX has to run twice.

    Its tables follow each other without gaps, as longtables, which floats would leave in a document of nothing else.
    `notes`: sentences about the whole document, put below its title.
    """
    return _template("document").render(
        title=title,
        notes=notes,
        floats=sum(len(_parts(table)) for table in tables) + len(figures),
        tables=[latex_table(table, longtables="all") for table in tables],
        figures=list(_in_rows(figures)),
    )


def _in_rows(figures: Sequence[Figure]) -> Iterator[list[Figure]]:
    """Neighbouring figures that are as narrow as a column in pairs, every other by itself."""
    row: list[Figure] = []
    for figure in figures:
        if row and not (len(row) < 2 and not row[0].is_wide and not figure.is_wide):
            yield row
            row = []
        row.append(figure)
    if row:
        yield row


@cache
def _template(name: str) -> Template:
    """A template with delimiters that mean nothing to LaTeX; text goes through the filter `tex`."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        undefined=StrictUndefined,
        autoescape=False,  # which would escape for HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    # Paths and options are long words, which LaTeX breaks nowhere by itself.
    breakable = re.compile("([/=])")
    environment.filters |= {
        "tex": escape,
        "comment": lambda path: comment(path.as_posix()),
        "slug": slug,
        "breakable": lambda text: breakable.sub(r"\1\\allowbreak{}", text),
    }
    return environment.get_template(f"{name}.tex.j2")


@dataclass(frozen=True)
class _Layout:
    """How a column is set."""

    place: int
    """Of the column in the table."""
    column: Column
    titles: list[str]
    """Lines of its title, not escaped."""
    characters: int
    """Width of its cells and titles, in characters."""
    integers: int = 1
    """The most digits before a decimal point."""
    decimals: int = 0
    negative: bool = False
    stars: str = ""
    """The longest stars of a cell."""

    @property
    def paragraphs(self) -> bool:
        return not self.column.numeric and self.characters > _LONG_TEXT

    @property
    def specification(self) -> str:
        if self.paragraphs:
            return rf">{{\raggedright\arraybackslash}}p{{{_PARAGRAPH}em}}"
        if not self.column.numeric:
            return "l"
        sign = "-" if self.negative else ""
        room = f", table-space-text-post={{{_stars(self.stars)}}}" if self.stars else ""
        return f"S[table-format={sign}{self.integers}.{self.decimals}{room}]"

    @property
    def width(self) -> int:
        """In characters, with the gap to the next."""
        return (2 * _PARAGRAPH if self.paragraphs else self.characters) + _GAP


def _layout(table: ReportTable, place: int) -> _Layout:
    column, cells = table.columns[place], [row.cells[place] for row in table.rows]
    numbers = [cell for cell in cells if isinstance(cell, Number)]
    widest = max((len(cell) if isinstance(cell, str) else len(cell.text + cell.stars) for cell in cells), default=1)
    title = one_line(column.title.removeprefix(column.span))
    titles = textwrap.wrap(title, max(widest, 8), break_long_words=False, break_on_hyphens=False)
    characters = max(widest, *map(len, titles), 1)
    finite = [number.text for number in numbers if math.isfinite(number.value) and not number.is_below]
    if not column.numeric or not finite:
        return _Layout(place, column, titles, characters)
    wholes, _, fractions = zip(*(text.removeprefix("-").partition(".") for text in finite), strict=True)
    return _Layout(
        place,
        column,
        titles,
        characters,
        integers=max(map(len, wholes)),
        decimals=max(map(len, fractions)),
        negative=any(text.startswith("-") for text in finite),
        stars=max((number.stars for number in numbers), key=len),
    )


@dataclass(frozen=True)
class _Part:
    """The columns and rows of a table that are in one float."""

    layouts: list[_Layout]
    rows: list[tuple[int, Row]]
    """Each with the number of its group."""

    @property
    def width(self) -> int:
        return sum(layout.width for layout in self.layouts)


def _parts(table: ReportTable, *, in_pages: bool = True) -> list[_Part]:
    """One part, unless the table is too wide for a page or, where it is to be split `in_pages`, too long for one."""
    rows = [(number, row) for number, group in enumerate(table.groups) for row in group.rows]
    parts = []
    for layouts in _blocks([_layout(table, place) for place in range(len(table.columns))]):
        whole = _Part(layouts, rows)
        heights = list(_heights(table, whole))
        shares = _shared(rows, heights, _lines_together(table, whole)) if in_pages else [rows]
        parts += [_Part(layouts, share) for share in shares]
    return parts


def _place(table: ReportTable, part: _Part) -> Width:
    """Where a part is set: in the place that the table is made for, or by its width."""
    if table.width == "page":
        return "page"
    most = _ROOM["column"] * (1 if table.width is None else _WIDEST_OF_COLUMN)
    return "page" if part.width > most else "column"


def _size(width: Width, part: _Part) -> tuple[str, float]:
    """The largest size of type in which a part fits, and the height of its lines."""
    return next((name, height) for most, name, height in _SIZES if part.width <= most * _ROOM[width])


def _lines_together(table: ReportTable, part: _Part) -> float:
    """Lines of rows that a page holds above the notes, which are set smaller."""
    width = _place(table, part)
    in_line = 1.25 * _ROOM[width]
    notes = sum(0.8 * math.ceil(len(note) / in_line) + 0.25 for note in table.notes)
    return max(_LINES_OF_PAGE - notes, _FEWEST_LINES) / _size(width, part)[1]


def _blocks(layouts: Sequence[_Layout]) -> list[list[_Layout]]:
    """Columns in blocks that fit on a page; each block begins with the table's first column."""
    label, *others = layouts
    room = max(_WIDEST - label.width, _WIDEST / 2)
    return [[label, *some] for some in _shared(others, [layout.width for layout in others], room)]


def _shared(items: Sequence[_Item], sizes: Sequence[float], most: float) -> list[list[_Item]]:
    """Neighbouring items in parts of about equal size, none larger than `most`; as few parts as possible."""
    ends = list(accumulate(sizes))
    if not ends:
        return [[]]
    share = ends[-1] / math.ceil(ends[-1] / most)
    parts = groupby(zip(items, ends, strict=True), key=lambda pair: math.ceil(round(pair[1] / share, 6)))
    return [[item for item, _ in members] for _, members in parts]


def _heights(table: ReportTable, part: _Part) -> Iterator[float]:
    """Height of each row in lines; the first row of a group includes the group's heading."""
    paragraphs = [layout.place for layout in part.layouts if layout.paragraphs]
    for number, members in groupby(part.rows, key=lambda pair: pair[0]):
        above = len(_heading(table, part, number)) + _RULE
        for _, row in members:
            texts = [cell for place in paragraphs if isinstance(cell := row.cells[place], str)]
            yield above + max([1, *(math.ceil(len(text) / _PARAGRAPH / 2) for text in texts)])
            above = 0


def _heading(table: ReportTable, part: _Part, number: int) -> list[str]:
    """A group's heading, which is bold, in lines that do not widen the table."""
    return textwrap.wrap(one_line(table.groups[number].heading), max(30, int(0.85 * part.width)))


def _context(table: ReportTable, part: _Part, width: Width, long: bool) -> dict[str, Any]:
    """The values that the template shows of a part."""
    spans, rules = _spans(part.layouts)
    return {
        "specifications": [layout.specification for layout in part.layouts],
        "size": _size(width, part)[0],
        "gap": 6 if part.width <= _ROOM[width] else 2 if long and part.width > _TIGHT else 3,
        "spans": spans,
        "rules": rules,
        "titles": list(_titles(part.layouts)),
        "groups": [
            {
                "heading": _heading(table, part, number),
                "rows": [
                    {
                        "sources": row.sources,
                        "cells": [_cell(row.cells[at.place], at, row.baseline) for at in part.layouts],
                    }
                    for _, row in members
                ],
            }
            for number, members in groupby(part.rows, key=lambda pair: pair[0])
        ],
    }


def _spans(layouts: Sequence[_Layout]) -> tuple[list[str], list[str]]:
    """The headings shared by neighbouring columns, and the rules below them; empty where no column has one."""
    if not any(layout.column.span for layout in layouts):
        return [], []
    cells, rules, first = [], [], 1
    for span, members in groupby(layouts, key=lambda layout: layout.column.span):
        count = len(list(members))
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{escape(span)}}}" if span else " & " * (count - 1))
        rules += [rf"\cmidrule(lr){{{first}-{first + count - 1}}}"] if span else []
        first += count
    return cells, rules


def _titles(layouts: Sequence[_Layout]) -> Iterator[list[str]]:
    """The titles in as many rows as the longest has lines, aligned at the last row."""
    height = max(len(layout.titles) for layout in layouts)
    for line in range(height):
        above = [line - height + len(layout.titles) for layout in layouts]
        words = [escape(at.titles[place]) if place >= 0 else "" for at, place in zip(layouts, above, strict=True)]
        yield [f"{{{word}}}" if word else "" for word in words]


def _cell(cell: Cell, layout: _Layout, baseline: bool) -> str:
    if isinstance(cell, str):
        text = rf"\textit{{{escape(cell)}}}" if baseline else escape(cell)
        return f"{{{text}}}" if layout.column.numeric else text
    stars = _stars(cell.stars) if cell.stars else ""
    if math.isnan(cell.value):
        return "{-}"
    if math.isinf(cell.value):
        return rf"{{${'' if cell.value > 0 else '-'}\infty${stars}}}"
    if not layout.column.numeric:
        return _number_in_text(cell) + stars
    if cell.is_below:
        return f"{{${cell.text}${stars}}}"
    if cell.mark == "second":
        return _underlined(cell, layout)
    weight = r"\bfseries " if cell.mark == "best" else ""
    return f"{weight}{cell.text}" + (f"{{{stars}}}" if stars else "")


def _underlined(cell: Number, layout: _Layout) -> str:
    """A cell that siunitx sets as text, padded to the width of its column, so that its decimal point is aligned."""
    whole, _, fraction = cell.text.removeprefix("-").partition(".")
    sign = "-" if layout.negative and not cell.text.startswith("-") else ""
    point = "." if layout.decimals > 0 and not fraction else ""
    before = sign + "0" * (layout.integers - len(whole))
    after = point + "0" * (layout.decimals - len(fraction))
    left, right = (rf"\phantom{{{missing}}}" if missing else "" for missing in (before, after))
    stars = rf"\rlap{{{_stars(cell.stars)}}}" if cell.stars else ""
    room = rf"\hphantom{{{_stars(layout.stars)}}}" if layout.stars else ""
    return rf"{{${left}\underline{{{cell.text}}}{right}${stars}{room}}}"


def _number_in_text(cell: Number) -> str:
    if cell.mark == "best":
        return rf"$\mathbf{{{cell.text}}}$"
    return rf"\underline{{${cell.text}$}}" if cell.mark == "second" else f"${cell.text}$"


def _stars(stars: str) -> str:
    return f"$^{{{stars}}}$" if set(stars) == {"*"} else rf"\textsuperscript{{{escape(stars)}}}"
