"""Saving at certified loss: methods at equal risk, rather than at whatever value their authors chose."""

from collections.abc import Iterator, Sequence

from dlm_length.analysis.calibrated import Calibrated, Split, Sweep, calibrate_sweep, runs_alone, sweeps_of
from dlm_length.analysis.sections import Compared
from dlm_length.reports.table import Cell, Column, Group, Number, ReportTable, Row
from dlm_length.reports.tables.calibration import calibration_notes, knob_cells
from dlm_length.reports.tables.cells import heading, notes_on
from dlm_length.stats import CONFIDENCE, RISK, StatisticsError

_EVERY_SAMPLE = Split(share=1)
_NAN = float("nan")


def certified_table(
    sections: Sequence[Compared], *, risk: float = RISK, confidence: float = CONFIDENCE
) -> ReportTable | None:
    """What the boldest certified value of each policy's knob saves; None without a sweep and a fixed canvas.

    A row a sweep, and in a section that has one a row for every other run, as it was made; each on all of its samples.
    A sweep of scores that are not in [0, 1], or of which no sample has one in every run, has no row, and a note says
    why.
    """
    groups: list[Group] = []
    shown: list[Calibrated] = []
    refused: list[str] = []
    for each in sections:
        rows: list[Row] = []
        swept = tuple(sweeps_of(each.section))
        for sweep in (*swept, *(runs_alone(each.section) if swept else ())):
            try:
                found = calibrate_sweep(sweep, risk=risk, confidence=confidence, split=_EVERY_SAMPLE)
            except StatisticsError as error:
                refused.append(f"{sweep.title}: {error}")
                continue
            shown.append(found)
            rows.append(_row(sweep, found))
        if rows:
            groups.append(Group(heading(each.section), tuple(rows)))
    if not groups:
        return None
    return ReportTable(
        "certified",
        f"FLOPs saved at a certified loss of at most {100 * risk:g}%",
        (
            Column("policy, knob", numeric=False),
            Column("chosen", numeric=False),
            Column("n"),
            Column("loss (%)", higher_is_better=False),
            Column("p"),
            Column("FLOPs saved (%)", higher_is_better=True),
            Column("values tried", detail=True),
        ),
        tuple(groups),
        (
            *_notes(),
            *calibration_notes(shown),
            *refused,
            *notes_on(each.run_of(knob) for each in shown for knob in each.sweep.names),
        ),
    )


def _row(sweep: Sweep, found: Calibrated) -> Row:
    """The chosen value's cells; of a sweep without one, those of the value that saves least, without a saving."""
    made = found.found.certificate
    test = made.chosen or made.sequence[0]
    _, *numbers = knob_cells(found, test.knob)
    swept = bool(sweep.series.field)
    cells: list[Cell] = [sweep.series.title if swept else test.knob, test.knob if swept else "as run", *numbers]
    if made.chosen is None:
        cells[1] = "nothing saves" if test.certified else f"none ({test.knob} is not)" if swept else "none"
        cells[-1] = Number(_NAN)
    sources = (*found.run_of(test.knob).paths, *sweep.fixed.paths)
    return Row((*cells, Number(len(made.sequence), 0)), sources)


def _notes() -> Iterator[str]:
    yield (
        "Per policy and knob, the value with the largest saving among those certified; each row is a promise of its"
        " own. A policy that was run with one value is tested as it was run. Where none is certified, n, loss and p are"
        " of the value that saves least."
    )
