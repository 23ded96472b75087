"""Tables and notes as GitHub's Markdown."""

import re
from collections.abc import Iterable, Sequence

from dlm_length.common.printable import encodable, one_line
from dlm_length.reports.table import Cell, Number, ReportTable, Row


def markdown_table(table: ReportTable) -> str:
    """A heading, the table, its notes, and a comment, which is not shown, with the folders of each row's runs."""
    numeric = [column.numeric for column in table.columns]
    lines = [[escape(column.title) for column in table.columns]]
    for group in table.groups:
        if group.heading:
            lines.append([f"**{escape(group.heading)}**", *("" for _ in table.columns[1:])])
        lines += [[_cell(cell, row.baseline) for cell in row.cells] for row in group.rows]
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    rule = [("-" * (width - 1) + ":") if right else "-" * width for width, right in zip(widths, numeric, strict=True)]
    notes = [*table.all_notes, *table.baseline_note("Italics")]
    parts = [
        f"### {escape(table.title)}",
        "\n".join(_line(cells, widths, numeric) for cells in (lines[0], rule, *lines[1:])),
        *(_paragraph(note) for note in notes),
        *([_origins(table.rows)] if any(row.sources for row in table.rows) else []),
    ]
    return "\n\n".join(parts) + "\n"


def markdown_notes(notes: Iterable[str]) -> str:
    """Sentences about the whole document, each as a paragraph."""
    return "\n\n".join(map(_paragraph, notes))


def escape(text: str) -> str:
    """Text that GitHub shows as it is, on one line."""
    shown = encodable(one_line(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    shown = re.sub(r"[\\`*|~#$\[\]]", r"\\\g<0>", shown)
    return re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", shown)  # within a word it is no mark-up


def _paragraph(text: str) -> str:
    """A paragraph, escaped where it would begin a list or a rule."""
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", escape(text))


def _line(cells: Iterable[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if right else cell.ljust(width)
        for cell, width, right in zip(cells, widths, numeric, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _cell(cell: Cell, baseline: bool) -> str:
    if not isinstance(cell, Number):
        text = escape(cell)
        return f"_{text}_" if baseline and text else text
    shown = escape(cell.text) if cell.is_below else cell.text
    if cell.mark == "best":
        shown = f"**{shown}**"
    elif cell.mark == "second":
        shown = f"<ins>{shown}</ins>"
    return shown + escape(cell.stars)


def _origins(rows: Sequence[Row]) -> str:
    """A comment with the folders of each row; `>` is escaped, so that nothing ends it early."""
    lines = []
    for number, row in enumerate(rows, start=1):
        folders = "; ".join(source.as_posix() for source in row.sources)
        lines.append(f"{number}: {encodable(one_line(folders))}".replace(">", "&gt;").rstrip())
    return "\n".join(["<!-- runs of each row", *lines, "-->"])
