"""Rows, groups and notes of these tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.effects import interval_notes
from dlm_length.reports.notes import early_stop_note, run_notes, uncharged_notes
from dlm_length.reports.paper_tables.cells import NO_VALUE, effect_cell
from dlm_length.reports.table import Cell, Column, Group, Number, Row

_EARLY_STOP = Column("FLOPs saved vs early stop (%)", higher_is_better=True)
"""Against the fixed canvas that is left at its end token; CSV has its p."""


def row_a_run(
    sections: Sequence[Compared], cells_of: Callable[[Compared, Run], tuple[Cell, ...]], *, beyond: bool = False
) -> tuple[Group, ...]:
    """A group a section, with a row a run: its label, then its cells; `beyond`: `beyond_cells` are among them."""
    return tuple(
        Group(
            heading(each.section),
            tuple(
                row(each.section, run, (label, *cells_of(each, run)), _early_paths(each, run) if beyond else ())
                for run, label in zip(each.section.runs, each.section.labels, strict=True)
            ),
        )
        for each in sections
    )


def row(section: Section, run: Run, cells: tuple[Cell, ...], beside: tuple[Path, ...] = ()) -> Row:
    """A row of a run and the section's baseline; `beside`: folders of other runs that it is compared with."""
    against = () if section.baseline is None or run is section.baseline else section.baseline.paths
    return Row(cells, (*run.paths, *against, *beside), baseline=run is section.baseline)


def _early_paths(each: Compared, run: Run) -> tuple[Path, ...]:
    return each.early_stop.paths if each.early_stop is not None and run.path in each.beyond_early_stop else ()


def beyond_columns(sections: Sequence[Compared]) -> tuple[Column, ...]:
    """The column of `beyond_cells`, where any run is held against an early stop."""
    return (_EARLY_STOP,) if any(each.beyond_early_stop for each in sections) else ()


def beyond_cells(each: Compared, run: Run, columns: tuple[Column, ...]) -> tuple[Number, ...]:
    """FLOPs saved against the fixed canvas with early stop: one cell for each of `beyond_columns`."""
    effect = each.beyond_early_stop.get(run.path)
    return (NO_VALUE if effect is None else effect_cell(effect),) * len(columns)


def beyond_notes(sections: Sequence[Compared]) -> Iterator[str]:
    """What that column is against in each section that has it."""
    for each in sections:
        if each.early_stop is not None and each.beyond_early_stop:
            label = each.section.label_of[each.early_stop.path]
            yield early_stop_note(label, len(each.beyond_early_stop), each.section.title if len(sections) > 1 else "")


def heading(section: Section) -> str:
    """The section with what its score is and over how many samples."""
    return f"{section.title}: {section.metric}, {section.n_label}"


def all_runs(sections: Sequence[Compared]) -> list[Run]:
    return [run for each in sections for run in each.section.runs]


def no_baseline_notes(sections: Sequence[Compared]) -> Iterator[str]:
    """A sentence where runs are held against nothing."""
    alone = [each.section.title for each in sections if not each.runs]
    if alone:
        where = "" if len(alone) == len(sections) else f" in {'; '.join(alone)}"
        yield (
            f"No baseline{where} to hold another run against (a fixed canvas, or named by --baseline), and so neither"
            " FLOPs saved nor delta."
        )


def scores_note(sections: Iterable[Section]) -> Iterator[str]:
    """What the intervals of these sections' scores are."""
    return interval_notes(each for section in sections for each in section.mean_scores.values())


def notes_on(runs: Iterable[Run]) -> Iterator[str]:
    """What a reader must know of the runs of a table."""
    shown = list(runs)
    yield from uncharged_notes(shown)
    yield from run_notes(shown)
