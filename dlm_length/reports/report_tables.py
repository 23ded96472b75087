"""The tables of a report: the usual ones for programs and for readers, and those in the style of a paper."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from dlm_length.analysis.calibrated import exact_text
from dlm_length.analysis.decodings import decoding_text, length_label
from dlm_length.analysis.effects import Testing
from dlm_length.analysis.parameters import is_number, series_of
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.names import (
    DECLARED,
    Labels,
    NamedSection,
    decoding_name,
    series_name,
    setting_name,
    symbol_of,
    value_text,
    with_names,
    with_readers_names,
)
from dlm_length.reports.table import Cell, Group, Number, ReportTable, Row, Width
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
"""The end of the title of a column with adjusted p values."""
_ENDS = ("low", "high")
"""Titles of columns with the ends of the interval of the number before them."""
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


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
    """For CSV, JSON and the terminal: runs have the labels that options and configs use."""
    for_readers: tuple[ReportTable, ...]
    """For LaTeX, Markdown and HTML: runs have names for readers (`reports.names`)."""

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
    *,
    style: PaperStyle | None,
    papers: Collection[str],
    margin: float | None,
    labels: Labels,
) -> Tables:
    """The tables in the style of a paper if one is given, else the usual ones; arguments as in `usual_tables`."""
    if style is not None:
        short = tuple(paper_style_tables(sections, style, papers, margin, labels))
        return Tables(short, short)
    usual = usual_tables(sections, papers, margin)
    return Tables(tuple(usual), tuple(reworded(usual, sections, labels)))


def usual_tables(sections: Sequence[Compared], papers: Collection[str], margin: float | None) -> list[ReportTable]:
    """All tables that these runs support, with the labels that options and configs use.

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
    sections: Sequence[Compared],
    style: PaperStyle,
    papers: Collection[str],
    margin: float | None,
    labels: Labels = DECLARED,
) -> list[ReportTable]:
    """The main table, the layouts of `papers`, then the other usual tables in short, with names for readers.

    `margin`: as in `usual_tables`.
    """
    named = with_readers_names(sections, labels)
    main = main_table(named, columns=style.columns, stacked=style.width == "column")
    others = [table for table in _tables_of_no_paper(sections, margin) if table is not None]
    short = [_short(table, sections[0].testing) for table in reworded(others, sections, labels)]
    return [replace(table, width=style.width) for table in (main, *_layouts(named, papers), *short)]


def own_layouts(sections: Sequence[Compared], papers: Collection[str], labels: Labels = DECLARED) -> list[ReportTable]:
    """Tables in the layouts of these papers, as far as there are any."""
    made = _layouts(with_readers_names(sections, labels), papers)
    return [replace(table, name=f"{table.name}-layout", width="page") for table in made]


def _layouts(named: Sequence[Compared], papers: Collection[str]) -> Iterator[ReportTable]:
    if "smartcrop" in papers:
        yield smartcrop_layout(named)
    if "daedal" in papers and (table := daedal_layout(named)) is not None:
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


Phrases = Mapping[str, str]
"""Names for readers by those that the analysis has for the same things."""


def reworded(
    tables: Iterable[ReportTable], sections: Sequence[Compared], labels: Labels = DECLARED
) -> list[ReportTable]:
    """Tables of these sections with names for readers in place of the labels of the analysis."""
    named = with_readers_names(sections, labels)
    by_section = {
        each.section.title: dict(_phrases(each.section, with_names(own.section)))
        for each, own in zip(sections, named, strict=True)
    }
    return [_reworded_table(table, by_section) for table in tables]


def _phrases(section: Section, named: NamedSection) -> Iterator[tuple[str, str]]:
    """The names of a section, its runs, policies, decodings, and series with their values."""
    yield section.title, named.title
    yield f"{section.title}: {section.metric}", f"{named.title}: {named.metric}"
    for run, label, name in zip(section.runs, section.labels, named.labels, strict=True):
        policy = run.metrics.policy
        yield policy, named.policy_name(policy)
        yield length_label(run, label), named.length_name(run)
        yield decoding_text(run), decoding_name(run)
        yield label, name
    for series in series_of(section.runs):
        yield series.key, series_name(series, named.chosen)
        for value in series.values:
            text, symbol = exact_text(value), symbol_of(series.policy, series.field)
            named_value = f"{symbol} = {text}" if is_number(value) else setting_name(series.policy, series.field, value)
            yield f"{series.field} {text}", named_value
            if value is None or isinstance(value, str):
                yield str(value), value_text(value)  # as in a cell of its own


def _reworded_table(table: ReportTable, by_section: Mapping[str, Phrases]) -> ReportTable:
    every = {ours: theirs for phrases in by_section.values() for ours, theirs in phrases.items()}
    # Columns that would get equal names for readers, such as those of runs, keep their labels.
    titles = [every.get(title, title) for title in table.titles]
    columns = [
        replace(column, title=title if titles.count(title) == 1 else column.title)
        for column, title in zip(table.columns, titles, strict=True)
    ]
    # A phrase of a single word, such as `fixed`, can be plain English in a note.
    in_notes = {ours: theirs for ours, theirs in every.items() if re.search(r"[_ ]", ours)}
    groups = []
    for group in table.groups:
        own = next((title for title in by_section if group.heading.startswith(f"{title}:")), None)
        phrases = every if own is None else {**every, **by_section[own]}
        groups.append(
            Group(_replaced(group.heading, phrases), tuple(_reworded_row(row, phrases) for row in group.rows))
        )
    columns = [replace(column, title=_raised(column.title)) for column in columns]
    notes = tuple(_raised(_replaced(note, in_notes)) for note in table.notes)
    return replace(table, columns=tuple(columns), groups=tuple(groups), notes=notes)


def _raised(text: str) -> str:
    """`10⁶` for `10^6`."""
    return re.sub(r"(?<=\w)\^(\d)", lambda found: found[1].translate(_SUPERSCRIPTS), text)


def _reworded_row(row: Row, phrases: Phrases) -> Row:
    def named(cell: Cell) -> Cell:
        return _replaced(cell, phrases) if isinstance(cell, str) else cell

    return replace(row, cells=tuple(map(named, row.cells)))


def _replaced(text: str, phrases: Phrases) -> str:
    """The text with these phrases replaced, the longest first, but not within a word or a number."""
    if text in phrases or not text or not phrases:
        return phrases.get(text, text)
    found = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{found})(?![\w.]\d|\w)", lambda each: phrases[each[0]], text)
