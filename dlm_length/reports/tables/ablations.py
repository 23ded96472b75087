"""One field of a policy varied at a time, as in DAEDAL's ablations."""

from collections.abc import Iterator, Sequence

from dlm_length.analysis.parameters import Series, is_number, series_of
from dlm_length.analysis.sections import Compared
from dlm_length.reports.table import TOKEN_COUNTS, Column, Group, Quantity, ReportTable, Row
from dlm_length.reports.tables.cells import (
    RunColumn,
    ends,
    heading,
    mean_gflops,
    notes_on,
    number_cell,
    score_cell,
    scores_note,
    spread_columns,
)
from dlm_length.reports.tables.measures import ranked

_COSTS: tuple[RunColumn, ...] = (
    (Column("e_token"), lambda _, run: number_cell(run.metrics.e_token)),
    (Column("n_token"), lambda _, run: number_cell(run.metrics.n_token)),
    (Column("E_ratio (%)", higher_is_better=True), lambda _, run: number_cell(run.metrics.e_ratio, unit=100)),
    (Column("NFE"), lambda _, run: number_cell(run.metrics.nfe)),
    (Column("GFLOPs", higher_is_better=False), lambda _, run: mean_gflops(run)),
)


def ablation_table(sections: Sequence[Compared]) -> ReportTable | None:
    """Runs that differ in one field of their policy; None where there are none."""
    found = [(each, series) for each in sections for series in series_of(each.section.runs)]
    if not found:
        return None
    runs = [run for _, series in found for run in series.runs]
    columns = (*spread_columns(runs, digits=1, unit=100), *_COSTS)
    return ReportTable(
        "ablations",
        "One field at a time",
        (
            Column("value", numeric=False),
            Column("score (%)", higher_is_better=True, own_columns=("low", "high")),
            Column("low", detail=True),
            Column("high", detail=True),
            *(column for column, _ in columns),
        ),
        tuple(
            Group(f"{heading(each.section)}: {each.section.series_name(series)}", tuple(_rows(each, series, columns)))
            for each, series in found
        ),
        (
            f"All other fields of the policy are equal within a group. {TOKEN_COUNTS} Token counts, NFE and FLOPs"
            " (analytic, the head over every position): means per sample. Bold: best score of the group, underlined:"
            " the second.",
            *scores_note(each for each, _ in found),
            *notes_on(sections, {run.path: run for run in runs}.values()),
        ),
    )


def _rows(each: Compared, series: Series, columns: Sequence[RunColumn]) -> Iterator[Row]:
    scores = [score_cell(each.section, run, digits=1, unit=100) for run in series.runs]
    scores = ranked(scores, [True] * len(scores), higher_is_better=True)
    for value, run, score in zip(series.values, series.runs, scores, strict=True):
        shown = Quantity(str(value), value) if is_number(value) else each.section.value_name(value)
        yield Row((shown, score, *ends(score), *(of(each, run) for _, of in columns)), run.paths)
