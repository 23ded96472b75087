"""JSON: the tables' cells as records, for programs."""

import json
import math
from collections.abc import Iterable
from typing import Any, get_args

from dlm_length.analysis.parameters import numbered
from dlm_length.reports.rendering.text import encodable
from dlm_length.reports.table import Beside, Cell, Number, ReportTable


def json_tables(tables: Iterable[ReportTable]) -> str:
    """A list of tables: `name`, `title`, `notes`, and `rows`, each with its `group`, its `runs`, and `cells` by column.

    A number is an object of `value` with `low`, `high`, `p` and `stars` where it has them; what is undefined is null,
    and infinity a text. Columns of one title are numbered.
    """
    return encodable(json.dumps([_table(table) for table in tables], ensure_ascii=False, indent=1, allow_nan=False))


def _table(table: ReportTable) -> dict[str, Any]:
    titles = list(numbered(table.titles, " [{}]"))
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
    if not isinstance(cell, Number):
        return cell
    found = {"value": _finite(cell.value)}
    found |= {name: _finite(value) for name in get_args(Beside) if not math.isnan(value := getattr(cell, name))}
    return found | ({"stars": cell.stars} if cell.stars else {})


def _finite(value: float) -> float | str | None:
    """JSON has neither NaN nor infinity."""
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(value)
