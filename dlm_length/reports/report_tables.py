"""The tables of a report: the usual ones, and those for submission to a journal or a conference."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.sections import Compared
from dlm_length.reports.names import DECLARED, Labels, with_readers_names
from dlm_length.reports.rewording import reworded
from dlm_length.reports.table import Cell, Number, ReportTable, Width
from dlm_length.reports.tables.ablations import ablation_table
from dlm_length.reports.tables.calibration import certified_table
from dlm_length.reports.tables.cost import cost_table
from dlm_length.reports.tables.daedal import daedal_layout, daedal_table
from dlm_length.reports.tables.decoding import decoding_table
from dlm_length.reports.tables.effects import effects_table
from dlm_length.reports.tables.main import main_table
from dlm_length.reports.tables.margins import margin_table
from dlm_length.reports.tables.measures import USUAL_COLUMNS, by_uncertainty
from dlm_length.reports.tables.smartcrop import smartcrop_layout, smartcrop_table

_HOLM = " (Holm)"
"""How the title of a column of adjusted p values ends."""
_ENDS = ("low", "high")
"""Titles of the columns of the ends of the interval of the number before."""


@dataclass(frozen=True)
class PaperStyle:
    """How tables for a paper are made."""

    columns: Sequence[str] = USUAL_COLUMNS
    """Of the main table, by name."""
    width: Width = "page"
    """Of the place where they will stand: a column of two, or all that a page has."""


def usual_tables(sections: Sequence[Compared], papers: Collection[str], margin: float | None) -> list[ReportTable]:
    """All tables that these runs support, with the labels of configs and options.

    `papers`: whose tables are among them. `margin`: a share of the score within which non-inferiority and equivalence
    are tested; None: they are not.
    """
    made = [
        smartcrop_table(sections) if "smartcrop" in papers else None,
        daedal_table(sections) if "daedal" in papers else None,
        *_tables_of_no_paper(sections, margin),
    ]
    return [table for table in made if table is not None]


def _tables_of_no_paper(sections: Sequence[Compared], margin: float | None) -> Iterator[ReportTable | None]:
    yield cost_table(sections)
    yield decoding_table(sections)
    yield ablation_table(sections)
    yield certified_table(sections)
    yield effects_table(sections)
    yield None if margin is None else margin_table(sections, margin)


def paper_style_tables(
    sections: Sequence[Compared],
    style: PaperStyle,
    papers: Collection[str],
    margin: float | None,
    labels: Labels = DECLARED,
) -> list[ReportTable]:
    """The main table, the own layouts of `papers`, then the other usual tables in short; with readers' names.

    `margin` as in `usual_tables`.
    """
    named = with_readers_names(sections, labels)
    main = main_table(named, columns=style.columns, stacked=style.width == "column")
    others = [table for table in _tables_of_no_paper(sections, margin) if table is not None]
    short = [_short(table, sections[0].testing) for table in reworded(others, sections, labels)]
    return [replace(table, width=style.width) for table in (main, *_layouts(named, papers), *short)]


def own_layouts(sections: Sequence[Compared], papers: Collection[str], labels: Labels = DECLARED) -> list[ReportTable]:
    """Tables in the layouts of these papers; none of a paper that has none here."""
    made = _layouts(with_readers_names(sections, labels), papers)
    return [replace(table, name=f"{table.name}-layout", width="page") for table in made]


def _layouts(named: Sequence[Compared], papers: Collection[str]) -> Iterator[ReportTable]:
    if "smartcrop" in papers:
        yield smartcrop_layout(named)
    if "daedal" in papers and (table := daedal_layout(named)) is not None:
        yield table


def _short(table: ReportTable, testing: Testing) -> ReportTable:
    """The table without details; of a test's two p values, the one that sets the stars."""
    holm = {title for title in table.titles if title.endswith(_HOLM)}
    other_p = {title.removesuffix(_HOLM) for title in holm} if testing.adjust == "holm" else holm
    kept = [place for place, column in enumerate(table.columns) if not column.detail and column.title not in other_p]
    columns = tuple(table.columns[place] for place in kept)
    rows = [tuple(row.cells[place] for place in kept) for row in table.rows]
    # The rows of all groups share the digits of a column.
    made_columns: list[list[Cell]] = []
    for place, column in enumerate(columns):
        cells_of = [row[place] for row in rows]
        before = made_columns[-1] if column.title in _ENDS else []
        made_columns.append(_like(cells_of, before) if before else _column(cells_of))
    cells = iter(list(zip(*made_columns, strict=True)))
    groups = [
        replace(group, rows=tuple(replace(row, cells=next(cells)) for row in group.rows)) for group in table.groups
    ]
    return replace(table, columns=columns, groups=tuple(groups))


def _column(cells: Sequence[Cell]) -> list[Cell]:
    numbers = [cell for cell in cells if isinstance(cell, Number)]
    if len(numbers) < len(cells):
        return list(cells)
    return list(by_uncertainty(numbers))


def _like(cells: Sequence[Cell], others: Sequence[Cell]) -> list[Cell]:
    """The ends of intervals with the digits of the numbers that these are of."""
    pairs = zip(cells, others, strict=True)
    return [
        replace(cell, digits=other.digits) if isinstance(cell, Number) and isinstance(other, Number) else cell
        for cell, other in pairs
    ]
