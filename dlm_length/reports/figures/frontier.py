"""Quality against cost: which runs no other beats in both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import compress
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dlm_length.analysis.parameters import in_order
from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.marks import DISTANCES, Box, placed
from dlm_length.reports.figures.measures import (
    Scored,
    failed_note,
    interval_note,
    mean_flops,
    missing_note,
    scored,
    sources,
)
from dlm_length.reports.figures.style import (
    COLUMN,
    SMALL,
    Look,
    blank_axes,
    interval_bars,
    legend_below,
    looks,
    score_axis,
    shown,
)
from dlm_length.reports.notes import uncharged
from dlm_length.reports.rendering.figure import Figure, file_stem, settle
from dlm_length.stats import Estimate

_UNITS = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("", 1.0))
_MARKER, _DISC = 5.5, 9.0
"""Widths in points: of a marker, and of the disc behind an optimal one."""
_HEIGHT = 2.9
"""Inches, without the legend."""
_LONGEST_LABEL = 18
_LEAST_MARGIN = 1.1
"""Factor beside the points, also where all costs are equal."""
_FRONT: Mapping[str, Any] = {"color": "0.78", "linewidth": 3.0, "marker": "o", "markersize": _DISC}
"""A broad line behind the marks, with a disc behind each, also where there is only one."""


@dataclass(frozen=True)
class Point:
    """A run's place."""

    policy: str
    label: str
    cost: float
    """Mean reference FLOPs a sample."""
    score: Estimate
    optimal: bool
    """Whether no other run is at least as good and as cheap, and better or cheaper."""


@dataclass(frozen=True)
class Frontier:
    """The points of a section, and which of them are joined."""

    points: tuple[Point, ...]
    front: tuple[Point, ...]
    """The optimal ones, by cost."""
    series: Mapping[str, tuple[Point, ...]]
    """Those of each policy of which one parameter varies, in its order."""
    metric: str


def frontier(section: Section) -> list[Figure]:
    """Score against FLOPs; nothing for fewer than two runs with both."""
    drawn = [each for each in scored(section, section.runs) if mean_flops(each.run) > 0]
    if len(drawn) < 2:
        return []
    found = compute(section, drawn)
    controls = uncharged(section.runs)
    caption = [
        f"Mean {section.metric} against mean reference FLOPs a sample (logarithmic).",
        interval_note(drawn, "Bars"),
        "Thick line: the Pareto-optimal runs"
        + (f" among those that pay for their lengths (not {' or '.join(controls)})." if controls else "."),
        *(
            ["Beside points, where there is room: what tells the runs of a policy apart."]
            if len(found.points) > len({point.policy for point in found.points})
            else []
        ),
        *(["Thin lines: runs of one policy in the order of the parameter that varies."] if found.series else []),
        *missing_note(section, section.runs, drawn),
        *failed_note([each.run for each in drawn]),
    ]
    return [
        Figure(
            file_stem("frontier", section.title),
            f"Score against cost: {section.title}",
            " ".join(caption),
            sources(each.run for each in drawn),
            partial(plot, found),
        )
    ]


def compute(section: Section, drawn: Sequence[Scored]) -> Frontier:
    """Where the runs stand to each other."""
    places = [(mean_flops(each.run), each.score.value) for each in drawn]
    charged = [each.run.declared.lengths_charged for each in drawn]
    rivals = list(compress(places, charged))
    points = {
        each.run.path: Point(
            each.run.metrics.policy,
            section.label_of[each.run.path],
            place[0],
            each.score,
            may_win and not any(_beats(rival, place) for rival in rivals),
        )
        for each, place, may_win in zip(drawn, places, charged, strict=True)
    }
    series = {
        policy: tuple(points[run.path] for run in order)
        for policy in dict.fromkeys(point.policy for point in points.values())
        if (order := in_order([run for run in section.of(policy) if run.path in points]))
    }
    front = sorted((point for point in points.values() if point.optimal), key=lambda point: point.cost)
    return Frontier(tuple(points.values()), tuple(front), series, section.metric)


def _beats(rival: tuple[float, float], other: tuple[float, float]) -> bool:
    """Of two (cost, score): whether the first is nowhere worse and somewhere better."""
    return rival[0] <= other[0] and rival[1] >= other[1] and rival != other


def plot(data: Frontier) -> MplFigure:
    """Markers by policy, labelled with what tells the policy's runs apart."""
    common, own = split_labels(data.points)
    look = looks(common)
    picture, axes = blank_axes(COLUMN, _HEIGHT)
    prefix, unit = _unit([point.cost for point in data.points])
    axes.plot(
        [point.cost / unit for point in data.front],
        [point.score.value for point in data.front],
        **_FRONT,
        zorder=1,
    )
    for policy, points in data.series.items():
        axes.plot(
            [point.cost / unit for point in points],
            [point.score.value for point in points],
            color=look[policy].colour,
            linestyle=look[policy].line,
            linewidth=0.6,
            zorder=2,
        )
    for policy, own_look in look.items():
        alike = [point for point in data.points if point.policy == policy]
        costs, scores = [point.cost / unit for point in alike], [point.score for point in alike]
        low, high = [score.low for score in scores], [score.high for score in scores]
        interval_bars(axes, costs, low, high, color=own_look.colour, linewidth=0.7, alpha=0.6)
        axes.plot(
            *(costs, [score.value for score in scores]),
            color=own_look.colour,
            linestyle="",
            marker=own_look.marker,
            markeredgecolor="white",  # parts those that overlap
            markeredgewidth=0.5,
            markersize=_MARKER,
            zorder=3,
        )
    _cost_axis(axes, [point.cost / unit for point in data.points], prefix)
    score_axis(axes, data.metric)
    entries = [
        (
            Line2D(
                *([], []),
                color=look[policy].colour,
                marker=look[policy].marker,
                linestyle=look[policy].line if policy in data.series else "",
                linewidth=0.6,
            ),
            name,
        )
        for policy, name in common.items()
    ]
    entries.append((Line2D([], [], **_FRONT), "Pareto-optimal"))
    legend_below(picture, entries)
    # Those of the front choose their room first.
    order = sorted(range(len(own)), key=lambda place: not data.points[place].optimal)
    labels = {place: shown(own[place], _LONGEST_LABEL) for place in order if own[place]}
    _write_labels(picture, axes, data.points, unit, look, labels)
    return picture


def split_labels(points: Sequence[Point]) -> tuple[dict[str, str], list[str]]:
    """What the labels of each policy's points have in common, for the legend, and the rest of each, for the points."""
    common, own = {}, [""] * len(points)
    for policy in dict.fromkeys(point.policy for point in points):
        places = [place for place, point in enumerate(points) if point.policy == policy]
        words = [points[place].label.split() for place in places]
        if len({len(each) for each in words}) > 1:  # nothing can be said to stand at the same place
            common[policy] = policy
            for place in places:
                own[place] = points[place].label.removeprefix(policy).strip()
            continue
        same = [len(set(column)) == 1 for column in zip(*words, strict=True)]
        common[policy] = " ".join(word if agreed else "…" for word, agreed in zip(words[0], same, strict=True))
        for place, each in zip(places, words, strict=True):
            own[place] = " ".join(word for word, agreed in zip(each, same, strict=True) if not agreed)
    return common, own


def _unit(costs: Sequence[float]) -> tuple[str, float]:
    """The prefix and size of the unit that leaves the least cost at 1 or more."""
    return next(((prefix, size) for prefix, size in _UNITS if min(costs) >= size), _UNITS[-1])


def _cost_axis(axes: Axes, costs: Sequence[float], prefix: str) -> None:
    axes.set_xscale("log")
    margin = max((max(costs) / min(costs)) ** 0.08, _LEAST_MARGIN)
    axes.set_xlim(min(costs) / margin, max(costs) * margin)
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))  # where too few fall into the range: round numbers
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(f"mean {prefix}FLOPs a sample")


def _write_labels(
    picture: MplFigure,
    axes: Axes,
    points: Sequence[Point],
    unit: float,
    look: Mapping[str, Look],
    labels: Mapping[int, str],
) -> None:
    """Write each point's label where it is clear of the others. `labels`: by place among the points."""
    written = {
        place: axes.annotate(
            text,
            (points[place].cost / unit, points[place].score.value),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=SMALL,
            color=look[points[place].policy].colour,
            zorder=4,
        )
        for place, text in labels.items()
    }
    for annotation in written.values():
        annotation.set_in_layout(False)  # it stands within the axes, whose size it has no part in
    settle(picture)  # from here on, the axes are where they will be
    scale = 72 / picture.dpi

    def at(cost: float, score: float) -> tuple[float, float]:
        across, up = axes.transData.transform((cost / unit, score)) * scale
        return float(across), float(up)

    marks = []
    for point in points:
        across, up = at(point.cost, point.score.value)
        half = (_DISC if point.optimal else _MARKER) / 2
        marks.append(Box(across - half, up - half, across + half, up + half))
        if not math.isnan(point.score.low):
            low, high = at(point.cost, point.score.low), at(point.cost, point.score.high)
            marks.append(Box(across - 0.5, low[1], across + 0.5, high[1]))
    anchors = [at(points[place].cost, points[place].score.value) for place in written]
    extents = [annotation.get_window_extent() for annotation in written.values()]
    sizes = [(float(extent.width) * scale, float(extent.height) * scale) for extent in extents]
    bounds = Box(*(float(edge) * scale for edge in axes.get_window_extent().extents))
    boxes = placed(anchors, sizes, marks, bounds)
    for annotation, anchor, box in zip(written.values(), anchors, boxes, strict=True):
        if box is None:
            annotation.remove()
        else:
            annotation.xyann = (box.left - anchor[0], box.bottom - anchor[1])
            _lead(axes, annotation, anchor, box)


def _lead(axes: Axes, annotation: Annotation, anchor: tuple[float, float], box: Box) -> None:
    """A thin line from a point to a label that stands apart from it."""
    nearest = (
        min(max(anchor[0], box.left), box.right) - anchor[0],
        min(max(anchor[1], box.bottom), box.top) - anchor[1],
    )
    if math.hypot(*nearest) <= DISTANCES[0] + 1:
        return
    arrow = {"arrowstyle": "-", "linewidth": 0.4, "color": "0.4", "shrinkA": 0, "shrinkB": 2}
    line = axes.annotate("", annotation.xy, xytext=nearest, textcoords="offset points", arrowprops=arrow)
    line.set_in_layout(False)
