"""Marks that several figures draw: numbers in coloured cells, and labels of points that keep clear of each other."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.patches import Rectangle
from numpy.typing import ArrayLike, NDArray

from dlm_length.reports.figures.drawing import SMALL, legible_on

DISTANCES = (5.0, 11.0)
"""From a point to its label, in points (1/72 inch)."""

_DIRECTIONS = (
    *((1, 0), (1, 1), (1, -1), (-1, 0), (-1, 1), (0, 1), (0, -1), (-1, -1)),
    *((0.5, 1), (-0.5, 1), (0.5, -1), (-0.5, -1)),
)
"""From a point to its label, the preferred ones first."""
_FARTHER = 0.5
"""Square points of overlap that are preferred to a point of distance."""
_ILLEGIBLE = 0.03
"""Share of a label from which it may not cover others or be cut off: descenders and the space about letters."""
_TOUCHED = 0.2
"""Square points of a mark from which it touches a label."""
_STEP = 2.0
"""Points between the boxes that stand for a line."""


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
    """Cells of (rows, columns), the first row at the bottom, with a colour bar; hatched where there is NaN.

    `colours`: name of a colour map, from the lower to the upper of `ends`. `form`: of a number, for `format`. `label`:
    of the colour bar.
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
    """A rectangle."""

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
    """A box for the label of each point: near it, off every mark, and as clear as can be of others and the bounds.

    None where there is no room: a label that a line strikes through says less than none. `sizes`: width and height of
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
    """Boxes along the straight lines from each of `points` to the next, which stand for the line among marks."""
    boxes = []
    for (left, low), (right, high) in pairwise(points):
        steps = max(1, math.ceil(math.dist((left, low), (right, high)) / _STEP))
        for share in np.linspace(0, 1, steps + 1).tolist():
            across, up = left + share * (right - left), low + share * (high - low)
            boxes.append(Box(across - width / 2, up - width / 2, across + width / 2, up + width / 2))
    return boxes


def overlap(some: ArrayLike, others: ArrayLike) -> NDArray[np.float64]:
    """Area that each of `some` (n, 4) and each of `others` (m, 4) both cover: (n, m)."""
    one, other = np.reshape(some, (-1, 1, 4)), np.reshape(others, (1, -1, 4))
    sides = np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2])
    return np.asarray(np.maximum(sides, 0.0).prod(axis=-1))


def _options(point: tuple[float, float], size: tuple[float, float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances (n,) and boxes at them (n, 4)."""
    distances, boxes = [], []
    for distance in DISTANCES:
        for across, up in _DIRECTIONS:
            reach = distance / math.hypot(across, up)
            left = point[0] + across * reach + (across - 1) / 2 * size[0]
            bottom = point[1] + up * reach + (up - 1) / 2 * size[1]
            distances.append(distance)
            boxes.append((left, bottom, left + size[0], bottom + size[1]))
    return np.array(distances), np.array(boxes)
