"""EOS probability after the first forward, on sufficient and insufficient canvases (docs/methods.md section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as MplFigure
from numpy.typing import NDArray

from dlm_length.analysis.runs import Run
from dlm_length.records import EosProbabilities
from dlm_length.reports.figures.drawing import PAGE, blank_axes, write_cells
from dlm_length.reports.figures.measures import is_scored, section_figure
from dlm_length.reports.names import NamedSection
from dlm_length.reports.rendering.figure import Figure, numbered

POSITIONS = 64
"""The most positions shown: the last of the canvas."""
ROW = 16
"""Positions in a row."""

_SIGNS = "PuOr"
"""Colour map of differences: white at 0, orange below, purple above. In grey, the numbers show the sign."""
_CELL_HEIGHT = 0.28
_AROUND = 0.7


@dataclass(frozen=True, eq=False)
class EosDifference:
    """Mean EOS probability where the canvas sufficed, minus that where it did not."""

    difference: NDArray[np.float64]
    """(positions,), the last of the canvas."""
    canvas: int
    """Length of the canvas, in tokens."""
    sufficient: int
    """Number of samples for which the canvas sufficed."""
    insufficient: int
    """Number of samples for which it did not, but a longer one did."""


def eos_difference(section: NamedSection, first_eos: Mapping[Path, EosProbabilities]) -> list[Figure]:
    """A heat map for each fixed canvas that has EOS probabilities and samples of both groups.

    `first_eos`: the probabilities by the run's folder.
    """
    figures = []
    for row in section.baselines:
        # No random numbers are used before the first forward, so one of several repeats is enough.
        run = next((member for member in row.members if member.path in first_eos), row.members[0])
        longer = [other.members[0] for other in section.baselines if _length(other) > _length(run)]
        data = compute(run, longer, first_eos.get(run.path, {}))
        if data is None:
            continue
        caption = (
            f"Mean EOS probability after the first forward on {data.canvas:,} masks, at the last"
            f" {data.difference.size} positions: that of the {data.sufficient:,} samples answered correctly on this"
            f" canvas minus that of the {data.insufficient:,} answered correctly on a longer one only"
            f" ({', '.join(f'{_length(other):,}' for other in longer)} tokens). Rows of 16 positions, in reading order."
        )
        figures.append(
            section_figure(
                section,
                *("eos-difference", str(data.canvas)),
                title=f"EOS where {data.canvas:,} tokens suffice, minus where they do not",
                caption=[caption],
                runs=[run, *longer],
                plot=partial(plot, data),
            )
        )
    return numbered(figures)


def compute(run: Run, longer: list[Run], first_eos: EosProbabilities) -> EosDifference | None:
    """The difference in a run on a fixed canvas; None where no sample sufficed, or none did not."""
    known = [name for name in first_eos if name in run.samples]  # the run may have been repeated since it was probed
    right = {name for name in known if _is_right(run, name)}
    wrong = {name for name in known if is_scored(run.samples[name]) and name not in right}
    mended = {name for name in wrong if any(_is_right(other, name) for other in longer)}
    if not right or not mended:
        return None
    difference = _mean(first_eos, right) - _mean(first_eos, mended)
    return EosDifference(difference[-POSITIONS:], difference.size, len(right), len(mended))


def _mean(first_eos: EosProbabilities, names: set[str]) -> NDArray[np.float64]:
    rows = np.array([first_eos[name] for name in sorted(names)], dtype=np.float64)
    return np.asarray(rows.mean(axis=0))


def _is_right(run: Run, name: str) -> bool:
    return run.samples[name].score == 1.0


def _length(run: Run) -> int:
    return int(run.config["policy"]["length"])


def plot(data: EosDifference) -> MplFigure:
    """Rows of positions in reading order, labelled with the first position of each, from 1."""
    rows = -(-data.difference.size // ROW)
    table = np.full(rows * ROW, np.nan)
    table[: data.difference.size] = data.difference
    picture, axes = blank_axes(PAGE, _AROUND + max(rows, 2) * _CELL_HEIGHT)
    largest = float(np.abs(data.difference).max()) or 1.0  # where all differences are 0, all cells are white
    write_cells(
        picture,
        axes,
        table.reshape(rows, ROW)[::-1],
        colours=_SIGNS,
        ends=(-largest, largest),
        form="+.2f",
        label="difference in P(EOS)",
    )
    first = data.canvas - data.difference.size + 1
    axes.set_yticks(np.arange(rows) + 0.5, [f"{first + ROW * row}" for row in reversed(range(rows))])
    axes.set_xticks(np.arange(ROW) + 0.5, [f"+{place}" for place in range(ROW)])
    axes.set_ylabel("canvas position of the first cell")
    return picture
