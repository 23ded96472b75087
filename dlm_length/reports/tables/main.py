"""Policies by benchmarks: the main table of a paper."""

from collections.abc import Iterator, Mapping, Sequence

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared
from dlm_length.common import listing
from dlm_length.reports.notes import uncharged_notes
from dlm_length.reports.table import Cell, Column, Group, ReportTable, Row
from dlm_length.reports.tables.cells import NO_VALUE, all_runs, sources_of
from dlm_length.reports.tables.measures import (
    MEASURES,
    RANKING,
    USUAL_COLUMNS,
    explained,
    measured,
    measured_groups,
    statistics_of,
)


def main_table(
    sections: Sequence[Compared],
    *,
    columns: Sequence[str] = USUAL_COLUMNS,
    stacked: bool = False,
) -> ReportTable:
    """A row per policy, a group of rows per model, and for each benchmark a column per quantity.

    `sections`: with names for readers (`names.with_readers_names`). `columns`: the quantities, names of `MEASURES`.
    `stacked`: the benchmarks below each other, each a group of rows, for a narrow table.
    """
    models = list(dict.fromkeys(each.section.model for each in sections))
    titles, groups = (_stacked if stacked else _side_by_side)(sections, columns)
    return ReportTable(
        "main",
        f"Length policies with {listing(models).replace(' or ', ' and ')}",
        (Column("policy", numeric=False), *titles),
        tuple(groups),
        tuple(_notes(sections, columns)),
        statistics_of(sections, columns),
    )


def _stacked(sections: Sequence[Compared], columns: Sequence[str]) -> tuple[Sequence[Column], Sequence[Group]]:
    titles = [Column(MEASURES[name].title, higher_is_better=MEASURES[name].higher_is_better) for name in columns]
    return titles, measured_groups(sections, columns, measured(sections, columns))


def _side_by_side(sections: Sequence[Compared], columns: Sequence[str]) -> tuple[Sequence[Column], Sequence[Group]]:
    spans = {each.section.title: each.section.title.replace(f", {each.section.model}", "", 1) for each in sections}
    metrics = {spans[each.section.title]: each.section.metric for each in sections}
    titles = [
        Column(
            f"{span} {f'{metric} (%)' if name == 'score' else MEASURES[name].title}",
            higher_is_better=MEASURES[name].higher_is_better,
            span=span,
        )
        for span, metric in metrics.items()
        for name in columns
    ]
    by_model: dict[str, dict[str, Compared]] = {}
    for each in sections:
        by_model.setdefault(each.section.model, {})[spans[each.section.title]] = each
    return titles, [
        Group(model if len(by_model) > 1 else "", tuple(_rows(own, list(metrics), columns)))
        for model, own in by_model.items()
    ]


def _rows(sections: Mapping[str, Compared], spans: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """The rows of one model: one per policy, and one for all baselines, whose canvases may have different lengths."""
    found = {span: measured([each], columns) for span, each in sections.items()}
    baseline = _baseline_label(list(sections.values()))
    runs: dict[str, dict[str, Run]] = {baseline: {}} if baseline else {}
    for span, each in sections.items():
        for run in each.section.runs:
            label = baseline if run is each.section.baseline else each.section.label_of[run.path]
            runs.setdefault(label, {})[span] = run
    for label, own in runs.items():
        cells: list[Cell] = [label]
        for span in spans:
            cells += [found[span][name][own[span].path] if span in own else NO_VALUE for name in columns]
        sources = dict.fromkeys(path for span, run in own.items() for path in sources_of(sections[span].section, run))
        yield Row(tuple(cells), tuple(sources), baseline=label == baseline)


def _baseline_label(sections: Sequence[Compared]) -> str:
    """The label of the row of all baselines; empty where no section has one."""
    baselines = [(each.section, run) for each in sections if (run := each.section.baseline) is not None]
    names = {section.label_of[run.path]: section.policy_name(run.metrics.policy) for section, run in baselines}
    return next(iter(names), "") if len(names) < 2 else " / ".join(dict.fromkeys(names.values()))


def _notes(sections: Sequence[Compared], columns: Sequence[str]) -> Iterator[str]:
    baselines = {
        each.section.title: each.section.label_of[run.path]
        for each in sections
        if (run := each.section.baseline) is not None
    }
    if len(set(baselines.values())) > 1:
        yield f"Baselines: {'; '.join(f'{label} ({title})' for title, label in baselines.items())}."
    if meanings := explained(columns):
        yield meanings
    yield RANKING
    yield from uncharged_notes(all_runs(sections), sections[0].section.policy_name)
