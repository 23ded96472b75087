"""Saving at certified loss: methods at equal risk, rather than at whatever value their authors chose."""

from collections.abc import Iterator, Sequence

from dlm_length.reports.calibration import (
    Calibrated,
    Split,
    Sweep,
    calibrate_sweep,
    calibration_notes,
    knob_cells,
    sweeps_of,
)
from dlm_length.reports.paper_tables.compared import Compared
from dlm_length.reports.paper_tables.rows import heading
from dlm_length.reports.sheet import Cell, Column, Group, Number, Row, Sheet
from dlm_length.stats import CONFIDENCE, RISK, StatisticsError

_EVERY_SAMPLE = Split(share=1)
_NAN = float("nan")


def certified_table(
    sections: Sequence[Compared], *, risk: float = RISK, confidence: float = CONFIDENCE
) -> Sheet | None:
    """A row a sweep: what the boldest certified value of its knob saves; None without a sweep beside a fixed canvas.

    Each on all of its samples. A sweep of scores that are not in [0, 1], or of which no sample has one in every run,
    has no row, and a note says why.
    """
    groups: list[Group] = []
    shown: list[Calibrated] = []
    refused: list[str] = []
    for each in sections:
        rows: list[Row] = []
        for sweep in sweeps_of(each.section):
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
    return Sheet(
        "certified",
        f"FLOPs saved at a certified loss of at most {100 * risk:g}%",
        (
            Column("policy, knob", numeric=False),
            Column("chosen", numeric=False),
            Column("n"),
            Column("loss (%)", higher_is_better=False),
            Column("p"),
            Column("FLOPs saved (%)", higher_is_better=True),
            Column("of", numeric=False),
        ),
        tuple(groups),
        (*_notes(), *calibration_notes(shown), *refused),
    )


def _row(sweep: Sweep, found: Calibrated) -> Row:
    """The chosen value's cells; of a sweep without one, those of the value that saves least, without a saving."""
    made = found.found.certificate
    test = made.chosen or made.sequence[0]
    _, *numbers = knob_cells(found, test.knob)
    cells: list[Cell] = [sweep.series.title, test.knob, *numbers]
    if made.chosen is None:
        cells[1] = "nothing saves" if test.certified else f"none ({test.knob} is not)"
        cells[-1] = Number(_NAN)
    sources = (*found.run_of(test.knob).paths, *sweep.fixed.paths)
    return Row((*cells, f"{len(made.sequence)} values"), sources)


def _notes() -> Iterator[str]:
    yield (
        "Per policy and knob, the value with the largest saving among those certified; each row is a promise of its"
        " own. Where none is certified, n, loss and p are of the value that saves least."
    )
