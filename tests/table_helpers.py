"""What tests of tables share."""

from dlm_length.reports.table import ReportTable, plain_cell


def text_rows(table: ReportTable) -> tuple[tuple[str, ...], ...]:
    """The cells as text with their stars; a group's heading is a row of its own."""
    rows: list[tuple[str, ...]] = []
    for group in table.groups:
        if group.heading:
            rows.append((group.heading, *("" for _ in table.columns[1:])))
        rows += [tuple(plain_cell(cell) for cell in row.cells) for row in group.rows]
    return tuple(rows)
