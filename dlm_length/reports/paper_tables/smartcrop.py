"""SmartCrop's table 1 (arXiv 2603.06123)."""

from collections.abc import Iterator, Sequence

from dlm_length.reports.comparison import Effect, Run, adjusted_p, mean_score
from dlm_length.reports.effects import effect_notes, family_note, unbounded_notes
from dlm_length.reports.paper_tables.cells import NO_VALUE, effect_cell, number, spread_cells, spread_columns
from dlm_length.reports.paper_tables.compared import Compared
from dlm_length.reports.paper_tables.rows import all_runs, no_baseline_notes, notes_on, row_a_run
from dlm_length.reports.sheet import Column, Number, Sheet, p_value


def smartcrop_table(sections: Sequence[Compared]) -> Sheet:
    """The table over every policy: lengths, metric, and both effects with their stars."""
    effects = [each.of(run) for each in sections for run in each.section.runs]
    found = [effect for each in effects for effect in (each.flops_saved, each.performance_delta) if effect is not None]
    holm = iter(adjusted_p([effect.test.p for effect in found]))

    spread = spread_columns(all_runs(sections))

    def cells(each: Compared, run: Run) -> tuple[Number, ...]:
        metrics, against = run.metrics, each.of(run)
        return (
            number(metrics.prompt_length),
            number(metrics.processed_length),
            number(mean_score(run), digits=4),
            *spread_cells(run, spread),
            *_effect_cells(against.flops_saved, holm),
            *_effect_cells(against.performance_delta, holm),
        )

    return Sheet(
        "smartcrop",
        "Length policies against the fixed canvas",
        (
            Column("policy", numeric=False),
            Column("prompt length"),
            Column("processed length", higher_is_better=False),
            Column("score", higher_is_better=True),
            *spread,
            Column("FLOPs saved (%)", higher_is_better=True, apart=("p",)),
            Column("p of FLOPs"),
            Column("Holm's p of FLOPs"),
            Column("delta (%)", higher_is_better=True, apart=("p",)),
            Column("p of delta"),
            Column("Holm's p of delta"),
        ),
        row_a_run(sections, cells),
        (
            "processed length: prompt and final canvas, mean a sample.",
            *_effect_notes(found),
            *no_baseline_notes(sections),
            *effect_notes([comparison for each in sections for comparison in each.comparisons.values()]),
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
        family = family_note([effect.test.p for effect in found], "FLOPs saved and delta of every run")
        yield f"{family} The table of effects and tests has further tests in its own, and so other adjusted p."
        yield from unbounded_notes(end for effect in found for end in (effect.estimate.low, effect.estimate.high))


def _effect_cells(effect: Effect | None, holm: Iterator[float]) -> tuple[Number, Number, Number]:
    """An effect, its p, and the p that `holm` has for it."""
    if effect is None:
        return NO_VALUE, NO_VALUE, NO_VALUE
    return effect_cell(effect), p_value(effect.test.p), p_value(next(holm))
