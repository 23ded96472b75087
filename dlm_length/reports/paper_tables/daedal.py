"""DAEDAL's main table (arXiv 2508.00819)."""

from collections.abc import Callable, Iterator, Sequence

from dlm_length.analysis.repeats import score_spread
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.paper_tables.parts import (
    NO_VALUE,
    ends,
    heading,
    hundred,
    marked,
    notes_on,
    number,
    score_cell,
    scores_note,
)
from dlm_length.reports.table import TOKEN_COUNTS, Cell, Column, Group, Number, ReportTable, Row

_Quantity = tuple[str, Callable[[Section, Run], Number], bool]
_QUANTITIES: tuple[_Quantity, ...] = (
    ("score (%)", lambda section, run: score_cell(section, run, digits=1, unit=100), True),
    ("score low (%)", lambda section, run: ends(score_cell(section, run, digits=1, unit=100))[0], False),
    ("score high (%)", lambda section, run: ends(score_cell(section, run, digits=1, unit=100))[1], False),
    ("e_token", lambda _, run: number(run.metrics.e_token), False),
    ("n_token", lambda _, run: number(run.metrics.n_token), False),
    ("E_ratio (%)", lambda _, run: number(hundred(run.metrics.e_ratio)), True),
)
"""Rows: name, value, and whether the best are marked."""


def daedal_table(sections: Sequence[Compared]) -> ReportTable | None:
    """Accuracy and token counts, a column a fixed length or dynamic policy; None where no section has two such runs."""
    kept = [(each.section, [run for run in each.section.runs if _is_beside(run)]) for each in sections]
    kept = [(section, runs) for section, runs in kept if len(runs) > 1]
    if not kept:
        return None
    labels = {section.label_of[run.path]: _place(run) for section, runs in kept for run in runs}
    order = sorted(labels, key=lambda label: (labels[label], label))
    groups = []
    for section, runs in kept:
        by_label = {section.label_of[run.path]: run for run in runs}
        rows = []
        for name, of, are_marked in _quantities(runs):
            numbers = [of(section, by_label[label]) if label in by_label else NO_VALUE for label in order]
            cells: list[Cell] = [name, *(marked(numbers) if are_marked else numbers)]
            shown = [by_label[label] for label in order if label in by_label]
            rows.append(Row(tuple(cells), tuple(path for run in shown for path in run.paths)))
        groups.append(Group(heading(section), tuple(rows)))
    return ReportTable(
        "daedal",
        "Accuracy and token counts over fixed and dynamic canvases",
        (Column("", numeric=False), *(Column(label, own_columns=("low", "high")) for label in order)),
        tuple(groups),
        (
            f"{TOKEN_COUNTS} Token counts: means a sample. Bold: the best of the row, underlined: the second.",
            *scores_note(section for section, _ in kept),
            *notes_on(run for _, runs in kept for run in runs),
        ),
    )


def _is_beside(run: Run) -> bool:
    """Not so controls, which are no methods, and a method that is swept: that is the other table, a row a value."""
    return run.declared.role == "baseline" or (run.declared.role == "method" and run.declared.series_field is None)


def _quantities(runs: Sequence[Run]) -> Iterator[_Quantity]:
    """The rows, with the score's spread below its interval where runs have several seeds."""
    for quantity in _QUANTITIES:
        yield quantity
        if quantity is _QUANTITIES[2] and any(run.repeats for run in runs):
            yield "sd (%)", lambda _, run: number(100 * score_spread(run)), False


def _place(run: Run) -> tuple[object, ...]:
    """Order of the columns: fixed lengths ascending, then the other policies."""
    fixed = run.declared.role == "baseline"
    return not fixed, run.config["policy"].get("length", 0) if fixed else 0, run.metrics.policy
