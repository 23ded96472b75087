"""Tables of papers: SmartCrop's table 1 (arXiv 2603.06123), DAEDAL's main table (arXiv 2508.00819), and our own."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from dlm_length.analysis.effects import Effect, EffectName
from dlm_length.analysis.repeats import score_spread
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.common import listing
from dlm_length.reports.notes import effect_notes, unbounded_notes, uncharged_notes
from dlm_length.reports.table import TOKEN_COUNTS, Cell, Column, Group, Number, ReportTable, Row
from dlm_length.reports.tables.cells import (
    NO_VALUE,
    RunColumn,
    all_runs,
    beyond_columns,
    beyond_notes,
    effect_cell,
    ends,
    heading,
    no_baseline_notes,
    notes_on,
    number_cell,
    p_cells,
    score_cell,
    scores_note,
    sources_of,
    spread_columns,
    table_of_runs,
)
from dlm_length.reports.tables.measures import (
    MEASURES,
    RANKING,
    USUAL_COLUMNS,
    Measure,
    by_uncertainty,
    can_be_best,
    explained,
    measured,
    measured_groups,
    ranked,
    statistics_of,
)

_LENGTHS_AND_SCORE: tuple[RunColumn, ...] = (
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
            *_LENGTHS_AND_SCORE,
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


_Key = TypeVar("_Key", str, tuple[str, str])
"""Identifies a column."""
_Kept = list[tuple[Compared, list[Run]]]
"""Sections, and their runs that have columns."""
_Quantity = tuple[str, Callable[[Section, Run], Number], Measure | None]
"""A row: its name, its value, and the measure whose rules decide which runs can be best; None for rows without a best.
"""
_SCORE, _E_RATIO = MEASURES["score"], MEASURES["e_ratio"]
_QUANTITIES: tuple[_Quantity, ...] = (
    ("score (%)", lambda section, run: score_cell(section, run, digits=1, unit=100), _SCORE),
    ("score low (%)", lambda section, run: ends(score_cell(section, run, digits=1, unit=100))[0], None),
    ("score high (%)", lambda section, run: ends(score_cell(section, run, digits=1, unit=100))[1], None),
    ("e_token", lambda _, run: number_cell(run.metrics.e_token), None),
    ("n_token", lambda _, run: number_cell(run.metrics.n_token), None),
    ("E_ratio (%)", lambda _, run: number_cell(run.metrics.e_ratio, unit=100), _E_RATIO),
)


def daedal_table(sections: Sequence[Compared]) -> ReportTable | None:
    """Accuracy and token counts, a column per fixed length or dynamic policy; None where no section has two of them."""
    kept = _kept(sections)
    if not kept:
        return None

    def key(each: Compared, run: Run) -> str:
        return each.section.label_of[run.path]

    order = _order(kept, key)
    groups = []
    for each, runs in kept:
        by_label = {key(each, run): run for run in runs}
        groups.append(Group(heading(each.section), tuple(_quantity_rows(each, by_label, order, _quantities(runs)))))
    return ReportTable(
        "daedal",
        "Accuracy and token counts over fixed and dynamic canvases",
        (Column("", numeric=False), *(Column(label, own_columns=("low", "high")) for label in order)),
        tuple(groups),
        (
            f"{TOKEN_COUNTS} Token counts: means per sample. {RANKING.replace('column', 'row')}",
            *scores_note(each for each, _ in kept),
            *notes_on(sections, (run for _, runs in kept for run in runs)),
        ),
    )


def daedal_layout(sections: Sequence[Compared]) -> ReportTable | None:
    """The rows and columns of the paper: fixed canvases by their length, then the dynamic policies.

    `sections`: with names for readers. None under the same condition as `daedal_table`.
    """
    kept = _kept(sections)
    if not kept:
        return None
    order = _order(kept, _layout_key)
    groups = []
    for each, runs in kept:
        by_key = {_layout_key(each, run): run for run in runs}
        quantities: tuple[_Quantity, ...] = (
            (f"{each.section.metric} (%)", _QUANTITIES[0][1], _SCORE),
            ("E_token", lambda _, run: _three_digits(run.metrics.e_token), None),
            ("N_token", lambda _, run: _three_digits(run.metrics.n_token), None),
            _QUANTITIES[-1],
        )
        groups.append(Group(each.section.title, tuple(_quantity_rows(each, by_key, order, quantities, rounded=True))))
    return ReportTable(
        "daedal",
        "Fixed canvases and dynamic lengths, as in DAEDAL's main table",
        (Column("", numeric=False), *(Column(" ".join(filter(None, key)), span=key[0]) for key in order)),
        tuple(groups),
        (
            "E_token: tokens of the final canvas that are neither EOS nor EOT; N_token: all of them; E_ratio: sum"
            " E_token / sum N_token. Token counts: means per sample.",
            RANKING.replace("column", "row"),
        ),
        statistics_of([each for each, _ in kept], ()),
    )


def _kept(sections: Sequence[Compared]) -> _Kept:
    """The sections that have two or more runs to compare."""
    found = [(each, [run for run in each.section.runs if _has_column(run)]) for each in sections]
    return [(each, runs) for each, runs in found if len(runs) > 1]


def _order(kept: _Kept, key: Callable[[Compared, Run], _Key]) -> list[_Key]:
    """The columns of all sections: fixed lengths ascending, then the other policies."""
    places = {key(each, run): _place(run) for each, runs in kept for run in runs}
    return sorted(places, key=lambda each: (places[each], each))


def _quantity_rows(
    each: Compared,
    runs: Mapping[_Key, Run],
    order: Sequence[_Key],
    quantities: Iterable[_Quantity],
    *,
    rounded: bool = False,
) -> Iterator[Row]:
    """A row per quantity; `rounded`: with decimals as the intervals warrant."""
    sources = tuple(path for key in order if key in runs for path in runs[key].paths)
    for name, of, measure in quantities:
        numbers: list[Number] = [of(each.section, runs[key]) if key in runs else NO_VALUE for key in order]
        if rounded:
            numbers = by_uncertainty(numbers)
        if measure is not None:
            eligible = [key in runs and can_be_best(each, runs[key], measure) for key in order]
            numbers = ranked(numbers, eligible, higher_is_better=True)
        yield Row((name, *numbers), sources)


def _layout_key(each: Compared, run: Run) -> tuple[str, str]:
    """Heading and title of a run's column: the length of a fixed canvas, the name of another policy."""
    label = each.section.label_of[run.path]
    name, _, length = label.rpartition("L = ")
    return (name.rstrip(", "), f"L = {length}") if run.declared.role == "baseline" and name else ("", label)


def _three_digits(value: float | None) -> Number:
    """A count of tokens, without decimals from 100 on, as the paper prints it."""
    return number_cell(value, digits=0 if value is not None and value >= 99.95 else 1)


def _has_column(run: Run) -> bool:
    """Whether a run has a column: a control has none, and a method with a series has a table of its own."""
    return run.declared.role == "baseline" or (run.declared.role == "method" and run.declared.series_field is None)


def _quantities(runs: Sequence[Run]) -> Iterator[_Quantity]:
    """The rows, with the standard deviation of the score below its interval where runs have several seeds."""
    for quantity in _QUANTITIES:
        yield quantity
        if quantity is _QUANTITIES[2] and any(run.repeats for run in runs):
            yield "sd (%)", lambda _, run: number_cell(100 * score_spread(run)), None


def _place(run: Run) -> tuple[object, ...]:
    """Order of the columns: fixed lengths ascending, then the other policies."""
    fixed = run.declared.role == "baseline"
    return not fixed, run.config["policy"].get("length", 0) if fixed else 0, run.metrics.policy


def main_table(
    sections: Sequence[Compared],
    *,
    columns: Sequence[str] = USUAL_COLUMNS,
    stacked: bool = False,
) -> ReportTable:
    """A row per policy, a group of rows per model, and for each benchmark a column per quantity.

    `sections`: with names for readers (`names.with_readers_names`). `columns`: the quantities, names of `MEASURES`.
    `stacked`: the benchmarks below each other, each a group of rows, for a narrow table.
    """
    models = list(dict.fromkeys(each.section.model for each in sections))
    titles, groups = (_stacked if stacked else _side_by_side)(sections, columns)
    return ReportTable(
        "main",
        f"Length policies with {listing(models).replace(' or ', ' and ')}",
        (Column("policy", numeric=False), *titles),
        tuple(groups),
        tuple(_main_notes(sections, columns)),
        statistics_of(sections, columns),
    )


def _stacked(sections: Sequence[Compared], columns: Sequence[str]) -> tuple[Sequence[Column], Sequence[Group]]:
    titles = [Column(MEASURES[name].title, higher_is_better=MEASURES[name].higher_is_better) for name in columns]
    return titles, measured_groups(sections, columns, measured(sections, columns))


def _side_by_side(sections: Sequence[Compared], columns: Sequence[str]) -> tuple[Sequence[Column], Sequence[Group]]:
    spans = {each.section.title: each.section.title.replace(f", {each.section.model}", "", 1) for each in sections}
    metrics = {spans[each.section.title]: each.section.metric for each in sections}
    titles = [
        Column(
            f"{span} {f'{metric} (%)' if name == 'score' else MEASURES[name].title}",
            higher_is_better=MEASURES[name].higher_is_better,
            span=span,
        )
        for span, metric in metrics.items()
        for name in columns
    ]
    by_model: dict[str, dict[str, Compared]] = {}
    for each in sections:
        by_model.setdefault(each.section.model, {})[spans[each.section.title]] = each
    return titles, [
        Group(model if len(by_model) > 1 else "", tuple(_model_rows(own, list(metrics), columns)))
        for model, own in by_model.items()
    ]


def _model_rows(sections: Mapping[str, Compared], spans: Sequence[str], columns: Sequence[str]) -> Iterator[Row]:
    """The rows of one model: one per policy, and one for all baselines, whose canvases may have different lengths."""
    found = {span: measured([each], columns) for span, each in sections.items()}
    baseline = _baseline_label(list(sections.values()))
    runs: dict[str, dict[str, Run]] = {baseline: {}} if baseline else {}
    for span, each in sections.items():
        for run in each.section.runs:
            label = baseline if run is each.section.baseline else each.section.label_of[run.path]
            runs.setdefault(label, {})[span] = run
    for label, own in runs.items():
        cells: list[Cell] = [label]
        for span in spans:
            cells += [found[span][name][own[span].path] if span in own else NO_VALUE for name in columns]
        sources = dict.fromkeys(path for span, run in own.items() for path in sources_of(sections[span].section, run))
        yield Row(tuple(cells), tuple(sources), baseline=label == baseline)


def _baseline_label(sections: Sequence[Compared]) -> str:
    """The label of the row of all baselines; empty where no section has one."""
    baselines = [(each.section, run) for each in sections if (run := each.section.baseline) is not None]
    names = {section.label_of[run.path]: section.policy_name(run.metrics.policy) for section, run in baselines}
    return next(iter(names), "") if len(names) < 2 else " / ".join(dict.fromkeys(names.values()))


def _main_notes(sections: Sequence[Compared], columns: Sequence[str]) -> Iterator[str]:
    baselines = {
        each.section.title: each.section.label_of[run.path]
        for each in sections
        if (run := each.section.baseline) is not None
    }
    if len(set(baselines.values())) > 1:
        yield f"Baselines: {'; '.join(f'{label} ({title})' for title, label in baselines.items())}."
    if meanings := explained(columns):
        yield meanings
    yield RANKING
    yield from uncharged_notes(all_runs(sections), sections[0].section.policy_name)
