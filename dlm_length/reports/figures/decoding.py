"""The score and the cost of every combination of length policy and decoding."""

from collections import defaultdict
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure as MplFigure
from numpy.typing import NDArray

from dlm_length.analysis.decodings import decoding_of, decoding_text
from dlm_length.reports.figures.drawing import LIGHTNESS, PAGE, SMALL, TALLEST, blank, in_lines, shown, write_cells
from dlm_length.reports.figures.heat import colour_ends, widest_interval
from dlm_length.reports.figures.measures import (
    Scored,
    mean_flops,
    n_note,
    scored,
    section_figure,
    unscored_note,
)
from dlm_length.reports.names import NamedSection
from dlm_length.reports.rendering.figure import Figure

_CELL = 0.28
"""Height of a row, in inches."""
_AROUND = 1.1
"""Height above and below the cells, in inches."""
_LONGEST = 28
"""Characters of a line of a label."""


@dataclass(frozen=True, eq=False)
class Decoding:
    """Scored runs by length policy and decoding."""

    lengths: tuple[str, ...]
    """Names of the rows, for readers."""
    decodings: tuple[str, ...]
    """Names of the columns, plain decoding first."""
    score: NDArray[np.float64]
    """(lengths, decodings), means; NaN where nothing was run or scored."""
    relative_flops: NDArray[np.float64]
    """(lengths, decodings), mean reference FLOPs in per cent of the baseline's; NaN where `score` is."""
    widest: float
    """Width of the widest 95% interval of a score; NaN without intervals."""
    metric: str


def decoding(section: NamedSection) -> list[Figure]:
    """The grid of a section whose scored runs have two or more decodings."""
    cells = _cells(section)
    if section.baseline is None or not any(decoding_of(each.run) for each in cells):
        return []
    data = compute(section)
    hatched = bool(np.isnan(data.score).any())
    on = section.label_of[section.baseline.path]
    caption = [
        f"Left: mean {data.metric}, {n_note(cells)}. Right: mean reference FLOPs per sample, in per cent of {on}.",
        "Plain decoding: no threshold, stop rule, early commit, adaptive blocks or cache.",
        *(["Hatched: not run, or not scored."] if hatched else []),
        *unscored_note(cells),
    ]
    return [
        section_figure(
            section,
            "decoding",
            title="Length policies by decoding",
            caption=caption,
            runs=[each.run for each in cells],
            plot=partial(plot, data),
        )
    ]


def _cells(section: NamedSection) -> list[Scored]:
    """The scored runs of every length policy with two or more decodings, and the baseline."""
    cells = scored(section, section.runs)
    lengths = {each.run.path: section.length_name(each.run) for each in cells}
    decodings: dict[str, set[str]] = defaultdict(set)
    for each in cells:
        decodings[lengths[each.run.path]].add(decoding_text(each.run))
    several = [each for each in cells if len(decodings[lengths[each.run.path]]) > 1]
    return [each for each in cells if several and (each in several or each.run is section.baseline)]


def compute(section: NamedSection) -> Decoding:
    """Scores and costs by length policy and decoding; a cell with several runs shows the first."""
    cells = _cells(section)
    lengths = {each.run.path: section.length_name(each.run) for each in cells}
    by_count = sorted(cells, key=lambda each: (len(decoding_of(each.run)), decoding_text(each.run)))
    rows = list(dict.fromkeys(lengths.values()))
    columns = list(dict.fromkeys(section.decoding_name(each.run) for each in by_count))
    score, flops = np.full((2, len(rows), len(columns)), np.nan)
    whole = np.nan if section.baseline is None else mean_flops(section.baseline)
    for each in reversed(cells):
        place = rows.index(lengths[each.run.path]), columns.index(section.decoding_name(each.run))
        score[place] = each.score.value
        flops[place] = 100 * mean_flops(each.run) / whole if whole else np.nan
    metric = section.metric
    return Decoding(tuple(rows), tuple(columns), score, flops, widest_interval(cells), metric)


def plot(data: Decoding) -> MplFigure:
    """Cells of score and of cost, with the same rows and columns."""
    figure = blank(PAGE, min(_AROUND + _CELL * max(len(data.lengths), 3), TALLEST))
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    known = data.score[~np.isnan(data.score)].tolist()
    ends = colour_ends(known, data.widest)
    write_cells(
        figure, left, data.score[::-1], colours=LIGHTNESS, ends=ends, form=".2f", label=f"mean {shown(data.metric, 24)}"
    )
    highest = float(np.nanmax(np.nan_to_num(data.relative_flops, nan=100.0)))
    write_cells(
        figure,
        right,
        data.relative_flops[::-1],
        colours=f"{LIGHTNESS}_r",
        ends=(0, highest),
        form=".0f",
        label="FLOPs (% of the baseline)",
    )
    for axes in (left, right):
        axes.set_xticks(
            np.arange(len(data.decodings)) + 0.5,
            [in_lines(text, _LONGEST) for text in data.decodings],
            rotation=35,
            ha="right",
            rotation_mode="anchor",
            fontsize=SMALL,
        )
    left.set_yticks(
        np.arange(len(data.lengths)) + 0.5,
        [in_lines(text, _LONGEST) for text in reversed(data.lengths)],
        fontsize=SMALL + 0.5,
    )
    return figure
