"""One field of a policy varied at a time, as in DAEDAL's ablations."""

from collections.abc import Iterator, Sequence

from dlm_length.analysis.parameters import Series, series_of
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.table import TOKEN_COUNTS, Cell, Column, Group, ReportTable, Row
from dlm_length.reports.tables.cells import (
    ends,
    heading,
    hundred,
    mean_gflops,
    notes_on,
    number_cell,
    score_cell,
    scores_note,
    spread_cells,
    spread_columns,
)
from dlm_length.reports.tables.measures import ranked


def ablation_table(sections: Sequence[Compared]) -> ReportTable | None:
    """Runs that differ in one field of their policy; None where there are none."""
    found = [(each.section, series) for each in sections for series in series_of(each.section.runs)]
    if not found:
        return None
    runs = [run for _, series in found for run in series.runs]
    spread = spread_columns(runs, " (%)")
    return ReportTable(
        "ablations",
        "One field at a time",
        (
            Column("value", numeric=False),
            Column("score (%)", higher_is_better=True, own_columns=("low", "high")),
            Column("low", detail=True),
            Column("high", detail=True),
            *spread,
            Column("e_token"),
            Column("n_token"),
            Column("E_ratio (%)", higher_is_better=True),
            Column("NFE"),
            Column("GFLOPs", higher_is_better=False),
        ),
        tuple(
            Group(f"{heading(section)}: {series.key}", tuple(_rows(section, series, spread)))
            for section, series in found
        ),
        (
            f"All other fields of the policy are equal within a group. {TOKEN_COUNTS} Token counts, NFE and FLOPs"
            " (analytic, the head over every position): means per sample. Bold: best score of the group, underlined:"
            " the second.",
            *scores_note(section for section, _ in found),
            *notes_on({run.path: run for run in runs}.values()),
        ),
    )


def _rows(section: Section, series: Series, spread: tuple[Column, ...]) -> Iterator[Row]:
    scores = [score_cell(section, run, digits=1, unit=100) for run in series.runs]
    scores = ranked(scores, [True] * len(scores), higher_is_better=True)
    for value, run, score in zip(series.values, series.runs, scores, strict=True):
        metrics = run.metrics
        cells: tuple[Cell, ...] = (
            str(value),
            score,
            *ends(score),
            *spread_cells(run, spread, digits=1, factor=100),
            number_cell(metrics.e_token),
            number_cell(metrics.n_token),
            number_cell(hundred(metrics.e_ratio)),
            number_cell(metrics.nfe),
            mean_gflops(run),
        )
        yield Row(cells, run.paths)
