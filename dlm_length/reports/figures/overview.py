"""The score, FLOPs saved and canvas length of every policy on every benchmark, on one page."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Transform, blended_transform_factory
from numpy.typing import ArrayLike, NDArray

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Compared, representative
from dlm_length.reports.figures.drawing import PAGE, TALLEST, Look, blank, in_lines, looks
from dlm_length.reports.figures.measures import ran, sources
from dlm_length.reports.names import NamedSection, with_names
from dlm_length.reports.notes import kinds_of_interval
from dlm_length.reports.rendering.figure import Figure, numbered

_ROW, _TITLE, _AROUND = 0.17, 0.3, 0.8
"""Heights in inches: of a policy, of a section's title, and of axis and legend below all panels."""
_TICKS = 0.16
"""Height in inches of the numbers below a section's panels; those below the last are part of `_AROUND`."""
_LONGEST_LABEL = 38
_TALL = 1.6
"""Height of a policy whose label has two lines, as a multiple of the others'."""
_LONGEST_TITLE = 100
_COLUMNS = ("mean score", "FLOPs saved (%)", "final canvas length (tokens)")
_SPREAD = (10, 50, 90)
"""Percentiles of lengths: the lower end of the line, the mark, and the upper end."""


@dataclass(frozen=True, eq=False)
class Rows:
    """One quantity of a section's policies, in a row each."""

    value: NDArray[np.float64]
    """(policies,), the value of the run that represents the policy; NaN where there is none."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """(policies,), the ends of the line around it; NaN where there is none."""
    others: tuple[NDArray[np.float64], ...]
    """(other runs,) for each policy: the values of its other runs."""


@dataclass(frozen=True, eq=False)
class Panel:
    """The data of a section."""

    title: str
    policies: tuple[str, ...]
    labels: tuple[str, ...]
    """(policies,), the names of the runs that represent them, for readers."""
    baseline: int | None
    """Place of the baseline among the policies; None where it represents none."""
    score: Rows
    """Mean scores, with 95% intervals."""
    saved: Rows
    """FLOPs saved against the baseline in per cent, with 95% intervals; 0 for the baseline."""
    length: Rows
    """Median final canvas in tokens, with the 10th and 90th percentile of the samples."""


Interval = tuple[float, float, float]
"""Lower end, value, upper end; NaN where there is none."""
_NOTHING: Interval = (math.nan, math.nan, math.nan)


def overview(compared: Sequence[Compared]) -> list[Figure]:
    """The panels of all sections with several runs, on as many pages as they need."""
    shown_here = [each for each in compared if len(each.section.runs) > 1 and each.section.mean_scores]
    return numbered(_figure(page) for page in _pages(shown_here))


def _pages(compared: Sequence[Compared]) -> Iterator[list[Compared]]:
    page: list[Compared] = []
    height = _AROUND + _ROW  # the columns' headings
    for each in compared:
        own = _TITLE + _TALL * _ROW * len(each.section.policies) + _TICKS
        if page and height + own > TALLEST:
            yield page
            page, height = [], _AROUND + _ROW
        page.append(each)
        height += own
    if page:
        yield page


def compute(compared: Compared) -> Panel:
    """The data of the panels of a section."""
    section = with_names(compared.section)
    chosen = {policy: representative(section.of(policy), section.baseline) for policy in section.policies}
    order = sorted(chosen, key=lambda policy: _rank(section, chosen[policy]))
    runs = [chosen[policy] for policy in order]

    def rows(of: Callable[[Run], Interval]) -> Rows:
        low, value, high = np.array([of(run) for run in runs], dtype=np.float64).T
        others = [[of(run)[1] for run in section.of(policy) if run is not chosen[policy]] for policy in order]
        return Rows(value, low, high, tuple(np.array(values, dtype=np.float64) for values in others))

    return Panel(
        f"{section.title}: {section.metric}, {section.n_label}",
        tuple(order),
        tuple(section.label_of[run.path] for run in runs),
        next((place for place, run in enumerate(runs) if run is section.baseline), None),
        rows(partial(_score, section)),
        rows(partial(_saved, compared)),
        rows(_length),
    )


def _rank(section: NamedSection, run: Run) -> tuple[int, int]:
    """Baselines first, then methods, then controls."""
    return ("baseline", "method", "control").index(run.declared.role), section.runs.index(run)


def _score(section: NamedSection, run: Run) -> Interval:
    estimate = section.mean_scores.get(run.path)
    return _NOTHING if estimate is None else (estimate.low, estimate.value, estimate.high)


def _saved(compared: Compared, run: Run) -> Interval:
    if run is compared.section.baseline:
        return math.nan, 0.0, math.nan
    effect = compared.of(run, "flops_saved")
    if effect is None:
        return _NOTHING
    return 100 * effect.low, 100 * effect.value, 100 * effect.high


def _length(run: Run) -> Interval:
    tokens = [sample.n_token for sample in ran(run)]
    if not tokens:
        return _NOTHING
    low, middle, high = np.percentile(tokens, _SPREAD).tolist()
    return low, middle, high


def _figure(compared: Sequence[Compared]) -> Figure:
    panels = tuple(compute(each) for each in compared)
    runs = [run for each in compared for run in each.section.runs]
    estimates = [estimate for each in compared for estimate in each.section.mean_scores.values()]
    several = any(others.size for panel in panels for others in panel.length.others)
    kinds = kinds_of_interval(estimates)
    caption = [
        "Mean score, FLOPs saved against the baseline, and final canvas length of every policy.",
        *(
            [f"Lines: 95% intervals of scores ({kinds}) and of savings (paired bootstrap over samples);"]
            if kinds
            else []
        ),
        "of lengths, the middle 80% of samples about their median." if kinds else "Lines: the middle 80% of lengths.",
        *(["Small marks: the policy's other runs."] if several else []),
        *(["Dotted: the baseline."] if any(panel.baseline is not None for panel in panels) else []),
    ]
    title = " and ".join(dict.fromkeys(with_names(each.section).model for each in compared))
    return Figure("overview", f"Overview: {title}", " ".join(caption), sources(runs), partial(plot, panels))


def plot(panels: Sequence[Panel]) -> MplFigure:
    """A row of panels for each section; the panels of a column share their axis."""
    tall = _TALL if any(len(label) > _LONGEST_LABEL for panel in panels for label in panel.labels) else 1.0
    heights = [tall * len(panel.policies) + 0.4 for panel in panels]
    further = sum(_ROW for panel in panels if len(panel.title) > _LONGEST_TITLE)  # a title's second line
    further += _ROW if len(panels) > 1 else 0  # the columns' headings
    further += _TICKS * (len(panels) - 1)
    figure = blank(PAGE, _AROUND + further + sum(_TITLE + tall * _ROW * len(panel.policies) for panel in panels))
    grid = figure.subplots(len(panels), 3, sharex="col", squeeze=False, height_ratios=heights)
    look = looks(dict.fromkeys(policy for panel in panels for policy in panel.policies))
    for place, (row, panel) in enumerate(zip(grid, panels, strict=True)):
        # With several panels, the labels of the shared axis are repeated above the first.
        headings = _COLUMNS if place == 0 and len(panels) > 1 else ()
        _write_title(figure, row, panel.title, headings)
        for axes, rows in zip(row, (panel.score, panel.saved, panel.length), strict=True):
            _panel(axes, panel, rows, look)
            axes.tick_params(axis="x", labelbottom=True)
        places = range(len(panel.policies))
        row[0].set_yticks(places, [in_lines(label, _LONGEST_LABEL) for label in panel.labels], linespacing=0.9)
        for axes in row[1:]:
            axes.set_yticks(places, [""] * len(panel.labels))
    for axes, label in zip(grid[-1], _COLUMNS, strict=True):
        axes.set_xlabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    _bound_scores(grid[0, 0])
    grid[0, 2].set_xlim(left=0)
    return figure


def _panel(axes: Axes, panel: Panel, rows: Rows, look: dict[str, Look]) -> None:
    """Marks with lines, the first policy on top."""
    if panel.baseline is not None and not math.isnan(rows.value[panel.baseline]):
        axes.axvline(rows.value[panel.baseline], color="black", linestyle=":", linewidth=0.8, alpha=0.6, zorder=1)
    for place, policy in enumerate(panel.policies):
        own = look[policy]
        if not math.isnan(rows.low[place]):
            axes.hlines(place, rows.low[place], rows.high[place], color=own.colour, linewidth=1.2, zorder=2)
        others = rows.others[place]
        _mark(axes, own, others, np.full(others.size, place + 0.28), size=2.0, edge=0.5, zorder=2)
        _mark(axes, own, rows.value[place], place, size=4.5, edge=0.8, zorder=3)
    axes.set_ylim(len(panel.policies) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _mark(axes: Axes, look: Look, x: ArrayLike, y: ArrayLike, *, size: float, edge: float, zorder: int) -> None:
    """A policy's markers without a line."""
    axes.plot(
        x,
        y,
        linestyle="",
        marker=look.marker,
        markersize=size,
        color=look.colour,
        markerfacecolor=look.face,
        markeredgewidth=edge,
        zorder=zorder,
    )


def _write_title(figure: MplFigure, row: Sequence[Axes], title: str, headings: Sequence[str]) -> None:
    """Write a section's title above its panels, from the figure's left edge.

    An empty title of the first panel reserves the room. `headings`: one for each column, in a line above the title, or
    none.
    """
    first = row[0]
    lines = in_lines(title, _LONGEST_TITLE)
    below = lines.count("\n") + 1
    first.set_title("\n".join(" " for _ in range(below + bool(headings))))
    place = blended_transform_factory(figure.transFigure, first.transAxes)
    _write_above(first, lines, (0.005, 1), place, 0, fontweight="bold")
    for axes, heading in zip(row if headings else (), headings, strict=True):
        _write_above(axes, heading, (0.5, 1), axes.transAxes, below, ha="center")


def _write_above(
    axes: Axes, text: str, where: tuple[float, float], coordinates: Transform, lines: int, **style: Any
) -> None:
    """Write a text above a panel, this many lines higher, without effect on the layout."""
    line = 1.2 * FontProperties(size=mpl.rcParams["axes.titlesize"]).get_size_in_points()
    written = axes.annotate(
        text,
        where,
        xycoords=coordinates,
        xytext=(0, 6 + lines * line),
        textcoords="offset points",
        annotation_clip=False,
        **style,
    )
    written.set_in_layout(False)


def _bound_scores(axes: Axes) -> None:
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, -0.02), min(high, 1.02))
