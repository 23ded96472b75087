"""CSV and JSON: every digit of every number, for programs and spreadsheets."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

from dlm_length.analysis.parameters import numbered
from dlm_length.common.printable import encodable
from dlm_length.reports.table import MISSING, Cell, Number, NumberPart, Quantity, ReportTable, plain_cell

_POWERS = str.maketrans({"²": "^2", "³": "^3", "⁶": "^6"})
"""In titles of columns, by which programs name them: powers in ASCII."""


def csv_table(table: ReportTable) -> str:
    """A line of titles, then a line per row; text is quoted, numbers are not, an undefined number is empty.

    A column of numbers is followed by their interval (`low`, `high`) and `p`, if any row has them and no other column
    shows them.
    The first column is `group` where groups have headings; the last, `runs`, has the folders of the row's runs, joined
    by `;`.
    """
    further = [_further(table, place) for place in range(len(table.columns))]
    headed = any(group.heading for group in table.groups)
    titles = ["group"] if headed else []
    for column, extra in zip(table.columns, further, strict=True):
        title = column.title.translate(_POWERS)
        titles += [title, *(f"{title} {name}" for name in extra)]
    file = io.StringIO()
    # QUOTE_MINIMAL would leave a lone carriage return unquoted, at which readers begin a new row.
    writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([_text(title) for title in (*titles, "runs")])
    for group in table.groups:
        for row in group.rows:
            cells: list[str | float] = [_text(group.heading)] if headed else []
            for cell, extra in zip(row.cells, further, strict=True):
                cells += _cells(cell, extra)
            writer.writerow([*cells, _text(";".join(source.as_posix() for source in row.sources))])
    return file.getvalue()


def _further(table: ReportTable, place: int) -> list[str]:
    numbers = [cell for row in table.rows if isinstance(cell := row.cells[place], Number)]
    names = (name for name in get_args(NumberPart) if name not in table.columns[place].own_columns)
    return [name for name in names if any(not math.isnan(getattr(number, name)) for number in numbers)]


def _cells(cell: Cell, further: Sequence[str]) -> Iterator[str | float]:
    if not isinstance(cell, Number):
        yield _text(cell)
        yield from ("" for _ in further)
        return
    for value in (cell.value, *(getattr(cell, name) for name in further)):
        yield "" if math.isnan(value) else float(value)


def _text(text: str) -> str:
    """Text that no spreadsheet evaluates: an apostrophe is put before what begins as a formula and is no number.

    A program that reads the file sees the apostrophe too; no label of this package begins as a formula.
    """
    text = encodable(text)
    formula = re.match(r"[=+\-@\t\r＝＋－＠]", text) and not re.fullmatch(r"[-+][\d.,]+ ?%?\**", text)
    return f"'{text}" if formula and text != MISSING else text


def json_tables(tables: Iterable[ReportTable]) -> str:
    """A list of tables: `name`, `title`, `notes`, and `rows`, each with its `group`, its `runs`, and `cells` by column.

    A cell is a text, or the object of a number (docs/report.md has the schema): `value`, null where it is undefined;
    `text`, as the other formats show it; and what else the cell has, such as `low`, `high`, `p` and `stars`. Columns
    with equal titles are numbered.
    """
    return encodable(json.dumps([_table(table) for table in tables], ensure_ascii=False, indent=1, allow_nan=False))


def _table(table: ReportTable) -> dict[str, Any]:
    titles = list(numbered([title.translate(_POWERS) for title in table.titles], " [{}]"))
    return {
        "name": table.name,
        "title": table.title,
        "rows": [
            {
                "group": group.heading,
                "cells": dict(zip(titles, map(_cell, row.cells), strict=True)),
                "runs": [source.as_posix() for source in row.sources],
            }
            for group in table.groups
            for row in group.rows
        ],
        "notes": list(table.all_notes),
    }


def _cell(cell: Cell) -> Any:
    if isinstance(cell, Number):
        bounds = {"low": cell.low, "high": cell.high} if cell.has_interval else {}
        p = {} if math.isnan(cell.p) else {"p": cell.p}
        return _number(cell.value, plain_cell(cell), {**bounds, **p, "stars": cell.stars})
    if isinstance(cell, Quantity):
        return _number(cell.value, str(cell), cell.parts)
    return _number(None, cell, {}) if cell == MISSING else cell


def _number(value: float | None, text: str, parts: Mapping[str, float | str | None]) -> dict[str, Any]:
    shown = {name: _finite(part) for name, part in parts.items() if part != ""}  # no stars
    return {"value": _finite(value), "text": text, **shown}


def _finite(value: float | str | None) -> float | str | None:
    """JSON has neither NaN, which becomes null, nor infinity, which becomes `"inf"` or `"-inf"`."""
    if value is None or isinstance(value, str | int):
        return value
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(value)  # float() also for NumPy's numbers
