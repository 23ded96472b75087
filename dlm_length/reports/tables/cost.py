"""What each policy costs, in every unit."""

from collections.abc import Callable, Sequence

from dlm_length.analysis.pace import Pace, pace_of
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared
from dlm_length.reports.notes import pace_notes
from dlm_length.reports.table import Column, Number, ReportTable
from dlm_length.reports.tables.cells import (
    all_runs,
    beyond_cells,
    beyond_columns,
    beyond_notes,
    mean_gflops,
    notes_on,
    number_cell,
    row_a_run,
    sample_mean,
    score_cell,
    scores_note,
    spread_cells,
    spread_columns,
)

_SCORE = Column("score", higher_is_better=True)
_COLUMNS: tuple[tuple[Column, Callable[[Run], Number]], ...] = (
    (Column("NFE", higher_is_better=False), lambda run: number_cell(run.metrics.nfe)),
    (Column("probes", detail=True), lambda run: number_cell(run.metrics.probe_nfe, digits=2)),
    (
        Column("sum L (10^3)", higher_is_better=False, detail=True),
        lambda run: sample_mean(run, lambda sample: sample.ledger.total.length_sum / 1e3, digits=2),
    ),
    (
        Column("sum L^2 (10^6)", higher_is_better=False, detail=True),
        lambda run: sample_mean(run, lambda sample: sample.ledger.total.length_squared_sum / 1e6, digits=3),
    ),
    (Column("GFLOPs", higher_is_better=False), mean_gflops),
    (
        Column("GFLOPs executed", higher_is_better=False, detail=True),
        lambda run: sample_mean(run, lambda sample: sample.ledger.total.flops_executed / 1e9, digits=2),
    ),
    (Column("forward s", higher_is_better=False, detail=True), lambda run: number_cell(run.metrics.forward_seconds)),
    (Column("wall-clock s", higher_is_better=False), lambda run: _paced(run, lambda pace: pace.seconds_per_sample, 3)),
    (Column("tokens/s", higher_is_better=True), lambda run: _paced(run, lambda pace: pace.tokens_per_second, 1)),
)


_ENERGY = Column("J", higher_is_better=False)
_ENERGY_NOTE = (
    "J: joules per sample that NVML counted for the whole card during the forwards, by token share, idle power and"
    " other processes on it included; without CPU and cooling."
)
_SHARED_ENERGY_NOTE = (
    "Where runs were made together, equal forwards of theirs ran once, and J has each run's share of them: less than"
    " the run would take by itself."
)


def _joules(run: Run) -> float | None:
    """Mean over the samples that ran; None where one of them has none."""
    joules = [sample.ledger.total.joules for sample in run.samples.values() if sample.error is None]
    measured = [each for each in joules if each is not None]
    return sum(measured) / len(measured) if measured and len(measured) == len(joules) else None


def _paced(run: Run, of: Callable[[Pace], float | None], digits: int) -> Number:
    pace = pace_of(run)
    return number_cell(None if pace is None else of(pace), digits=digits)


def cost_table(sections: Sequence[Compared]) -> ReportTable:
    """What each policy costs, in every unit at once, with its quality."""
    runs = all_runs(sections)
    spread = spread_columns(runs)
    beyond = beyond_columns(sections)
    energy = (_ENERGY,) if any(_joules(run) is not None for run in runs) else ()

    def cells(each: Compared, run: Run) -> tuple[Number, ...]:
        own = (of(run) for _, of in _COLUMNS)
        taken = [number_cell(_joules(run)) for _ in energy]
        more = beyond_cells(each, run, beyond)
        return (score_cell(each.section, run), *spread_cells(run, spread), *own, *taken, *more)

    return ReportTable(
        "cost",
        "What each policy costs",
        (Column("policy", numeric=False), _SCORE, *spread, *(column for column, _ in _COLUMNS), *energy, *beyond),
        row_a_run(sections, cells, beyond=True),
        (
            "NFE, probes (part of NFE), sums over forwards of the length L and of L^2, and FLOPs: means per sample."
            " FLOPs are analytic, a multiply-add as 2, the vocabulary head over every position as in the reference"
            " implementations; executed: over the positions where it was needed. forward s: of all forwards of the run,"
            " by token share; wall-clock: per sample, the samples of a batch side by side, loading the model excluded,"
            " the starts and shards of a run added up, of all devices of a start together; tokens/s: tokens of answers"
            " by wall-clock.",
            *(_ENERGY_NOTE for _ in energy),
            *(_SHARED_ENERGY_NOTE for _ in energy if any(run.metrics.runs_together > 1 for run in runs)),
            *beyond_notes(sections),
            *pace_notes(runs),
            *scores_note(each.section for each in sections),
            *notes_on(runs),
        ),
    )
