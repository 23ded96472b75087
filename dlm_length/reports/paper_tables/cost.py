"""What each policy costs: a table that no paper has."""

from collections.abc import Callable, Sequence

from dlm_length.reports.comparison import Run
from dlm_length.reports.paper_tables.cells import mean_gflops, number, sample_mean, score_cell
from dlm_length.reports.paper_tables.compared import Compared
from dlm_length.reports.paper_tables.rows import all_runs, notes_on, row_a_run, scores_note
from dlm_length.reports.sheet import Column, Number, Sheet

_SCORE = Column("score", higher_is_better=True)
_COLUMNS: tuple[tuple[Column, Callable[[Run], Number]], ...] = (
    (Column("NFE", higher_is_better=False), lambda run: number(run.metrics.nfe)),
    (Column("probes"), lambda run: number(run.metrics.probe_nfe, digits=2)),
    (
        Column("sum L (10^3)", higher_is_better=False),
        lambda run: sample_mean(run, lambda sample: sample.ledger.total.length_sum / 1e3, digits=2),
    ),
    (
        Column("sum L^2 (10^6)", higher_is_better=False),
        lambda run: sample_mean(run, lambda sample: sample.ledger.total.length_squared_sum / 1e6, digits=3),
    ),
    (Column("GFLOPs", higher_is_better=False), mean_gflops),
    (
        Column("GFLOPs executed", higher_is_better=False),
        lambda run: sample_mean(run, lambda sample: sample.ledger.total.flops_executed / 1e9, digits=2),
    ),
    (Column("forward s", higher_is_better=False), lambda run: number(run.metrics.forward_seconds)),
    (Column("wall-clock s", higher_is_better=False), lambda run: number(run.metrics.wall_clock_seconds)),
    (Column("tokens/s", higher_is_better=True), lambda run: number(run.metrics.tokens_per_second)),
)


def cost_table(sections: Sequence[Compared]) -> Sheet:
    """What each policy costs, in every unit at once, beside its quality."""
    runs = all_runs(sections)
    together = max((run.metrics.runs_together for run in runs), default=1)
    shared = (
        f"Up to {together} runs were made together, on one clock: their wall-clock and tokens/s are of all of them;"
        " forward s is each run's own."
    )
    return Sheet(
        "cost",
        "What each policy costs",
        (Column("policy", numeric=False), _SCORE, *(column for column, _ in _COLUMNS)),
        row_a_run(sections, lambda each, run: (score_cell(each.section, run), *(of(run) for _, of in _COLUMNS))),
        (
            "NFE, probes (part of NFE), sums over forwards of the length L and of L^2, and FLOPs: means a sample. FLOPs"
            " are analytic, a multiply-add as 2, the vocabulary head over every position as in the released programs;"
            " executed: over the positions where it was needed. forward s: of all forwards of the run, by token share;"
            " wall-clock: of the run, loading the model excluded; tokens/s: tokens of answers by wall-clock.",
            *((shared,) if together > 1 else ()),
            *scores_note(each.section for each in sections),
            *notes_on(runs),
        ),
    )
