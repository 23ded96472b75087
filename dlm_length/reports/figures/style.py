"""What all figures share: sizes, axes, legends, and a look for each policy that tells it apart without colour."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from dlm_length.analysis.declarations import Declared, declared
from dlm_length.policies.base import Role
from dlm_length.reports.rendering.figure import FONT

COLUMN = 3.4
"""Width of a paper's column, in inches."""
PAGE = 7.0
"""Width of both columns."""
HEIGHT = 2.6
LEGEND_ROW = 0.15
"""Height of a row of the legend below a picture."""
SMALL = 6.5
"""Points, of what stands beside marks."""
LIGHTNESS = "cividis"
"""Colour map whose lightness only rises, so that it reads in grey."""

_SHORT_LEGENDS = ((3, 50), (2, 50), (1, 50))
_LEGENDS = ((3, 50), (2, 50), (2, 29), (1, 50))
"""Columns of a legend and characters of an entry, in the order in which they are tried until one is narrow enough."""
_LEGEND_WIDTH = 0.96
"""Of the picture, at most: text is a little wider in some formats."""
_FEW_ENTRIES = 4
"""Rather below each other than cut short."""


def blank(width: float = COLUMN, height: float = HEIGHT) -> MplFigure:
    """An empty picture of a size in inches, whose parts will make room for each other."""
    picture = MplFigure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(picture)
    return picture


def blank_axes(width: float = COLUMN, height: float = HEIGHT) -> tuple[MplFigure, Axes]:
    """An empty picture with one pair of axes."""
    picture = blank(width, height)
    return picture, picture.add_subplot()


def interval_bars(axes: Axes, places: ArrayLike, low: ArrayLike, high: ArrayLike, **look: Any) -> None:
    """An upright line over each interval; none where its ends are NaN."""
    bars = [bar for bar in np.stack([places, low, high], axis=1).tolist() if not math.isnan(bar[1])]
    if bars:
        axes.vlines(*zip(*bars, strict=True), zorder=Line2D.zorder, capstyle="projecting", **look)


def score_axis(axes: Axes, metric: str) -> None:
    """Make the y axis that of a mean score, which is in [0, 1]. Called when all is drawn."""
    low, high = axes.get_ylim()
    margin = 0.04 * (high - low)
    axes.set_ylim(max(low, -margin), min(high, 1 + margin))
    axes.set_ylabel(f"mean {shown(metric)}")
    axes.grid()


def legend_below(picture: MplFigure, entries: Sequence[tuple[Line2D, str]]) -> None:
    """A legend under the axes, in as few rows as there is width for; the picture grows by its height.

    Texts are shown as they are, also where they begin like a name that is to be hidden.
    """
    handles, texts = zip(*entries, strict=True)
    for columns, longest in _LEGENDS if len(entries) > _FEW_ENTRIES else _SHORT_LEGENDS:
        labels = [shown(text, longest) for text in texts]
        legend = picture.legend(handles, labels, loc="outside lower center", ncols=columns)
        if columns == 1 or legend.get_window_extent().width <= _LEGEND_WIDTH * picture.bbox.width:
            picture.set_figheight(picture.get_figheight() + math.ceil(len(entries) / columns) * LEGEND_ROW)
            return
        legend.remove()


def shown(text: str, longest: int | None = None) -> str:
    """`text` on one line, cut after `longest` characters, with a mark for what the font has no picture of."""
    line = " ".join(text.split())
    if longest is not None and len(line) > longest:
        line = f"{line[: longest - 1].rstrip()}…"
    known = _characters()
    return "".join(letter if ord(letter) in known else "\N{REPLACEMENT CHARACTER}" for letter in line)


@cache
def _characters() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(FONT)).get_charmap())


Line = Literal["-", "--", "-.", ":", ""] | tuple[int, tuple[float, ...]]
"""matplotlib's names of line styles, or (offset, lengths of dashes and gaps)."""


@dataclass(frozen=True)
class Look:
    """How the runs of a policy are drawn: no two policies share a marker."""

    colour: str
    marker: str
    line: Line


_PALETTES: Mapping[Role, tuple[Look, ...]] = {
    "baseline": (Look("#4D4D4D", "s", ":"),),
    "method": (
        Look("#0072B2", "o", "-"),
        Look("#D55E00", "^", "--"),
        Look("#009E73", "D", "-."),
        Look("#CC79A7", "v", (0, (5, 1, 1, 1, 1, 1))),
        Look("#56B4E9", "P", (0, (8, 2))),
        Look("#E69F00", "X", (0, (3, 1))),
    ),
    "control": (
        Look("#7B4FA3", "<", (0, (1, 2))),
        Look("#A05A2C", "h", (0, (6, 1, 1, 1))),
        Look("#000000", "*", (0, (2, 1))),
    ),
}
"""By a policy's role and its place there."""
_OTHER_COLOURS: Mapping[Role, str] = {"baseline": "#4D4D4D", "method": "#B22222", "control": "#6B6B00"}
"""Of policies without a place, which their markers tell apart."""
_OTHER_MARKERS = ">pd8H1234"


def looks(policies: Iterable[str]) -> dict[str, Look]:
    """A look for each policy, the same in every figure where the policy is one of the package's."""
    distinct = dict.fromkeys(policies)
    placed = {name: look for name in distinct if (look := _placed(declared(name))) is not None}
    others = sorted(distinct.keys() - placed.keys())
    own = {
        name: Look(_OTHER_COLOURS[declared(name).role], _OTHER_MARKERS[i % len(_OTHER_MARKERS)], "--")
        for i, name in enumerate(others)
    }
    return {name: placed.get(name) or own[name] for name in distinct}


def _placed(policy: Declared) -> Look | None:
    """The look at the place that a policy declares; None without one."""
    palette = _PALETTES[policy.role]
    known = policy.palette_place is not None and policy.palette_place < len(palette)
    return palette[policy.palette_place] if known and policy.palette_place is not None else None


def legible_on(colour: Sequence[float]) -> str:
    """Black or white, whichever stands out from this colour: both do alike at a luma (Rec. 709) of 0.46."""
    red, green, blue, *_ = colour
    return "black" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.46 else "white"
