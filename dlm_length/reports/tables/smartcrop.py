"""SmartCrop's table 1 (arXiv 2603.06123)."""

from collections.abc import Iterator, Sequence

from dlm_length.analysis.effects import Effect, EffectName
from dlm_length.analysis.sections import Compared
from dlm_length.reports.notes import effect_notes, unbounded_notes
from dlm_length.reports.table import Column, ReportTable
from dlm_length.reports.tables.cells import (
    RunColumn,
    all_runs,
    beyond_columns,
    beyond_notes,
    effect_cell,
    ends,
    no_baseline_notes,
    notes_on,
    number_cell,
    p_cells,
    score_cell,
    scores_note,
    spread_columns,
    table_of_runs,
)
from dlm_length.reports.tables.measures import RANKING, measured, measured_groups, statistics_of

_COLUMNS: tuple[RunColumn, ...] = (
    (Column("prompt length", detail=True), lambda _, run: number_cell(run.metrics.prompt_length)),
    (Column("processed length", higher_is_better=False), lambda _, run: number_cell(run.metrics.processed_length)),
    (
        Column("score", higher_is_better=True, own_columns=("low", "high")),
        lambda each, run: score_cell(each.section, run),
    ),
    (Column("score low", detail=True), lambda each, run: ends(score_cell(each.section, run))[0]),
    (Column("score high", detail=True), lambda each, run: ends(score_cell(each.section, run))[1]),
)


def smartcrop_table(sections: Sequence[Compared]) -> ReportTable:
    """The table over every policy: lengths, metric, and both effects with their stars."""
    runs = all_runs(sections)
    effects = [effect for each in sections for effect in each.effects.values()]
    return table_of_runs(
        "smartcrop",
        "Length policies against the fixed canvas",
        sections,
        (
            *_COLUMNS,
            *spread_columns(runs),
            *_effect_columns("flops_saved", "FLOPs saved", "FLOPs"),
            *beyond_columns(sections),
            *_effect_columns("performance_delta", "delta", "delta"),
        ),
        (
            "processed length: prompt and final canvas, mean per sample.",
            *scores_note(sections),
            *_effect_notes([effect for effect in effects if effect.name != "flops_saved_vs_early_stop"]),
            *beyond_notes(sections),
            *no_baseline_notes(sections),
            *effect_notes(effects),
            *notes_on(sections, runs),
        ),
    )


def _effect_columns(name: EffectName, title: str, short: str) -> tuple[RunColumn, ...]:
    """An effect in per cent, its own p, and Holm's p."""
    column = Column(f"{title} (%)", higher_is_better=True, own_columns=("p",))
    return (
        (column, lambda each, run: effect_cell(each.of(run, name))),
        (Column(f"p of {short}", detail=True), lambda each, run: p_cells(each.of(run, name))[0]),
        (Column(f"Holm's p of {short}", detail=True), lambda each, run: p_cells(each.of(run, name))[1]),
    )


def smartcrop_layout(sections: Sequence[Compared]) -> ReportTable:
    """The columns of the paper: no intervals and p values, decimals as the intervals warrant.

    `sections`: with names for readers. Controls are left out, which the paper has elsewhere.
    """
    names = ("prompt_length", "processed_length", "score", "flops_saved", "delta")
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
        measured_groups(sections, names, measured(sections, names, unit=1), controls=False),
        (
            "Lengths in tokens, per sample; processed: prompt and final canvas. FLOPs saved: analytic, probes included."
            " perf. Δ: change of the mean metric relative to the baseline.",
            RANKING,
        ),
        statistics_of(sections, names),
    )


def _effect_notes(found: Sequence[Effect]) -> Iterator[str]:
    """Definitions of the effects; nothing where there are none."""
    if found:
        yield (
            "FLOPs saved: 1 - sum FLOPs / sum of the baseline's, analytic, the vocabulary head over every position,"
            " probes included. delta: relative change of the mean score against the baseline, the first row of each"
            " group."
        )
        yield from unbounded_notes(end for effect in found for end in (effect.low, effect.high))
