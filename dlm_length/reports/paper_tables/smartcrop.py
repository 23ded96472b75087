"""SmartCrop's table 1 (arXiv 2603.06123)."""

from collections.abc import Iterator, Sequence

from dlm_length.analysis.effects import Effect
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared
from dlm_length.reports.effects import effect_notes, p_cells, unbounded_notes
from dlm_length.reports.paper_tables.parts import (
    NO_VALUE,
    all_runs,
    beyond_cells,
    beyond_columns,
    beyond_notes,
    effect_cell,
    ends,
    no_baseline_notes,
    notes_on,
    number,
    row_a_run,
    score_cell,
    scores_note,
    spread_cells,
    spread_columns,
)
from dlm_length.reports.table import Column, Number, ReportTable


def smartcrop_table(sections: Sequence[Compared]) -> ReportTable:
    """The table over every policy: lengths, metric, and both effects with their stars."""
    made = [comparison for each in sections for comparison in each.comparisons.values()]

    spread = spread_columns(all_runs(sections))
    beyond = beyond_columns(sections)

    def cells(each: Compared, run: Run) -> tuple[Number, ...]:
        metrics, against, score = run.metrics, each.of(run), score_cell(each.section, run)
        return (
            number(metrics.prompt_length),
            number(metrics.processed_length),
            score,
            *ends(score),
            *spread_cells(run, spread),
            *_effect_cells(against.flops_saved),
            *beyond_cells(each, run, beyond),
            *_effect_cells(against.performance_delta),
        )

    return ReportTable(
        "smartcrop",
        "Length policies against the fixed canvas",
        (
            Column("policy", numeric=False),
            Column("prompt length"),
            Column("processed length", higher_is_better=False),
            Column("score", higher_is_better=True, own_columns=("low", "high")),
            Column("score low"),
            Column("score high"),
            *spread,
            Column("FLOPs saved (%)", higher_is_better=True, own_columns=("p",)),
            Column("p of FLOPs"),
            Column("Holm's p of FLOPs"),
            *beyond,
            Column("delta (%)", higher_is_better=True, own_columns=("p",)),
            Column("p of delta"),
            Column("Holm's p of delta"),
        ),
        row_a_run(sections, cells, beyond=True),
        (
            "processed length: prompt and final canvas, mean a sample.",
            *scores_note(each.section for each in sections),
            *_effect_notes([e for each in made for e in (each.flops_saved, each.performance_delta) if e is not None]),
            *beyond_notes(sections),
            *no_baseline_notes(sections),
            *effect_notes(made),
            *notes_on(all_runs(sections)),
        ),
    )


def _effect_notes(found: Sequence[Effect]) -> Iterator[str]:
    """What the effects are; nothing where there are none."""
    if found:
        yield (
            "FLOPs saved: 1 - sum FLOPs / sum of the baseline's, analytic, the vocabulary head over every position,"
            " probes included. delta: relative change of the mean score against the baseline, the first row of each"
            " group."
        )
        yield from unbounded_notes(end for effect in found for end in (effect.estimate.low, effect.estimate.high))


def _effect_cells(effect: Effect | None) -> tuple[Number, Number, Number]:
    """An effect, its own p, and Holm's."""
    return (NO_VALUE, NO_VALUE, NO_VALUE) if effect is None else (effect_cell(effect), *p_cells(effect.test))
