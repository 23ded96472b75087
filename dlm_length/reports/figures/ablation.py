"""One parameter of a policy that was varied: the score at each of its values."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from matplotlib.figure import Figure as Picture
from matplotlib.ticker import NullLocator

from dlm_length.analysis.parameters import Series, Value, format_value, is_number, series_of
from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.figure import Figure, file_stem, numbered
from dlm_length.reports.figures.heat import grids
from dlm_length.reports.figures.measures import Scored, interval_note, missing_note, scored, sources
from dlm_length.reports.figures.style import blank_axes, interval_bars, looks, score_axis, shown

VALUES = 3
"""Fewer are a comparison of two runs, which tables show."""
LOGARITHMIC = 1.6
"""Each value by the one before, from which an axis of positive numbers is logarithmic: canvases double, taus do not."""


@dataclass(frozen=True)
class Ablation:
    """The scores of a series."""

    values: tuple[Value, ...]
    scores: tuple[Scored, ...]
    """One a value."""

    @property
    def is_line(self) -> bool:
        """Whether all values are numbers, so that there is something between them."""
        return all(map(is_number, self.values))


def plotted(section: Section) -> list[Series]:
    """The series of `VALUES` values or more, unless a grid or the figure of delta shows them."""
    in_grids = [({grid.across, grid.up}, {run.path for run in grid.runs.values()}) for grid in grids(section)]
    return [
        series
        for series in series_of(section.runs)
        if len(series.values) >= VALUES
        and all(isinstance(value, Value) for value in series.values)
        and not _has_own_figure(series)
        and not any(series.field in fields and {run.path for run in series.runs} <= cells for fields, cells in in_grids)
    ]


def _has_own_figure(series: Series) -> bool:
    """Whether it is how far a policy was changed from another, which the figure of delta shows."""
    own = series.runs[0].declared
    return own.variant_of is not None and series.field == own.series_field


def ablation(section: Section) -> list[Figure]:
    """A plot for each series with scores at `VALUES` values or more."""
    figures = []
    for series in plotted(section):
        found = find(section, series)
        if len(found.values) < VALUES:
            continue
        others = ", ".join(f"{field} {format_value(value)}" for field, value in series.among)
        caption = [
            f"Mean {section.metric} of {series.policy}{f' ({others})' if others else ''} for each {series.field}.",
            interval_note(found.scores, "Bars"),
            *missing_note(section, series.runs, found.scores),
        ]
        figures.append(
            Figure(
                file_stem("ablation", section.title, series.policy, series.field),
                f"{series.title}: {section.title}",
                " ".join(caption),
                sources(each.run for each in found.scores),
                partial(draw, series, found, section.metric),
            )
        )
    return numbered(figures)


def find(section: Section, series: Series) -> Ablation:
    """The scores of the runs that have one."""
    value_of = {run.path: value for run, value in zip(series.runs, series.values, strict=True)}
    scores = scored(section, series.runs)
    return Ablation(tuple(value_of[each.run.path] for each in scores), tuple(scores))


def draw(series: Series, found: Ablation, metric: str) -> Picture:
    """A line over numbers, points over words."""
    picture, axes = blank_axes()
    look = looks([series.policy])[series.policy]
    places = np.array(found.values, dtype=np.float64) if found.is_line else np.arange(len(found.values))
    scores = [each.score for each in found.scores]
    interval_bars(axes, places.tolist(), scores, color=look.colour, linewidth=0.8)
    axes.plot(
        places,
        [score.value for score in scores],
        color=look.colour,
        marker=look.marker,
        linestyle=look.line if found.is_line else "",
    )
    if is_logarithmic(found.values):
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if is_logarithmic(found.values) or not found.is_line:
        axes.set_xticks(places, [shown(format_value(value), 12) for value in found.values])
    if not found.is_line:
        axes.margins(x=0.15)
    axes.set_xlabel(shown(series.field))
    score_axis(axes, metric)
    return picture


def is_logarithmic(values: Sequence[Value]) -> bool:
    """Whether these values, ascending, are numbers for a logarithmic axis."""
    numbers = [float(value) for value in values if value is not None and is_number(value)]
    if len(numbers) < len(values) or numbers[0] <= 0:
        return False
    return all(after / before >= LOGARITHMIC for before, after in pairwise(numbers))
