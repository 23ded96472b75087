"""Numbers in coloured cells."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from dlm_length.reports.figures.style import SMALL, legible_on


def write_cells(
    picture: Picture,
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
        np.ma.masked_invalid(table), cmap=colours, vmin=ends[0], vmax=ends[1], edgecolors="white", linewidth=0.5
    )
    colours_of = cells.to_rgba(table)
    for (row, column), value in np.ndenumerate(table):
        if np.isnan(value):
            hatched = Rectangle((column, row), 1, 1, facecolor="white", edgecolor="0.6", hatch="/////", linewidth=0.5)
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
