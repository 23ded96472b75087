"""A sheet as an HTML table, which the page's script makes sortable."""

import math
from collections.abc import Sequence

from dlm_length.reports.rendering.html_parts import Runs, paragraphs, text
from dlm_length.reports.rendering.text import baseline_note, slug
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row, p_text


def sheet_section(sheet: ReportTable, runs: Runs) -> str:
    """The table, its heading above and its notes below."""
    name = f"table-{slug(sheet.name)}"
    columns = "".join(_header(column) for column in sheet.columns)
    groups = "\n".join(_group(group, sheet.columns, runs) for group in sheet.groups)
    notes = [*sheet.all_notes, *baseline_note(sheet, "Shaded")]
    return f"""<section class="sheet" id="{name}">
<h2 id="{name}-title" dir="auto">{text(sheet.title)}</h2>
<div class="scroll" role="region" aria-labelledby="{name}-title" tabindex="0">
<table aria-labelledby="{name}-title">
<thead><tr>{columns}<th scope="col" class="runs">runs</th></tr></thead>
{groups}
</table>
</div>
{paragraphs(notes)}
</section>"""


def _header(column: Column) -> str:
    kind = "number" if column.numeric else "text"
    first = "descending" if column.higher_is_better else "ascending"  # the best comes first
    better = {True: ' title="higher is better"', False: ' title="lower is better"', None: ""}[column.higher_is_better]
    button = f'<button type="button"{better}>{text(column.title)}</button>' if column.title else ""
    return f'<th scope="col" class="{kind}" data-first="{first}">{button}</th>'


def _group(group: Group, columns: Sequence[Column], runs: Runs) -> str:
    rows = [_row(row, columns, runs) for row in group.rows]
    if group.heading:
        heading = f'<span dir="auto">{text(group.heading)}</span>'
        rows.insert(0, f'<tr class="heading"><th scope="rowgroup" colspan="{len(columns) + 1}">{heading}</th></tr>')
    lines = "\n".join(rows)
    return f"<tbody>\n{lines}\n</tbody>"


def _row(row: Row, columns: Sequence[Column], runs: Runs) -> str:
    cells = "".join(_cell(cell, column) for cell, column in zip(row.cells, columns, strict=True))
    own, others = row.sources[:1], row.sources[1:]
    links = "".join(map(runs.links, own))
    if others:
        links += f" <details><summary>+{len(others)}</summary>{runs.listed(others)}</details>"
    kind = "row baseline" if row.baseline else "row"
    return f'<tr class="{kind}">{cells}<td class="runs">{links}</td></tr>'


def _cell(cell: Cell, column: Column) -> str:
    kind = "number" if column.numeric else "text"
    if isinstance(cell, str):
        return f'<td class="{kind}"><span dir="auto">{text(cell)}</span></td>'
    if math.isnan(cell.value):
        return f'<td class="{kind}">{cell.text}</td>'
    shown = text(cell.text)
    if cell.mark == "best":
        shown = f"<strong>{shown}</strong>"
    elif cell.mark == "second":
        shown = f"<u>{shown}</u>"
    if cell.stars:
        shown += f'<span class="stars">{text(cell.stars)}</span>'
    if _has_interval(cell):
        low, high = (Number(end, cell.digits).text for end in (cell.low, cell.high))
        shown += f'<small class="interval">[{low}, {high}]</small>'
    # JavaScript reads the value, and spells infinity out.
    value = repr(float(cell.value)).replace("inf", "Infinity")
    return f'<td class="{kind}" data-value="{value}" title="{text(_told(cell))}">{shown}</td>'


def _has_interval(cell: Number) -> bool:
    return not (math.isnan(cell.low) and math.isnan(cell.high))


def _told(cell: Number) -> str:
    """What pointing at a number tells."""
    told = [f"{cell.value:.6g}"]
    if _has_interval(cell):
        told.append(f"interval {cell.low:.6g} to {cell.high:.6g}")
    if not math.isnan(cell.p):
        told.append(f"p {p_text(cell.p, equal='= ', resamples=cell.resamples)}")
    return "; ".join(told)
