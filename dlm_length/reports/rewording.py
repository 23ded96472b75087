"""A report's tables in names for readers, in place of the labels that configs, options and CSV files have."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from dlm_length.analysis.calibrated import exact_text
from dlm_length.analysis.decodings import decoding_text, length_label
from dlm_length.analysis.parameters import is_number, series_of
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.names import (
    DECLARED,
    Labels,
    NamedSection,
    decoding_name,
    series_name,
    symbol_of,
    with_names,
    with_readers_names,
)
from dlm_length.reports.table import Cell, Group, ReportTable, Row

Phrases = Mapping[str, str]
"""Names for readers by what the analysis calls the same thing."""


def reworded(
    tables: Iterable[ReportTable], sections: Sequence[Compared], labels: Labels = DECLARED
) -> list[ReportTable]:
    """Tables of these sections, as the analysis made them, in names for readers."""
    named = with_readers_names(sections, labels)
    by_section = {
        each.section.title: dict(_phrases(each.section, with_names(own.section)))
        for each, own in zip(sections, named, strict=True)
    }
    return [_reworded_table(table, by_section) for table in tables]


def _phrases(section: Section, named: NamedSection) -> Iterator[tuple[str, str]]:
    """Titles, labels, series with their values, decodings, and policies."""
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
            yield f"{series.field} {text}", f"{symbol} = {text}" if is_number(value) else f"{symbol} {text}"


def _reworded_table(table: ReportTable, by_section: Mapping[str, Phrases]) -> ReportTable:
    every = {ours: theirs for phrases in by_section.values() for ours, theirs in phrases.items()}
    # Columns of all sections, such as runs by their labels, keep labels that would be equal for readers.
    titles = [every.get(title, title) for title in table.titles]
    columns = [
        replace(column, title=title if titles.count(title) == 1 else column.title)
        for column, title in zip(table.columns, titles, strict=True)
    ]
    # Other names are English words in a sentence, such as `fixed`.
    in_notes = {ours: theirs for ours, theirs in every.items() if re.search(r"[_ ]", ours)}
    groups = []
    for group in table.groups:
        own = next((title for title in by_section if group.heading.startswith(f"{title}:")), None)
        phrases = every if own is None else {**every, **by_section[own]}
        groups.append(
            Group(_replaced(group.heading, phrases), tuple(_reworded_row(row, phrases) for row in group.rows))
        )
    notes = tuple(_replaced(note, in_notes) for note in table.notes)
    return replace(table, columns=tuple(columns), groups=tuple(groups), notes=notes)


def _reworded_row(row: Row, phrases: Phrases) -> Row:
    def named(cell: Cell) -> Cell:
        return _replaced(cell, phrases) if isinstance(cell, str) else cell

    return replace(row, cells=tuple(map(named, row.cells)))


def _replaced(text: str, phrases: Phrases) -> str:
    """With names for readers in place of these phrases, the longest first, none within a word or a number."""
    if text in phrases or not text or not phrases:
        return phrases.get(text, text)
    found = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{found})(?![\w.]\d|\w)", lambda each: phrases[each[0]], text)
