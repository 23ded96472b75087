"""A report's tables for submission: readers' names, few columns, digits by uncertainty."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dlm_length.analysis.calibrated import exact_text
from dlm_length.analysis.effects import Testing
from dlm_length.analysis.parameters import series_of
from dlm_length.analysis.sections import Compared
from dlm_length.reports.names import OURS, Labels, metric_name, policy_name, read_labels, symbol_of, with_names
from dlm_length.reports.table import Cell, Group, Number, ReportTable, Row, Width
from dlm_length.reports.tables.ablations import ablation_table
from dlm_length.reports.tables.certified import certified_table
from dlm_length.reports.tables.cost import cost_table
from dlm_length.reports.tables.daedal import daedal_layout
from dlm_length.reports.tables.decoding import decoding_table
from dlm_length.reports.tables.effects import effects_table
from dlm_length.reports.tables.main import main_table
from dlm_length.reports.tables.margins import margin_table
from dlm_length.reports.tables.measures import USUAL_COLUMNS, by_uncertainty
from dlm_length.reports.tables.smartcrop import smartcrop_layout

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
    labels_file: Path | None = None
    """Names that were chosen for readers; see `names.read_labels`."""


def paper_style_tables(
    sections: Sequence[Compared], style: PaperStyle, papers: Collection[str], margin: float | None
) -> list[ReportTable]:
    """The main table, then those of a usual report in short. `papers`: whose own layouts are made.

    Raises ConfigError for a labels file as `read_labels`.
    """
    plain = [each.section for each in sections]
    labels = OURS if style.labels_file is None else read_labels(style.labels_file, plain)
    named = with_readers_names(sections, labels)
    phrases = dict(_phrases(sections, named, labels))
    main = main_table(named, labels, columns=style.columns, stacked=style.width == "column")
    short = [
        cost_table(named),
        decoding_table(named),
        ablation_table(named),
        certified_table(named),
        effects_table(named),
        None if margin is None else margin_table(named, margin),
    ]
    tables = [
        main,
        *_layouts(named, papers, labels),
        *(_short(table, phrases, sections[0].testing) for table in short if table is not None),
    ]
    return [replace(table, width=style.width) for table in tables]


def own_layouts(sections: Sequence[Compared], papers: Collection[str]) -> list[ReportTable]:
    """Tables in the layouts of these papers; none of a paper that has none here."""
    made = _layouts(with_readers_names(sections), papers)
    return [replace(table, name=f"{table.name}-layout", width="page") for table in made]


def _layouts(named: Sequence[Compared], papers: Collection[str], labels: Labels = OURS) -> list[ReportTable]:
    made = [
        smartcrop_layout(named, labels) if "smartcrop" in papers else None,
        daedal_layout(named, labels) if "daedal" in papers else None,
    ]
    return [table for table in made if table is not None]


def with_readers_names(sections: Sequence[Compared], labels: Labels = OURS) -> list[Compared]:
    """The same comparisons with readers' names of sections and runs."""
    return [replace(each, section=with_names(each.section, labels)) for each in sections]


def _phrases(sections: Sequence[Compared], named: Sequence[Compared], labels: Labels) -> Iterator[tuple[str, str]]:
    """What tables say in our names, by readers': metrics, series and their values, policies."""
    for each, own in zip(sections, named, strict=True):
        metrics = each.section.runs[0].metrics
        metric = metric_name(metrics.metric, metrics.benchmark, labels)
        yield f"{own.section.title}: {metrics.metric}", f"{own.section.title}: {metric}"
        for series in series_of(each.section.runs):
            policy, symbol = policy_name(series.policy, labels), symbol_of(series.policy, series.field)
            yield series.title, series.title.replace(f"{series.policy}, {series.field}", f"{policy}, {symbol}", 1)
            for value in series.values:
                text = exact_text(value)
                relation = " = " if isinstance(value, int | float) else " "
                yield f"{series.field} {text}", f"{symbol}{relation}{text}"
        for run in each.section.runs:
            yield run.metrics.policy, policy_name(run.metrics.policy, labels)


def _short(table: ReportTable, phrases: Mapping[str, str], testing: Testing) -> ReportTable:
    """The table without details, in readers' words; of a test's two p values, the one that sets the stars."""
    holm = {title for title in table.titles if title.endswith(_HOLM)}
    other_p = {title.removesuffix(_HOLM) for title in holm} if testing.adjust == "holm" else holm
    kept = [place for place, column in enumerate(table.columns) if not column.detail and column.title not in other_p]
    columns = tuple(table.columns[place] for place in kept)
    rows = [tuple(row.cells[place] for place in kept) for row in table.rows]
    # Digits are those of a column, whatever group its rows are in.
    made_columns: list[list[Cell]] = []
    for place, column in enumerate(columns):
        cells_of = [row[place] for row in rows]
        before = made_columns[-1] if column.title in _ENDS else []
        made_columns.append(_like(cells_of, before) if before else _column(cells_of))
    cells = list(zip(*made_columns, strict=True))
    made = iter(cells)
    groups = [
        Group(
            _reworded(group.heading, phrases),
            tuple(
                Row(tuple(_reworded_cell(cell, phrases) for cell in next(made)), row.sources, row.baseline)
                for row in group.rows
            ),
        )
        for group in table.groups
    ]
    return replace(
        table, columns=columns, groups=tuple(groups), notes=tuple(_reworded_note(note, phrases) for note in table.notes)
    )


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


def _reworded_cell(cell: Cell, phrases: Mapping[str, str]) -> Cell:
    if not isinstance(cell, str):
        return cell
    return phrases.get(cell) or _reworded(cell, phrases)


def _reworded(text: str, phrases: Mapping[str, str]) -> str:
    """The longest phrases first, each as a whole: no policy's name within a word."""
    if not phrases or not text:
        return text
    found = "|".join(re.escape(phrase) for phrase in sorted(phrases, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{found})(?![\w.]\d|\w)", lambda each: phrases[each[0]], text)


def _reworded_note(note: str, phrases: Mapping[str, str]) -> str:
    """Names of several words alone: others are English words in a sentence, such as `fixed`."""
    return _reworded(note, {ours: theirs for ours, theirs in phrases.items() if "_" in ours})
