"""What each policy costs, in every unit."""

from collections.abc import Sequence

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared
from dlm_length.reports.notes import pace_notes
from dlm_length.reports.table import Column, ReportTable
from dlm_length.reports.tables.cells import (
    RunColumn,
    all_runs,
    beyond_columns,
    beyond_notes,
    mean_gflops,
    notes_on,
    number_cell,
    sample_mean,
    score_cell,
    scores_note,
    seconds_cell,
    spread_columns,
    table_of_runs,
    tokens_per_second_cell,
)

_SCORE: RunColumn = (Column("score", higher_is_better=True), lambda each, run: score_cell(each.section, run))
_COSTS: tuple[RunColumn, ...] = (
    (Column("NFE", higher_is_better=False), lambda _, run: number_cell(run.metrics.nfe)),
    (Column("probes", detail=True), lambda _, run: number_cell(run.metrics.probe_nfe, digits=2)),
    (
        Column("sum L (10³)", higher_is_better=False, detail=True),
        lambda _, run: sample_mean(run, lambda sample: sample.ledger.total.length_sum / 1e3, digits=2),
    ),
    (
        Column("sum L² (10⁶)", higher_is_better=False, detail=True),
        lambda _, run: sample_mean(run, lambda sample: sample.ledger.total.length_squared_sum / 1e6, digits=3),
    ),
    (Column("GFLOPs", higher_is_better=False), lambda _, run: mean_gflops(run)),
    (
        Column("GFLOPs executed", higher_is_better=False, detail=True),
        lambda _, run: sample_mean(run, lambda sample: sample.ledger.total.flops_executed / 1e9, digits=2),
    ),
    (Column("forward s", higher_is_better=False, detail=True), lambda _, run: number_cell(run.metrics.forward_seconds)),
    (Column("wall-clock s", higher_is_better=False), lambda _, run: seconds_cell(run)),
    (Column("tokens/s", higher_is_better=True), lambda _, run: tokens_per_second_cell(run)),
)
_ENERGY: RunColumn = (Column("J", higher_is_better=False), lambda _, run: number_cell(_joules(run)))
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


def cost_table(sections: Sequence[Compared]) -> ReportTable:
    """What each policy costs, in every unit at once, with its quality."""
    runs = all_runs(sections)
    energy = (_ENERGY,) if any(_joules(run) is not None for run in runs) else ()
    return table_of_runs(
        "cost",
        "What each policy costs",
        sections,
        (_SCORE, *spread_columns(runs), *_COSTS, *energy, *beyond_columns(sections)),
        (
            "NFE, probes (part of NFE), sums over forwards of the length L and of L², and FLOPs: means per sample."
            " FLOPs are analytic, a multiply-add as 2, the vocabulary head over every position as in the reference"
            " implementations; executed: over the positions where it was needed. forward s: of all forwards of the run,"
            " by token share; wall-clock: per sample, the samples of a batch side by side, loading the model excluded,"
            " the starts and shards of a run added up, of all devices of a start together; tokens/s: tokens of answers"
            " by wall-clock.",
            *(_ENERGY_NOTE for _ in energy),
            *(_SHARED_ENERGY_NOTE for _ in energy if any(run.metrics.runs_together > 1 for run in runs)),
            *beyond_notes(sections),
            *pace_notes(runs),
            *scores_note(sections),
            *notes_on(sections, runs),
        ),
    )
