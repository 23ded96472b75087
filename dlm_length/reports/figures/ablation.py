"""The score at each value of a policy's parameter that was varied."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from dlm_length.analysis.parameters import (
    Value,
    alike_but_for,
    ascending,
    is_number,
    parameters,
    series_of,
    sortable,
)
from dlm_length.analysis.runs import Run
from dlm_length.policies import policies
from dlm_length.reports.figures.drawing import blank_axes, interval_bars, legend_below, looks, score_axis, shown
from dlm_length.reports.figures.heat import grids
from dlm_length.reports.figures.measures import (
    Scored,
    interval_arrays,
    interval_note,
    missing_note,
    scored,
    section_figure,
)
from dlm_length.reports.names import NamedSection, held_names, setting_name, symbol_of, value_text
from dlm_length.reports.rendering.figure import Figure, numbered

VALUES = 3
"""The fewest values of a figure: fewer are a comparison of two runs, which tables show."""
CHANGES = 2
"""The same for a policy that changes another one, as two values already show its effect."""
LOGARITHMIC = 1.6
"""The least ratio of neighbouring values of a logarithmic axis: lengths of canvases double, values of tau do not."""


@dataclass(frozen=True, eq=False)
class Curve:
    """The scores of runs that differ in one parameter only."""

    held: str
    """The other parameters that vary, with their values on this curve; empty where none does."""
    values: tuple[Value, ...]
    """Ascending: numbers by size, then words."""
    score: NDArray[np.float64]
    """(values,), means."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """95% interval; NaN where there is none."""


@dataclass(frozen=True, eq=False)
class Ablation:
    """All curves of a policy over one of its parameters."""

    policy: str
    title: str
    """Name of the policy, for readers."""
    field: str
    metric: str
    curves: tuple[Curve, ...]

    @property
    def values(self) -> list[Value]:
        """The values of all curves, ascending."""
        return ascending(value for curve in self.curves for value in curve.values)


@dataclass(frozen=True)
class Varied:
    """Runs of one policy by one of its parameters, all else equal."""

    policy: str
    field: str
    held: str
    runs: tuple[Run, ...]
    unchanged: bool
    """Whether the run at 0 is a run of the policy that this one changes."""

    @property
    def values(self) -> dict[Path, Value]:
        """The values of the field by the run's folder; 0 for the policy that is not changed."""
        return {run.path: parameters(run).get(self.field, 0.0) for run in self.runs}


def ablation(section: NamedSection) -> list[Figure]:
    """A figure for each parameter of a policy that was varied, unless a grid of two shows it."""
    every = sorted([*_series(section), *_changes(section)], key=lambda each: section.policies.index(each.policy))
    figures = []
    for (policy, field), group in groupby(every, key=lambda each: (each.policy, each.field)):
        enough = CHANGES if section.declared_of(policy).variant_of else VALUES
        varied = [each for each in group if len(scored(section, each.runs)) >= enough]
        if varied:
            figures.append(_figure(section, policy, field, varied))
    return numbered(figures)


def _series(section: NamedSection) -> Iterator[Varied]:
    """The series of `VALUES` or more values that neither a grid nor `_changes` shows."""
    in_grids = [({grid.across, grid.up}, {run.path for run in grid.runs.values()}) for grid in grids(section)]
    for series in series_of(section.runs):
        own = series.runs[0].declared
        changes_another = own.variant_of is not None and series.field == own.series_field
        paths = {run.path for run in series.runs}
        in_grid = any(series.field in fields and paths <= cells for fields, cells in in_grids)
        single = all(isinstance(value, Value) for value in series.values)
        if len(series.values) >= VALUES and single and not changes_another and not in_grid:
            others = ", ".join(setting_name(series.policy, field, value) for field, value in series.among)
            yield Varied(series.policy, series.field, others, series.runs, False)


def _changes(section: NamedSection) -> Iterator[Varied]:
    """Runs of policies that change another one to a varying degree, with a run of the unchanged policy at 0."""
    for policy in section.policies:
        own = section.declared_of(policy)
        if own.variant_of is None or own.series_field is None:
            continue
        runs, field = section.of(policy), own.series_field
        for group in alike_but_for(runs, [field]):
            every = with_unchanged(group, section.of(own.variant_of), field)
            yield Varied(policy, field, held_names(group[0], runs, [field]), tuple(every), len(every) > len(group))


def with_unchanged(group: Sequence[Run], unchanged: Sequence[Run], field: str) -> list[Run]:
    """Runs that change a policy by `field`, and a run of that policy unless one of them has the field at 0."""
    if any(parameters(run)[field] == 0 for run in group):
        return list(group)
    rest = {name: value for name, value in parameters(group[0]).items() if name != field}
    return [*group, *[run for run in unchanged if parameters(run) == rest][:1]]


def compute(section: NamedSection, varied: Sequence[Varied]) -> Ablation:
    """The scores of runs that vary the same parameter of a policy."""
    return Ablation(
        varied[0].policy,
        section.policy_name(varied[0].policy),
        varied[0].field,
        section.metric,
        tuple(_curve(each, scored(section, each.runs)) for each in varied),
    )


def _curve(varied: Varied, scores: Sequence[Scored]) -> Curve:
    values = varied.values
    ordered = sorted(scores, key=lambda each: sortable(values[each.run.path]))
    low, score, high = interval_arrays(each.score for each in ordered)
    return Curve(varied.held, tuple(values[each.run.path] for each in ordered), score, low, high)


def _figure(section: NamedSection, policy: str, field: str, varied: Sequence[Varied]) -> Figure:
    data = compute(section, varied)
    runs = [run for each in varied for run in each.runs]
    scores = scored(section, runs)
    others = f" ({varied[0].held})" if len(varied) == 1 and varied[0].held else ""
    unchanged = section.declared_of(policy).variant_of
    caption = [
        f"Mean {data.metric} of {data.title}{others} for each {symbol_of(policy, field)}{_meaning(policy, field)}.",
        *(
            [f"The score at 0 is that of {section.policy_name(unchanged)}."]
            if unchanged and any(each.unchanged for each in varied)
            else []
        ),
        interval_note(scores, "Bars"),
        *missing_note(section, runs, scores),
    ]
    return section_figure(
        section,
        *("ablation", policy, field),
        title=f"{data.title}, {symbol_of(policy, field)}{others}",
        caption=caption,
        runs=[each.run for each in scores],
        plot=partial(plot, data),
    )


def _meaning(policy: str, field: str) -> str:
    """The policy's own description of the field, in brackets; empty where there is none."""
    known = policies().get(policy)
    described = None if known is None or field not in known.model_fields else known.model_fields[field].description
    first = "" if described is None else described.partition(". ")[0].partition("\n")[0].rstrip(".")
    if first[1:2].islower():  # not an abbreviation
        first = f"{first[0].lower()}{first[1:]}"
    return f" ({first})" if first else ""


def plot(data: Ablation) -> MplFigure:
    """A line for each curve where all values are numbers, else points."""
    picture, axes = blank_axes()
    look = looks([data.policy])[data.policy]
    shades = look.shades(len(data.curves))
    values = data.values
    is_line = all(map(is_number, values))
    for curve, colour in zip(data.curves, shades, strict=True):
        places = [float(value) if is_line else values.index(value) for value in curve.values]  # type: ignore[arg-type]
        interval_bars(axes, places, curve.low, curve.high, color=colour, linewidth=0.8)
        axes.plot(
            places,
            curve.score,
            color=colour,
            marker=look.marker,
            markerfacecolor=colour if look.filled else "white",
            linestyle=look.line if is_line else "",
        )
    if is_logarithmic(values):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks([float(value) for value in values], [shown(value_text(value), 12) for value in values])  # type: ignore[arg-type]
    elif not is_line:
        axes.set_xticks(range(len(values)), [shown(value_text(value), 12) for value in values])
        axes.margins(x=0.15)
    axes.set_xlabel(f"{shown(symbol_of(data.policy, data.field))} ({shown(data.title)})")
    score_axis(axes, data.metric)
    if len(data.curves) > 1:
        legend_below(picture, [(line, curve.held) for line, curve in zip(axes.lines, data.curves, strict=True)])
    return picture


def is_logarithmic(values: Sequence[Value]) -> bool:
    """Whether these ascending values are numbers for a logarithmic axis."""
    numbers = [float(value) for value in values if value is not None and is_number(value)]
    if len(numbers) < len(values) or numbers[0] <= 0:
        return False
    return all(after / before >= LOGARITHMIC for before, after in pairwise(numbers))
