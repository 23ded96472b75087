"""Rows, groups and notes of these tables."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.intervals import interval_notes
from dlm_length.reports.notes import run_notes, uncharged_notes
from dlm_length.reports.table import Cell, Group, Row


def row_a_run(sections: Sequence[Compared], cells_of: Callable[[Compared, Run], tuple[Cell, ...]]) -> tuple[Group, ...]:
    """A group a section, with a row a run: its label, then its cells."""
    return tuple(
        Group(
            heading(each.section),
            tuple(
                row(each.section, run, (label, *cells_of(each, run)))
                for run, label in zip(each.section.runs, each.section.labels, strict=True)
            ),
        )
        for each in sections
    )


def row(section: Section, run: Run, cells: tuple[Cell, ...]) -> Row:
    """A row of a run beside the section's baseline."""
    against = () if section.baseline is None or run is section.baseline else section.baseline.paths
    return Row(cells, (*run.paths, *against), baseline=run is section.baseline)


def heading(section: Section) -> str:
    """The section with what its score is and over how many samples."""
    return f"{section.title}: {section.metric}, {section.n_label}"


def all_runs(sections: Sequence[Compared]) -> list[Run]:
    return [run for each in sections for run in each.section.runs]


def no_baseline_notes(sections: Sequence[Compared]) -> Iterator[str]:
    """A sentence where runs are held against nothing."""
    alone = [each.section.title for each in sections if not each.comparisons]
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
