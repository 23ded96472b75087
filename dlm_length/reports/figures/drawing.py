"""Parts that all figures are drawn with: sizes, axes, legends, cells, labels of points, and each policy's look."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from textwrap import wrap
from typing import Any, Literal, NamedTuple

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from dlm_length.analysis.declarations import Declared, declared
from dlm_length.common.printable import one_line
from dlm_length.policies.base import Role
from dlm_length.reports.rendering.figure import FONTS

COLUMN = 3.25
"""Width of a column of a two-column paper, in inches."""
PAGE = 6.75
"""Width of both columns."""
TALLEST = 8.5
"""The greatest height of a figure, in inches, that leaves a page room for its caption."""
HEIGHT = 2.4
LEGEND_ROW = 0.17
"""Height of a row of the legend below the axes, in inches."""
SMALL = 7.0
"""Size in points of text next to marks."""
LIGHTNESS = "cividis"
"""A colour map of rising lightness, which can be read in grey."""

_LEGENDS = ((4, 60), (3, 60), (2, 60), (1, 60))
"""Columns of a legend and characters of an entry: the first pair that is narrow enough is taken."""
_LEGEND_WIDTH = 0.98
"""The largest width of a legend, as a share of the figure's."""


def blank(width: float = COLUMN, height: float = HEIGHT) -> MplFigure:
    """An empty figure of a size in inches, with constrained layout."""
    figure = MplFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def blank_axes(width: float = COLUMN, height: float = HEIGHT) -> tuple[MplFigure, Axes]:
    """An empty figure with one pair of axes."""
    figure = blank(width, height)
    return figure, figure.add_subplot()


def interval_bars(axes: Axes, places: ArrayLike, low: ArrayLike, high: ArrayLike, **look: Any) -> None:
    """A vertical line for each interval; none where its ends are NaN."""
    bars = [bar for bar in np.stack([places, low, high], axis=1).tolist() if not math.isnan(bar[1])]
    if bars:
        axes.vlines(*zip(*bars, strict=True), zorder=Line2D.zorder, capstyle="projecting", **look)


def score_axis(axes: Axes, metric: str) -> None:
    """Make the y axis that of a mean score, which is in [0, 1]; to be called when all else is drawn.

    `metric`: the name of the score, for readers.
    """
    low, high = axes.get_ylim()
    margin = 0.04 * (high - low)
    axes.set_ylim(max(low, -margin), min(high, 1 + margin))
    axes.set_ylabel(f"mean {shown(metric, 40)}")
    axes.grid()


def legend_below(figure: MplFigure, entries: Sequence[tuple[Any, str]]) -> None:
    """A legend below the axes, in as few rows as the width allows; the figure grows by its height.

    Texts are shown even where they begin with `_`, which matplotlib takes for a label to be hidden.
    """
    handles, texts = zip(*entries, strict=True)
    for columns, longest in _LEGENDS:
        labels = [shown(text, longest) for text in texts]
        legend = figure.legend(handles, labels, loc="outside lower center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= _LEGEND_WIDTH * figure.bbox.width:
            figure.set_figheight(figure.get_figheight() + math.ceil(len(entries) / columns) * LEGEND_ROW)
            return
        legend.remove()


def shown(text: str, longest: int | None = None) -> str:
    """`text` on one line of up to `longest` characters, with a mark for each character that the fonts do not have."""
    line = one_line(text)
    if longest is not None and len(line) > longest:
        line = f"{line[: longest - 1].rstrip()}…"
    known = _characters()
    return "".join(letter if ord(letter) in known else "\N{REPLACEMENT CHARACTER}" for letter in line)


def in_lines(text: str, longest: int, most: int = 2) -> str:
    """`text` on up to `most` lines of up to `longest` characters; shortened where that is not enough."""
    return "\n".join(wrap(shown(text), longest, max_lines=most, placeholder="…"))


@cache
def _characters() -> frozenset[int]:
    return frozenset(
        code for font in FONTS for code in font_manager.get_font(font_manager.findfont(font)).get_charmap()
    )


Line = Literal["-", "--", "-.", ":", ""] | tuple[int, tuple[float, ...]]
"""matplotlib's names of line styles, or (offset, lengths of dashes and gaps)."""


@dataclass(frozen=True)
class Look:
    """How the runs of a policy are drawn; no two policies of the package share a marker."""

    colour: str
    marker: str
    line: Line
    filled: bool = True
    """False for a control, whose marks are hollow."""

    @property
    def face(self) -> str:
        """Colour of the inside of a mark."""
        return self.colour if self.filled else "white"

    def shades(self, count: int) -> list[str]:
        """Colours from a light tint to the policy's own, for `count` series of the policy."""
        own = np.array(to_rgb(self.colour))
        shares = np.linspace(0.45, 1.0, count) if count > 1 else [1.0]
        return ["#" + "".join(f"{round(255 * part):02x}" for part in 1 - share * (1 - own)) for share in shares]


_PALETTES: Mapping[Role, tuple[Look, ...]] = {
    # In an SVG, black becomes the colour of the page's text.
    "baseline": (Look("#000000", "s", ":"),),
    "method": (
        Look("#00698D", "o", "-"),
        Look("#C73903", "^", "--"),
        Look("#18A851", "D", "-."),
        Look("#E453C8", "v", (0, (5, 1, 1, 1, 1, 1))),
        Look("#31BAFF", "P", (0, (8, 2))),
        Look("#D39D13", "X", (0, (3, 1))),
    ),
    "control": (
        Look("#A0A0A0", "<", (0, (1, 2)), filled=False),
        Look("#606060", "h", (0, (6, 1, 1, 1)), filled=False),
        Look("#A0A0A0", "*", (0, (2, 1)), filled=False),
    ),
}
"""By a policy's role and palette place. Near Okabe and Ito's colours, moved apart for colour-blind readers."""
_OTHER_MARKERS = ">pd8H1234"


def looks(policies: Iterable[str]) -> dict[str, Look]:
    """A look for each policy: the same in every figure for a policy that declares a place in the palette.

    Another policy gets a colour of its role that is free, or else one that is taken, and a marker of its own.
    """
    distinct = dict.fromkeys(policies)
    found = {name: look for name in distinct if (look := _placed(declared(name))) is not None}
    for number, name in enumerate(sorted(distinct.keys() - found.keys())):
        palette = _PALETTES[declared(name).role]
        taken = {look.colour for look in found.values()}
        colour = next((look for look in palette if look.colour not in taken), palette[number % len(palette)])
        found[name] = replace(colour, marker=_OTHER_MARKERS[number % len(_OTHER_MARKERS)])
    return {name: found[name] for name in distinct}


def _placed(policy: Declared) -> Look | None:
    """The look at the palette place that a policy declares; None without one.

    A policy that changes another one has its colour, and is hollow where the other is filled.
    """
    palette = _PALETTES[policy.role]
    if policy.palette_place is None or policy.palette_place >= len(palette):
        return None
    own = palette[policy.palette_place]
    changed = None if policy.variant_of is None else _placed(declared(policy.variant_of))
    return own if changed is None else replace(own, colour=changed.colour, filled=not changed.filled)


def legible_on(colour: Sequence[float]) -> str:
    """White or nearly black, whichever has more contrast: both have the same at a luma (Rec. 709) of 0.46.

    Not black itself, which in an SVG becomes the colour of the page's text.
    """
    red, green, blue, *_ = colour
    return "#111111" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.46 else "#ffffff"


DISTANCES = (5.0, 11.0)
"""Distances from a point to its label, in points (1/72 inch)."""
_DIRECTIONS = (
    *((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (0, 1), (0, -1), (-1, -1)),
    *((0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1)),
)
"""Directions from a point to its label, the preferred ones first."""
_FARTHER = 0.5
"""Overlap, in square points, that weighs as much as a point of distance."""
_ILLEGIBLE = 0.03
"""The largest share of a label that can be covered or cut off: descenders and the space around letters."""
_TOUCHED = 0.2
"""The largest overlap of a label with all marks, in square points."""
_STEP = 2.0
"""Distance in points between the boxes that stand for a line."""


def write_cells(
    picture: MplFigure,
    axes: Axes,
    table: NDArray[np.float64],
    *,
    colours: str,
    ends: tuple[float, float],
    form: str,
    label: str,
) -> None:
    """Draw a table of (rows, columns) as cells, the first row at the bottom, with a colour bar; NaN is hatched.

    `colours`: name of a colour map, which spans `ends`. `form`: format of a number in a cell. `label`: of the colour
    bar.
    """
    cells = axes.pcolormesh(
        np.ma.masked_invalid(table), cmap=colours, vmin=ends[0], vmax=ends[1], edgecolors="face", linewidth=0.1
    )
    colours_of = cells.to_rgba(table)
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            hatched = Rectangle(
                (column, row), 1, 1, facecolor="none", edgecolor="#888888", hatch="/////", linewidth=0.5
            )
            axes.add_patch(hatched)
        else:
            axes.text(
                *(column + 0.5, row + 0.5, _written(value, form)),
                color=legible_on(colours_of[row, column].tolist()),
                fontsize=SMALL,
                ha="center",
                va="center",
            )
    axes.set_frame_on(False)
    axes.tick_params(length=0)
    bar = picture.colorbar(cells, ax=axes, label=label, aspect=15)
    bar.outline.set_visible(False)


def _written(value: float, form: str) -> str:
    text = format(value, form)
    return text if float(text) else text.lstrip("+-")  # no sign before a zero


class Box(NamedTuple):
    """A rectangle, in points."""

    left: float
    bottom: float
    right: float
    top: float


def placed(
    points: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    marks: Sequence[Box],
    bounds: Box,
) -> list[Box | None]:
    """A box for the label of each point: near it, off every mark, and hardly covering other labels or the bounds.

    None where there is no room: a label that a line strikes through is worse than none. `sizes`: width and height of
    the labels. The first points choose first.
    """
    taken: list[Box] = []
    boxes: list[Box | None] = []
    for point, (width, height) in zip(points, sizes, strict=True):
        distances, options = _options(point, (width, height))
        covered = overlap(options, taken).sum(axis=1) + width * height - overlap(options, [bounds])[:, 0]
        struck = overlap(options, marks).sum(axis=1) > _TOUCHED
        cost = np.where(struck | (covered > _ILLEGIBLE * width * height), np.inf, covered + _FARTHER * distances)
        best = int(np.argmin(cost))
        boxes.append(Box(*options[best].tolist()) if np.isfinite(cost[best]) else None)
        taken += [box for box in boxes[-1:] if box is not None]
    return boxes


def line_boxes(points: Sequence[tuple[float, float]], width: float = 1.0) -> list[Box]:
    """Boxes along the straight lines from each of `points` to the next, which stand for the lines as marks."""
    boxes = []
    for (left, low), (right, high) in pairwise(points):
        steps = max(1, math.ceil(math.dist((left, low), (right, high)) / _STEP))
        for share in np.linspace(0, 1, steps + 1).tolist():
            across, up = left + share * (right - left), low + share * (high - low)
            boxes.append(Box(across - width / 2, up - width / 2, across + width / 2, up + width / 2))
    return boxes


def overlap(some: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Common area (n, m) of each of `some` (n, 4) and each of `others` (m, 4)."""
    one, other = np.reshape(some, (-1, 1, 4)), np.reshape(others, (1, -1, 4))
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    return np.asarray(np.maximum(sides, 0.0).prod(axis=-1))


def _options(point: tuple[float, float], size: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The candidate places of a label: distances (n,) and boxes (n, 4)."""
    distances, boxes = [], []
    for distance in DISTANCES:
        for across, up in _DIRECTIONS:
            reach = distance / math.hypot(across, up)
            left = point[0] + across * reach + (across - 1) / 2 * size[0]
            bottom = point[1] + up * reach + (up - 1) / 2 * size[1]
            distances.append(distance)
            boxes.append((left, bottom, left + size[0], bottom + size[1]))
    return np.array(distances), np.array(boxes)
