"""DAEDAL's main table (arXiv 2508.00819)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from dlm_length.analysis.repeats import score_spread
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, Section
from dlm_length.reports.table import TOKEN_COUNTS, Column, Group, Number, ReportTable, Row
from dlm_length.reports.tables.cells import (
    NO_VALUE,
    ends,
    heading,
    notes_on,
    number_cell,
    score_cell,
    scores_note,
)
from dlm_length.reports.tables.measures import (
    MEASURES,
    RANKING,
    Measure,
    by_uncertainty,
    can_be_best,
    ranked,
    statistics_of,
)

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
        groups.append(Group(heading(each.section), tuple(_rows(each, by_label, order, _quantities(runs)))))
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
        groups.append(Group(each.section.title, tuple(_rows(each, by_key, order, quantities, rounded=True))))
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


def _rows(
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
