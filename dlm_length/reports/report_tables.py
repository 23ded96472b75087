"""The tables of a report: the usual ones for programs and for readers, and those in the style of a paper."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.sections import Compared
from dlm_length.reports.table import Cell, Number, ReportTable, Width
from dlm_length.reports.tables.calibration import certified_table
from dlm_length.reports.tables.costs import ablation_table, cost_table, decoding_table
from dlm_length.reports.tables.effects import effects_table, margin_table
from dlm_length.reports.tables.measures import USUAL_COLUMNS, by_uncertainty
from dlm_length.reports.tables.papers import daedal_layout, daedal_table, main_table, smartcrop_layout, smartcrop_table

_HOLM = " (Holm)"
"""The end of the title of a column with adjusted p values."""
_ENDS = ("low", "high")
"""Titles of columns with the ends of the interval of the number before them."""


@dataclass(frozen=True)
class PaperStyle:
    """The settings of tables in the style of a paper."""

    columns: Sequence[str] = USUAL_COLUMNS
    """The quantities of the main table: names of `MEASURES`."""
    width: Width = "page"
    """The width that the tables are made for."""


@dataclass(frozen=True)
class Tables:
    """A report's tables: the same numbers with two kinds of names."""

    for_programs: tuple[ReportTable, ...]
    """For CSV, JSON and the terminal: made from sections with the names that options and configs use."""
    for_readers: tuple[ReportTable, ...]
    """For LaTeX, Markdown and HTML: made from sections with names for readers (`reports.names`)."""

    def after(self, first: Sequence[ReportTable]) -> Self:
        """These tables after others, which have the same names for programs and for readers."""
        return type(self)((*first, *self.for_programs), (*first, *self.for_readers))

    def noting(self, notes: Sequence[str]) -> Self:
        """The same tables with further notes below each."""
        return type(self)(
            *(
                tuple(replace(table, notes=(*table.notes, *notes)) for table in tables)
                for tables in (self.for_programs, self.for_readers)
            )
        )

    def of(self, kind: str) -> tuple[ReportTable, ...]:
        """The tables for files of this format."""
        return self.for_programs if kind in ("csv", "json") else self.for_readers


def report_tables(
    sections: Sequence[Compared],
    named: Sequence[Compared],
    *,
    style: PaperStyle | None,
    papers: Collection[str],
    margin: float | None,
) -> Tables:
    """The tables in the style of a paper if one is given, else the usual ones; further arguments as in `usual_tables`.

    `named`: the same sections with names for readers.
    """
    if style is not None:
        short = tuple(paper_style_tables(named, style, papers, margin))
        return Tables(short, short)
    return Tables(*(tuple(usual_tables(each, papers, margin)) for each in (sections, named)))


def usual_tables(sections: Sequence[Compared], papers: Collection[str], margin: float | None) -> list[ReportTable]:
    """All tables that these runs support, with the names that the sections have.

    `papers`: those whose own tables are included. `margin`: a share of the score within which non-inferiority and
    equivalence are tested; None: they are not.
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
    sections: Sequence[Compared], style: PaperStyle, papers: Collection[str], margin: float | None
) -> list[ReportTable]:
    """The main table, the layouts of `papers`, then the other usual tables in short; arguments as in `usual_tables`."""
    main = main_table(sections, columns=style.columns, stacked=style.width == "column")
    others = (table for table in _tables_of_no_paper(sections, margin) if table is not None)
    short = [_short(table, sections[0].testing) for table in others]
    return [replace(table, width=style.width) for table in (main, *_layouts(sections, papers), *short)]


def own_layouts(sections: Sequence[Compared], papers: Collection[str]) -> list[ReportTable]:
    """Tables in the layouts of these papers, as far as there are any."""
    return [replace(table, name=f"{table.name}-layout", width="page") for table in _layouts(sections, papers)]


def _layouts(sections: Sequence[Compared], papers: Collection[str]) -> Iterator[ReportTable]:
    if "smartcrop" in papers:
        yield smartcrop_layout(sections)
    if "daedal" in papers and (table := daedal_layout(sections)) is not None:
        yield table


def _short(table: ReportTable, testing: Testing) -> ReportTable:
    """The table without details; of a test's two p values, it keeps the one that sets the stars."""
    holm = {title for title in table.titles if title.endswith(_HOLM)}
    other_p = {title.removesuffix(_HOLM) for title in holm} if testing.adjust == "holm" else holm
    kept = [place for place, column in enumerate(table.columns) if not column.detail and column.title not in other_p]
    made: list[list[Cell]] = []
    for place in kept:  # the rows of all groups share the decimals of a column
        cells = [row.cells[place] for row in table.rows]
        is_end = bool(made) and table.titles[place] in _ENDS
        made.append(_with_decimals_of(made[-1], cells) if is_end else _rounded(cells))
    rows = iter(list(zip(*made, strict=True)))
    groups = tuple(
        replace(group, rows=tuple(replace(row, cells=next(rows)) for row in group.rows)) for group in table.groups
    )
    return replace(table, columns=tuple(table.columns[place] for place in kept), groups=groups)


def _rounded(cells: Sequence[Cell]) -> list[Cell]:
    """A column with the decimals that its intervals warrant, if all its cells are numbers."""
    numbers = [cell for cell in cells if isinstance(cell, Number)]
    return [*by_uncertainty(numbers)] if len(numbers) == len(cells) else list(cells)


def _with_decimals_of(numbers: Sequence[Cell], ends: Sequence[Cell]) -> list[Cell]:
    """The ends of these numbers' intervals, with as many decimals as the numbers."""
    return [
        replace(end, digits=number.digits) if isinstance(end, Number) and isinstance(number, Number) else end
        for number, end in zip(numbers, ends, strict=True)
    ]
