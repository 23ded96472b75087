"""SmartCrop's table 1 (arXiv 2603.06123)."""

from collections.abc import Iterator, Sequence

from dlm_length.analysis.effects import Effect
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared
from dlm_length.reports.notes import effect_notes, unbounded_notes
from dlm_length.reports.table import Column, Group, Number, ReportTable
from dlm_length.reports.tables.cells import (
    NO_VALUE,
    all_runs,
    beyond_cells,
    beyond_columns,
    beyond_notes,
    effect_cell,
    ends,
    no_baseline_notes,
    notes_on,
    number_cell,
    p_cells,
    row,
    row_a_run,
    score_cell,
    scores_note,
    spread_cells,
    spread_columns,
)
from dlm_length.reports.tables.measures import RANKING, measured, statistics_of


def smartcrop_table(sections: Sequence[Compared]) -> ReportTable:
    """The table over every policy: lengths, metric, and both effects with their stars."""
    effects = [effect for each in sections for effect in each.effects.values()]
    spread = spread_columns(all_runs(sections))
    beyond = beyond_columns(sections)

    def cells(each: Compared, run: Run) -> tuple[Number, ...]:
        metrics, score = run.metrics, score_cell(each.section, run)
        return (
            number_cell(metrics.prompt_length),
            number_cell(metrics.processed_length),
            score,
            *ends(score),
            *spread_cells(run, spread),
            *_effect_cells(each.of(run, "flops_saved")),
            *beyond_cells(each, run, beyond),
            *_effect_cells(each.of(run, "performance_delta")),
        )

    return ReportTable(
        "smartcrop",
        "Length policies against the fixed canvas",
        (
            Column("policy", numeric=False),
            Column("prompt length", detail=True),
            Column("processed length", higher_is_better=False),
            Column("score", higher_is_better=True, own_columns=("low", "high")),
            Column("score low", detail=True),
            Column("score high", detail=True),
            *spread,
            Column("FLOPs saved (%)", higher_is_better=True, own_columns=("p",)),
            Column("p of FLOPs", detail=True),
            Column("Holm's p of FLOPs", detail=True),
            *beyond,
            Column("delta (%)", higher_is_better=True, own_columns=("p",)),
            Column("p of delta", detail=True),
            Column("Holm's p of delta", detail=True),
        ),
        row_a_run(sections, cells, beyond=True),
        (
            "processed length: prompt and final canvas, mean per sample.",
            *scores_note(each.section for each in sections),
            *_effect_notes([effect for effect in effects if effect.name != "flops_saved_vs_early_stop"]),
            *beyond_notes(sections),
            *no_baseline_notes(sections),
            *effect_notes(effects),
            *notes_on(all_runs(sections)),
        ),
    )


def smartcrop_layout(sections: Sequence[Compared]) -> ReportTable:
    """The paper's own columns, for a paper: no intervals and p values, digits by uncertainty.

    `sections`: with readers' names. Controls are left out, which the paper has elsewhere.
    """
    names = ("prompt_length", "processed_length", "score", "flops_saved", "delta")
    found = measured(sections, names, unit=1)
    groups = []
    for each in sections:
        runs = [run for run in each.section.runs if run.declared.role != "control"]
        rows = [
            row(each.section, run, (each.section.label_of[run.path], *(found[name][run.path] for name in names)))
            for run in runs
        ]
        groups.append(Group(f"{each.section.title}: {each.section.metric}", tuple(rows)))
    return ReportTable(
        "smartcrop",
        "Length policies against the fixed canvas, as in SmartCrop's table 1",
        (
            Column("method", numeric=False),
            Column("prompt length"),
            Column("avg. processed length", higher_is_better=False),
            Column("metric", higher_is_better=True),
            Column("FLOPs saved (%)", higher_is_better=True),
            Column("perf. Δ (%)", higher_is_better=True),
        ),
        tuple(groups),
        (
            "Lengths in tokens, per sample; processed: prompt and final canvas. FLOPs saved: analytic, probes included."
            " perf. Δ: change of the mean metric relative to the baseline.",
            RANKING,
        ),
        statistics_of(sections, names),
    )


def _effect_notes(found: Sequence[Effect]) -> Iterator[str]:
    """What the effects are; nothing where there are none."""
    if found:
        yield (
            "FLOPs saved: 1 - sum FLOPs / sum of the baseline's, analytic, the vocabulary head over every position,"
            " probes included. delta: relative change of the mean score against the baseline, the first row of each"
            " group."
        )
        yield from unbounded_notes(end for effect in found for end in (effect.low, effect.high))


def _effect_cells(effect: Effect | None) -> tuple[Number, Number, Number]:
    """An effect, its own p, and Holm's."""
    return (NO_VALUE, NO_VALUE, NO_VALUE) if effect is None else (effect_cell(effect), *p_cells(effect))
