"""Score against cost, in FLOPs and in wall-clock, and the Pareto-optimal runs."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from string import ascii_lowercase
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator
from numpy.typing import NDArray

from dlm_length.analysis.pace import devices_of
from dlm_length.analysis.runs import Run
from dlm_length.reports.figures.drawing import (
    COLUMN,
    DISTANCES,
    PAGE,
    SMALL,
    Box,
    Look,
    blank,
    interval_bars,
    legend_below,
    line_boxes,
    looks,
    placed,
    score_axis,
    shown,
)
from dlm_length.reports.figures.measures import (
    Scored,
    failed_note,
    interval_arrays,
    interval_note,
    mean_flops,
    missing_note,
    scored,
    seconds_per_sample,
    section_figure,
    series_places,
)
from dlm_length.reports.names import NamedSection, family_names
from dlm_length.reports.notes import uncharged
from dlm_length.reports.rendering.figure import Figure, settle

_FLOPS = (("EFLOPs", 1e18), ("PFLOPs", 1e15), ("TFLOPs", 1e12), ("GFLOPs", 1e9), ("MFLOPs", 1e6), ("FLOPs", 1.0))
_SECONDS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))
_MARKER, _DISC = 5.0, 9.0
"""Widths in points: of a marker, and of the disc behind an optimal one."""
_HEIGHT = 2.6
"""Height in inches, without the legend."""
_LONGEST_LABEL = 9
"""Characters of a label at its point; longer ones are in the legend, and a letter is at the point."""
_SAME_PLACE = 3.0
"""Runs of a series within this distance, in points, share a label."""
_CLOSE = 1 + 1e-9
"""A factor larger than any rounding error."""
_LEAST_MARGIN = 1.1
"""The least factor between the points and the ends of the axis, for costs that are equal or nearly so."""
_FRONT: Mapping[str, Any] = {"color": "black", "alpha": 0.2, "linewidth": 3.0, "marker": "o", "markersize": _DISC}
"""A broad line behind the marks, with a disc behind each, also where there is only one."""


@dataclass(frozen=True, eq=False)
class Cost:
    """The runs' costs per sample, on one axis."""

    kind: str
    """FLOPs or wall-clock."""
    unit: str
    cost: NDArray[np.float64]
    """(runs,), means in `unit`; NaN where it was not measured."""
    optimal: NDArray[np.bool_]
    """(runs,), whether the run is Pareto-optimal: no other is as good and as cheap, and better or cheaper."""


@dataclass(frozen=True, eq=False)
class Frontier:
    """The scored runs of a section."""

    policies: tuple[str, ...]
    """(runs,)."""
    titles: Mapping[str, str]
    """By policy, what the names of its runs have in common, for readers."""
    labels: tuple[str, ...]
    """(runs,), what distinguishes each run from the others of its policy; empty for a policy's only run."""
    score: NDArray[np.float64]
    """(runs,), means."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """(runs,), 95% interval; NaN where there is none."""
    series: tuple[tuple[int, ...], ...]
    """See `series_places`."""
    costs: tuple[Cost, ...]
    metric: str


def frontier(section: NamedSection) -> list[Figure]:
    """Score against cost; no figure for fewer than two runs with both."""
    data = compute(section)
    if data is None:
        return []
    drawn = _drawn(section)
    controls = [section.policy_name(each) for each in uncharged(section.runs)]
    axes = "reference FLOPs and, where measured, wall-clock" if len(data.costs) > 1 else "reference FLOPs"
    untimed = 0 if len(data.costs) < 2 else int(np.isnan(data.costs[1].cost).sum())
    caption = [
        f"Mean {data.metric} against mean {axes} per sample (logarithmic).",
        interval_note(drawn, "Bars"),
        "Thick line: the Pareto-optimal runs"
        + (f" among those that pay for their lengths (not {' or '.join(controls)})." if controls else "."),
        *(
            ["Next to points, where there is room: what distinguishes the runs of a policy."]
            if len(data.policies) > len(set(data.policies))
            else []
        ),
        *(["Thin lines: runs of one policy in the order of the parameter that varies."] if data.series else []),
        *([f"{untimed} of {len(drawn)} runs have no wall-clock of their own."] if untimed else []),
        *missing_note(section, section.runs, drawn),
        *failed_note([each.run for each in drawn]),
    ]
    return [
        section_figure(
            section,
            "frontier",
            title="Score against cost",
            caption=caption,
            runs=[each.run for each in drawn],
            plot=partial(plot, data),
        )
    ]


def _drawn(section: NamedSection) -> list[Scored]:
    return [each for each in scored(section, section.runs) if mean_flops(each.run) > 0]


def compute(section: NamedSection) -> Frontier | None:
    """Scores and costs of the runs; None for fewer than two runs with both."""
    drawn = _drawn(section)
    if len(drawn) < 2:
        return None
    runs = [each.run for each in drawn]
    low, score, high = interval_arrays(each.score for each in drawn)
    seconds = np.array([seconds_per_sample(run) for run in runs])
    costs = [_cost("FLOPs", np.array([mean_flops(run) for run in runs]), _FLOPS, score, runs)]
    if np.sum(seconds > 0) > 1 and len(devices_of(runs)) == 1:  # times of 1 and of 8 devices are not compared
        costs.append(_cost("wall-clock", np.where(seconds > 0, seconds, np.nan), _SECONDS, score, runs))
    titles, labels = family_names(section, runs)
    return Frontier(
        tuple(run.metrics.policy for run in runs),
        titles,
        labels,
        score,
        low,
        high,
        series_places(section, runs),
        tuple(costs),
        section.metric,
    )


def _cost(
    kind: str,
    cost: NDArray[np.float64],
    units: Sequence[tuple[str, float]],
    score: NDArray[np.float64],
    runs: Sequence[Run],
) -> Cost:
    """The costs in the largest unit in which the highest is 1 or more, and which runs are optimal."""
    most = np.nanmax(cost)
    unit, size = next((each for each in units if most >= each[1]), units[-1])
    charged = np.array([run.declared.lengths_charged for run in runs]) & ~np.isnan(cost)
    beaten = [
        bool(np.any(charged & (cost <= own) & (score >= quality) & ((cost < own) | (score > quality))))
        for own, quality in zip(cost, score, strict=True)
    ]
    return Cost(kind, unit, cost / size, charged & ~np.array(beaten))


def plot(data: Frontier) -> MplFigure:
    """A panel for each kind of cost: a mark per run, labelled with what distinguishes it within its policy."""
    look = looks(data.titles)
    figure = blank(COLUMN if len(data.costs) == 1 else PAGE, _HEIGHT)
    panels = figure.subplots(1, len(data.costs), sharey=True, squeeze=False)[0]
    for axes, cost in zip(panels, data.costs, strict=True):
        _panel(axes, data, cost, look)
        axes.tick_params(labelleft=True)
    score_axis(panels[0], data.metric)
    for axes in panels[1:]:
        axes.grid()
    in_series = {data.policies[order[0]] for order in data.series}
    entries = [
        (Line2D([], [], **_mark(look[policy]), linestyle=look[policy].line if policy in in_series else ""), name)
        for policy, name in data.titles.items()
    ]
    entries.append((Line2D([], [], **_FRONT), "Pareto-optimal"))
    keys = label_keys(data.labels)
    nothing = Line2D([], [], linestyle="")
    legend_below(figure, [*entries, *((nothing, f"{key}: {label}") for label, key in keys.items() if key != label)])
    for axes, cost in zip(panels, data.costs, strict=True):
        _write_labels(figure, axes, data, cost, [keys.get(label, "") for label in data.labels])
    return figure


def _mark(look: Look) -> dict[str, Any]:
    return {
        "color": look.colour,
        "marker": look.marker,
        "markerfacecolor": look.face,
        "markeredgecolor": "white" if look.filled else look.colour,  # white separates marks that overlap
        "markeredgewidth": 0.4 if look.filled else 1.0,
        "markersize": _MARKER,
        "linewidth": 0.6,
    }


def _panel(axes: Axes, data: Frontier, cost: Cost, look: Mapping[str, Look]) -> None:
    front = list(_front(cost))
    axes.plot(cost.cost[front], data.score[front], **_FRONT, zorder=1)
    for order in data.series:
        policy = look[data.policies[order[0]]]
        places = list(order)
        axes.plot(
            cost.cost[places], data.score[places], color=policy.colour, linestyle=policy.line, linewidth=0.6, zorder=2
        )
    for name, policy in look.items():
        places = [place for place, each in enumerate(data.policies) if each == name]
        interval_bars(
            axes, cost.cost[places], data.low[places], data.high[places], color=policy.colour, linewidth=0.7, alpha=0.6
        )
        axes.plot(cost.cost[places], data.score[places], **_mark(policy) | {"linestyle": ""}, zorder=3)
    _cost_axis(axes, cost)


def _front(cost: Cost) -> tuple[int, ...]:
    """The places of the optimal runs, the cheapest first."""
    optimal = np.flatnonzero(cost.optimal)
    return tuple(optimal[np.argsort(cost.cost[optimal], kind="stable")].tolist())


def _cost_axis(axes: Axes, cost: Cost) -> None:
    known = cost.cost[~np.isnan(cost.cost)]
    low, high = float(known.min()), float(known.max())
    margin = max((high / low) ** 0.08, _LEAST_MARGIN)
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    axes.xaxis.set_major_locator(FixedLocator(round_ticks(low / margin, high * margin)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"mean {cost.kind} per sample ({cost.unit})" if cost.kind != cost.unit else "mean FLOPs per sample")


def round_ticks(low: float, high: float) -> list[float]:
    """At most seven round numbers within the range of a logarithmic axis."""
    if high / low < 4:
        candidates = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
        return [float(tick) for tick in candidates if low / _CLOSE <= tick <= high * _CLOSE]
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        ticks = [digit * 10.0**decade for decade in decades for digit in digits if low <= digit * 10.0**decade <= high]
        if len(ticks) <= 7:
            break
    return ticks[:: -(-len(ticks) // 7)]


def label_keys(labels: Sequence[str]) -> dict[str, str]:
    """The text at the points of each label: the label or, where it is too long, a letter."""
    letters = (f"{before}{letter}" for before in ("", *ascii_lowercase) for letter in ascii_lowercase)
    distinct = [label for label in dict.fromkeys(labels) if label]
    return {label: label if len(label) <= _LONGEST_LABEL else next(letters) for label in distinct}


def _write_labels(figure: MplFigure, axes: Axes, data: Frontier, cost: Cost, own: Sequence[str]) -> None:
    """Write each point's label where it covers no other; those of optimal runs are placed first."""
    settle(figure)  # fixes the place of the axes
    scale = 72 / figure.dpi

    def at(place: int, score: float) -> tuple[float, float]:
        across, up = axes.transData.transform((cost.cost[place], score)) * scale
        return float(across), float(up)

    known = [place for place in range(len(own)) if not math.isnan(cost.cost[place])]
    anchor_of = {place: at(place, data.score[place]) for place in known}
    labels = dict(_labels(data, own, anchor_of))
    order = sorted(labels, key=lambda place: not cost.optimal[place])
    written = [
        axes.annotate(
            shown(labels[place]),
            (cost.cost[place], data.score[place]),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=SMALL,
            va="bottom",
            zorder=4,
        )
        for place in order
    ]
    for annotation in written:
        annotation.set_in_layout(False)  # it is within the axes, and must not change their size
    marks = []
    for place, (across, up) in anchor_of.items():
        half = (_DISC if cost.optimal[place] else _MARKER) / 2
        marks.append(Box(across - half, up - half, across + half, up + half))
        if not math.isnan(data.low[place]):
            marks.append(Box(across - 0.5, at(place, data.low[place])[1], across + 0.5, at(place, data.high[place])[1]))
    for line in [*data.series, _front(cost)]:
        marks += line_boxes([anchor_of[place] for place in line if place in anchor_of])
    extents = [annotation.get_window_extent() for annotation in written]
    sizes = [(float(extent.width) * scale, float(extent.height) * scale) for extent in extents]
    bounds = Box(*(float(edge) * scale for edge in axes.get_window_extent().extents))
    anchors = [anchor_of[place] for place in order]
    for annotation, anchor, box in zip(written, anchors, placed(anchors, sizes, marks, bounds), strict=True):
        if box is None:
            annotation.remove()
        else:
            annotation.xyann = (box.left - anchor[0], box.bottom - anchor[1])
            _lead(axes, annotation, anchor, box)


def _labels(
    data: Frontier, own: Sequence[str], anchor_of: Mapping[int, tuple[float, float]]
) -> Iterator[tuple[int, str]]:
    """The places of points with their labels; runs of a series that are close together share a label."""
    in_series = {place for order in data.series for place in order}
    for place, label in enumerate(own):
        if label and place in anchor_of and place not in in_series:
            yield place, label
    for order in data.series:
        for group in _at_one_place([each for each in order if each in anchor_of and own[each]], anchor_of):
            ends = dict.fromkeys((own[group[0]], own[group[-1]]))
            yield group[0], (" – " if len(group) > 2 else ", ").join(ends)


def _at_one_place(order: Sequence[int], anchor_of: Mapping[int, tuple[float, float]]) -> Iterator[list[int]]:
    """Consecutive points of a series, in groups that are within `_SAME_PLACE` of their first."""
    group: list[int] = []
    for place in order:
        if group and math.dist(anchor_of[group[0]], anchor_of[place]) > _SAME_PLACE:
            yield group
            group = []
        group.append(place)
    if group:
        yield group


def _lead(axes: Axes, annotation: Annotation, anchor: tuple[float, float], box: Box) -> None:
    """Draw a thin line from a point to a label that is not next to it."""
    nearest = (
        min(max(anchor[0], box.left), box.right) - anchor[0],
        min(max(anchor[1], box.bottom), box.top) - anchor[1],
    )
    if math.hypot(*nearest) <= DISTANCES[0] + 1:
        return
    arrow = {"arrowstyle": "-", "linewidth": 0.4, "color": "black", "alpha": 0.6, "shrinkA": 0, "shrinkB": 2}
    line = axes.annotate("", annotation.xy, xytext=nearest, textcoords="offset points", arrowprops=arrow)
    line.set_in_layout(False)
