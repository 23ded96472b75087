r"""LaTeX: a table to \input into a paper, and a document of all tables and figures.

The words around the cells are in the templates. Both ask for booktabs, graphicx and siunitx 3, and longtable where a
table is one. Intervals are left to the other formats.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, groupby
from pathlib import Path
from typing import Any, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from dlm_length.reports.rendering.figure import Figure
from dlm_length.reports.rendering.latex_text import comment, escape
from dlm_length.reports.rendering.text import baseline_note, one_line, slug
from dlm_length.reports.table import Cell, Column, Number, ReportTable, Row, Width

_LINES_OF_PAGE = 40
"""Lines that a page holds with a caption, at the usual size."""
_FEWEST_LINES = 15
"""Of a table's rows on a page, however long its notes are."""
_RULE = 0.5
"""Lines that a rule takes, with the space about it."""
_LONG_TEXT = 40
"""Characters from which a column of text is set in paragraphs."""
_PARAGRAPH = 16
"""Width of these, in em; an em is about two characters."""
_GAP = 2
"""Between two columns, in characters."""
_ROOM: dict[Width, int] = {"column": 48, "page": 80}
"""Characters of a line of text at its usual size."""
_SIZES = ((1.0, "", 1.0), (1.1, r"\small", 0.92), (1.25, r"\footnotesize", 0.79), (math.inf, r"\scriptsize", 0.67))
"""By how much the estimated width may go beyond that room in this size, and the height of its lines. The estimate only
chooses what looks best; that nothing sticks out is left to `resizebox`, which measures."""
_WIDEST_OF_COLUMN = 1.5
"""What goes beyond a column's room by more than this is set across both."""
_WIDEST = 160
"""Characters that can still be read when shrunk to the width of a page."""

_LONGTABLE = 90
"""Characters of a line that a page holds at a small size for certain: a longtable cannot be shrunk."""

_Item = TypeVar("_Item")


def latex_table(table: ReportTable, *, in_document: bool = False) -> str:
    """A float with caption, label and notes; the comments above a row name the folders of its runs.

    One that is made for no place in a paper is as wide as a page unless it is narrow, and one that is too wide for a
    column is set across both. A table that no page holds goes
    on in further floats under the same number. One that is made for a whole page, and not too wide, is then a
    longtable, except `in_document`: this needs a page without columns, and a second run of LaTeX.
    """
    whole = _parts(table, in_pages=False)
    fits = len(whole) == 1 and whole[0].width <= _LONGTABLE
    too_long = sum(_heights(table, whole[0])) > _lines_together(table, whole[0])
    long = table.width == "page" and not in_document and fits and too_long
    parts = whole if long else _parts(table)
    width = _place(table, whole[0])
    return _template("table").render(
        long=long,
        environment="table*" if width == "page" else "table",
        table=table,
        parts=[_context(table, part, width) for part in parts],
        notes=[*table.notes, *baseline_note(table, "Italics")],
    )


def latex_document(
    tables: Sequence[ReportTable],
    figures: Sequence[Figure] = (),
    title: str = "Report",
    notes: Sequence[str] = (),
) -> str:
    """A document that compiles as it is, with the figures as figures/NAME.pdf next to it.

    `notes`: sentences on the whole document, put below its title.
    """
    return _template("document").render(
        title=title,
        notes=notes,
        floats=sum(len(_parts(table)) for table in tables) + len(figures),
        tables=[latex_table(table, in_document=True) for table in tables],
        figures=figures,
    )


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
    """Lines of its title, to be escaped."""
    characters: int
    """That fit in its width."""
    integers: int = 1
    """Digits before the decimal point, at most."""
    decimals: int = 0
    negative: bool = False
    stars: str = ""
    """The most of them."""

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
    """What of a table stands in one float."""

    layouts: list[_Layout]
    rows: list[tuple[int, Row]]
    """Each with the number of its group."""

    @property
    def width(self) -> int:
        return sum(layout.width for layout in self.layouts)


def _parts(table: ReportTable, *, in_pages: bool = True) -> list[_Part]:
    """One, unless it is wider than a page can show or, where it is to be cut `in_pages`, longer."""
    rows = [(number, row) for number, group in enumerate(table.groups) for row in group.rows]
    parts = []
    for layouts in _blocks([_layout(table, place) for place in range(len(table.columns))]):
        whole = _Part(layouts, rows)
        heights = list(_heights(table, whole))
        shares = _shared(rows, heights, _lines_together(table, whole)) if in_pages else [rows]
        parts += [_Part(layouts, share) for share in shares]
    return parts


def _place(table: ReportTable, part: _Part) -> Width:
    """Where a part is set: as its table is made for, or by its width."""
    if table.width == "page":
        return "page"
    most = _ROOM["column"] * (1 if table.width is None else _WIDEST_OF_COLUMN)
    return "page" if part.width > most else "column"


def _size(width: Width, part: _Part) -> tuple[str, float]:
    """A size of type in which it fits, and the height of its lines."""
    return next((name, height) for most, name, height in _SIZES if part.width <= most * _ROOM[width])


def _lines_together(table: ReportTable, part: _Part) -> float:
    """Lines of its rows that a page holds above the notes, which are in a smaller size."""
    width = _place(table, part)
    in_line = 1.25 * _ROOM[width]
    notes = sum(0.8 * math.ceil(len(note) / in_line) + 0.25 for note in table.notes)
    return max(_LINES_OF_PAGE - notes, _FEWEST_LINES) / _size(width, part)[1]


def _blocks(layouts: Sequence[_Layout]) -> list[list[_Layout]]:
    """Columns that fit next to each other, the table's first leading each block."""
    label, *others = layouts
    room = max(_WIDEST - label.width, _WIDEST / 2)
    return [[label, *some] for some in _shared(others, [layout.width for layout in others], room)]


def _shared(items: Sequence[_Item], sizes: Sequence[float], most: float) -> list[list[_Item]]:
    """Neighbours in parts of about the same size, as few as keep to `most`."""
    ends = list(accumulate(sizes))
    if not ends:
        return [[]]
    share = ends[-1] / math.ceil(ends[-1] / most)
    parts = groupby(zip(items, ends, strict=True), key=lambda pair: math.ceil(round(pair[1] / share, 6)))
    return [[item for item, _ in members] for _, members in parts]


def _heights(table: ReportTable, part: _Part) -> Iterator[float]:
    """Lines of each row, those of its group's heading with the first."""
    paragraphs = [layout.place for layout in part.layouts if layout.paragraphs]
    for number, members in groupby(part.rows, key=lambda pair: pair[0]):
        above = len(_heading(table, part, number)) + _RULE
        for _, row in members:
            texts = [cell for place in paragraphs if isinstance(cell := row.cells[place], str)]
            yield above + max([1, *(math.ceil(len(text) / _PARAGRAPH / 2) for text in texts)])
            above = 0


def _heading(table: ReportTable, part: _Part, number: int) -> list[str]:
    """Lines of a group's heading, which is bold and shall not widen the table."""
    return textwrap.wrap(one_line(table.groups[number].heading), max(30, int(0.85 * part.width)))


def _context(table: ReportTable, part: _Part, width: Width) -> dict[str, Any]:
    """What the template shows of a part."""
    spans, rules = _spans(part.layouts)
    return {
        "specifications": [layout.specification for layout in part.layouts],
        "size": _size(width, part)[0],
        "gap": 3 if part.width > _ROOM[width] else 6,
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
    """The headings above neighbouring columns, and the rules below these; nothing where no column has one."""
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
    """The titles, in as many rows as the longest has lines, standing on the last."""
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
    """A cell for siunitx to set as text, as wide as the numbers of its column, so that its decimal point is in line."""
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
