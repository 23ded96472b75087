"""What the formats have in common: text on one line, names, and the note on how a format marks the baseline."""

import re
from collections.abc import Iterator

from dlm_length.reports.table import ReportTable


def one_line(text: str) -> str:
    """Any white space, line breaks included, as single spaces."""
    return " ".join(text.split())


def encodable(text: str) -> str:
    """The text without half characters, which a path may hold and no UTF-8 file can."""
    return text.encode("utf-8", "replace").decode("utf-8")


def slug(name: str) -> str:
    """A name as labels and addresses can hold it."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)


def baseline_note(table: ReportTable, look: str) -> Iterator[str]:
    """How a format marks the baseline's row, where there is one; the table's own notes explain bold and underlined."""
    if any(row.baseline for row in table.rows):
        yield f"{look}: the baseline."
