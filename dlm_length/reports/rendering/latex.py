r"""LaTeX: a table to \input into a paper, and a document of all tables and figures.

Both ask for booktabs, graphicx and siunitx 3, no more, and are ASCII. Intervals are left to the other formats.
"""

import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from pathlib import Path
from typing import TypeVar

from dlm_length.reports.rendering.figure import Figure
from dlm_length.reports.rendering.latex_text import comment, escape
from dlm_length.reports.rendering.text import baseline_note, one_line, slug
from dlm_length.reports.table import Cell, Column, Number, ReportTable, Row

_LINES_TOGETHER = 38
"""Lines that a page holds beside caption and notes."""
_RULE = 0.5
"""Lines that a rule takes, with the space about it."""
_LONG_TEXT = 40
"""Characters from which a column of text is set in paragraphs."""
_PARAGRAPH = 16
"""Width of these, in em."""

# Widths in points. A column of a two-column paper is 240 wide, the text of a one-column paper about 400. Estimates
# decide what looks best; that nothing sticks out is left to \resizebox, which knows.
_CHARACTER, _BOLD_CHARACTER, _GAP, _NARROW_GAP = 5.2, 6.0, 12.0, 6.0
_COLUMN, _PAGE = 220.0, 400.0
_SIZES = ((1.0, ""), (0.9, r"\small"), (0.8, r"\footnotesize"))
_SMALLEST = r"\scriptsize"
_MANY_COLUMNS = 8
_WIDEST = 820.0
"""What can still be read when shrunk to the width of a page."""

_Item = TypeVar("_Item")

_FITTED = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"


def latex_table(sheet: ReportTable) -> str:
    """A float with caption, label and notes; the comments above a row name the folders of its runs.

    A sheet that no page holds goes on in further floats under the same number.
    """
    lines = ["% Needs booktabs, graphicx and siunitx 3."]
    parts = _parts(sheet)
    for number, part in enumerate(parts, start=1):
        lines += _float(sheet, part, first=number == 1, last=number == len(parts))
    return "\n".join(lines) + "\n"


def latex_document(
    sheets: Sequence[ReportTable], figures: Sequence[Figure] = (), title: str = "Report", notes: Sequence[str] = ()
) -> str:
    """A document that compiles as it is, with the figures as figures/NAME.pdf beside it.

    `notes`: sentences on the whole document, put below its title.
    """
    floats = sum(len(_parts(sheet)) for sheet in sheets) + len(figures)
    parts = [
        r"\documentclass[a4paper,11pt]{article}",
        r"\usepackage[margin=2cm]{geometry}",
        r"\usepackage{booktabs,graphicx,siunitx}",
        # There is nothing but floats: LaTeX holds back all that do not fit on the first page.
        rf"\extrafloats{{{floats}}}",
        rf"\maxdeadcycles={floats + 100}",
        # Otherwise pdfTeX makes an identifier of the folder's name and the time.
        r"\ifdefined\pdftrailerid\pdftrailerid{}\fi",
        rf"\title{{{escape(title)}}}",
        r"\date{}",
        r"\begin{document}",
        r"\maketitle",
        *_below_the_title(notes),
        "",
        *(latex_table(sheet) for sheet in sheets),
        *(_figure(figure) for figure in figures),
        r"\end{document}",
    ]
    return "\n".join(parts) + "\n"


def _below_the_title(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield r"{\raggedright\small"
        for note in notes:
            # Paths and options are long words, which LaTeX breaks nowhere by itself.
            yield re.sub("([/=])", r"\1\\allowbreak{}", escape(note)) + r"\par"
        yield "}"


def _figure(figure: Figure) -> str:
    return "\n".join(
        [
            r"\begin{figure}[htbp]",
            r"\centering",
            *_origin(figure.sources),
            _FITTED,
            rf"\includegraphics{{figures/{figure.name}.pdf}}}}",
            rf"\caption{{{escape(f'{figure.title}. {figure.caption}')}}}",
            rf"\label{{fig:{slug(figure.name)}}}",
            r"\end{figure}",
            "",
        ]
    )


@dataclass(frozen=True)
class _Layout:
    """How a column is set."""

    place: int
    """Of the column in the sheet."""
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
    def width(self) -> float:
        return _PARAGRAPH * 10 if self.paragraphs else self.characters * _CHARACTER


def _layout(sheet: ReportTable, place: int) -> _Layout:
    column, cells = sheet.columns[place], [row.cells[place] for row in sheet.rows]
    numbers = [cell for cell in cells if isinstance(cell, Number)]
    widest = max((len(cell) if isinstance(cell, str) else len(cell.text + cell.stars) for cell in cells), default=1)
    titles = textwrap.wrap(one_line(column.title), max(widest, 8), break_long_words=False, break_on_hyphens=False)
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
    """What of a sheet stands in one float."""

    layouts: list[_Layout]
    rows: list[tuple[int, Row]]
    """Each with the number of its group."""

    @property
    def gap(self) -> float:
        return _NARROW_GAP if len(self.layouts) > _MANY_COLUMNS else _GAP

    @property
    def width(self) -> float:
        return sum(layout.width + self.gap for layout in self.layouts)


def _parts(sheet: ReportTable) -> list[_Part]:
    """One, unless it is longer or wider than a page."""
    rows = [(number, row) for number, group in enumerate(sheet.groups) for row in group.rows]
    parts = []
    for layouts in _blocks([_layout(sheet, place) for place in range(len(sheet.columns))]):
        whole = _Part(layouts, rows)
        parts += [_Part(layouts, some) for some in _shared(rows, list(_heights(sheet, whole)), _LINES_TOGETHER)]
    return parts


def _blocks(layouts: Sequence[_Layout]) -> list[list[_Layout]]:
    """Columns that fit beside each other, the sheet's first leading each block."""
    label, *others = layouts
    room = max(_WIDEST - label.width - _NARROW_GAP, _WIDEST / 2)
    return [[label, *some] for some in _shared(others, [layout.width + _NARROW_GAP for layout in others], room)]


def _shared(items: Sequence[_Item], sizes: Sequence[float], most: float) -> list[list[_Item]]:
    """Neighbours in parts of about the same size, as few as keep to `most`."""
    ends = list(accumulate(sizes))
    if not ends:
        return [[]]
    share = ends[-1] / math.ceil(ends[-1] / most)
    parts = groupby(zip(items, ends, strict=True), key=lambda pair: math.ceil(round(pair[1] / share, 6)))
    return [[item for item, _ in members] for _, members in parts]


def _heights(sheet: ReportTable, part: _Part) -> Iterator[float]:
    """Lines of each row, those of its group's heading with the first."""
    paragraphs = [layout.place for layout in part.layouts if layout.paragraphs]
    for number, members in groupby(part.rows, key=lambda pair: pair[0]):
        above = len(_heading(sheet, part, number)) + _RULE
        for _, row in members:
            texts = [cell for place in paragraphs if isinstance(cell := row.cells[place], str)]
            yield above + max([1, *(math.ceil(len(text) * _CHARACTER / _PARAGRAPH / 10) for text in texts)])
            above = 0


def _heading(sheet: ReportTable, part: _Part, number: int) -> list[str]:
    """Lines of a group's heading, which shall not widen the table."""
    return textwrap.wrap(one_line(sheet.groups[number].heading), max(30, int(part.width / _BOLD_CHARACTER)))


def _float(sheet: ReportTable, part: _Part, *, first: bool, last: bool) -> Iterator[str]:
    narrow = part.width <= _COLUMN
    kind = "table" if narrow else "table*"
    size = next((name for scale, name in _SIZES if scale * part.width <= _PAGE), _SMALLEST)
    yield rf"\begin{{{kind}}}[htbp]"
    yield r"\centering"
    if size:
        yield size
    yield r"\sisetup{group-digits=none, text-series-to-math=true}"
    yield r"\setlength{\belowcaptionskip}{6pt}"
    yield rf"\setlength{{\tabcolsep}}{{{part.gap / 2:g}pt}}"
    if first:
        yield rf"\caption{{{escape(sheet.title)}}}"
        yield rf"\label{{tab:{slug(sheet.name)}}}"
    else:
        yield r"\addtocounter{table}{-1}"
        yield rf"\caption{{{escape(sheet.title)} (continued)}}"
    if not narrow:
        yield _FITTED
    yield from _tabular(sheet, part)
    if not narrow:
        yield "}"
    if last:
        notes = [*sheet.notes, *baseline_note(sheet, "Italics")]
        yield from (rf"\par\smallskip{{\footnotesize\raggedright {escape(note)}\par}}" for note in notes)
    yield rf"\end{{{kind}}}"
    yield ""


def _tabular(sheet: ReportTable, part: _Part) -> Iterator[str]:
    yield r"\begin{tabular}{@{}"
    yield from (f"  {layout.specification}" for layout in part.layouts)
    yield "@{}}"
    yield r"\toprule"
    yield from _titles(part.layouts)
    for place, (number, members) in enumerate(groupby(part.rows, key=lambda pair: pair[0])):
        heading = _heading(sheet, part, number)
        yield r"\midrule" if heading or not place else r"\addlinespace"
        for line in heading:
            yield rf"\multicolumn{{{len(part.layouts)}}}{{@{{}}l}}{{\textbf{{{escape(line)}}}}} \\"
        for _, row in members:
            yield from _origin(row.sources)
            yield " & ".join(_cell(row.cells[at.place], at, row.baseline) for at in part.layouts) + r" \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"


def _titles(layouts: Sequence[_Layout]) -> Iterator[str]:
    """The titles, in as many rows as the longest has lines, standing on the last."""
    height = max(len(layout.titles) for layout in layouts)
    for line in range(height):
        above = [line - height + len(layout.titles) for layout in layouts]
        words = [escape(at.titles[place]) if place >= 0 else "" for at, place in zip(layouts, above, strict=True)]
        yield " & ".join(f"{{{word}}}" if word else "" for word in words) + r" \\"


def _origin(sources: Sequence[Path]) -> Iterator[str]:
    return (f"% from {comment(source.as_posix())}" for source in sources)


def _cell(cell: Cell, layout: _Layout, baseline: bool) -> str:
    if isinstance(cell, str):
        text = rf"\textit{{{escape(cell)}}}" if baseline else escape(cell)
        return f"{{{text}}}" if layout.column.numeric else text
    if math.isnan(cell.value):
        return "{-}"
    if math.isinf(cell.value):
        return rf"{{${'' if cell.value > 0 else '-'}\infty${_stars(cell.stars) if cell.stars else ''}}}"
    if not layout.column.numeric:
        return _number_in_text(cell)
    if cell.is_below:
        return f"{{${cell.text}${_stars(cell.stars) if cell.stars else ''}}}"
    if cell.mark == "second":
        return _underlined(cell, layout)
    stars = f"{{{_stars(cell.stars)}}}" if cell.stars else ""
    weight = r"\bfseries " if cell.mark == "best" else ""
    return f"{weight}{cell.text}{stars}"


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
    text = f"${cell.text}$"
    if cell.mark == "best":
        text = rf"$\mathbf{{{cell.text}}}$"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    return text + (_stars(cell.stars) if cell.stars else "")


def _stars(stars: str) -> str:
    return f"$^{{{stars}}}$" if set(stars) == {"*"} else rf"\textsuperscript{{{escape(stars)}}}"
