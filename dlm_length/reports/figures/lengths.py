"""Which lengths a policy chose: histograms beside the best length that is the same for all."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from dlm_length.analysis.runs import Run, mean_score
from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.measures import failed_note, ran, samples_told, sources
from dlm_length.reports.figures.style import COLUMN, PAGE, blank, legend_below, looks, shown
from dlm_length.reports.rendering.figure import Figure, file_stem, numbered

BINS = 24
"""All of the same whole number of tokens."""
PANELS = 12
"""Histograms in one figure."""

_PANEL_HEIGHT = 1.15
_TITLE_WIDTH = 28
"""Characters of a line above a panel."""
_SAME = 12
"""Decimals to which two mean scores are one."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """The lengths of a run."""

    policy: str
    label: str
    n_token: NDArray[np.int64]
    """Of the samples that ran."""


@dataclass(frozen=True, eq=False)
class Lengths:
    """What one figure shows."""

    histograms: tuple[Histogram, ...]
    best_fixed: int | None
    """Length of the fixed canvas with the best mean score; None where none was scored."""

    @property
    def bin_width(self) -> int:
        """Tokens."""
        longest = max([self.best_fixed or 0, *(int(each.n_token.max()) for each in self.histograms)])
        return longest // BINS + 1

    @property
    def edges(self) -> NDArray[np.int64]:
        """Of the bins, that begin at each and end before the next: 0, and multiples of the width."""
        return np.arange(BINS + 1) * self.bin_width


def lengths(section: Section) -> list[Figure]:
    """Histograms of the final canvas length, `PANELS` in a figure; nothing without a run that chose lengths."""
    runs = [run for run in section.runs if run.declared.role == "method" and ran(run)]
    best = best_fixed(section)
    pages = [runs[start : start + PANELS] for start in range(0, len(runs), PANELS)]
    return numbered(_figure(section, page, best) for page in pages)


def best_fixed(section: Section) -> Run | None:
    """The fixed canvas with the highest mean score, the shortest of those that share it."""
    fixed = [run for run in section.baselines if not math.isnan(mean_score(run))]
    return max(fixed, key=lambda run: (round(mean_score(run), _SAME), -run.config["policy"]["length"]), default=None)


def compute(section: Section, runs: Sequence[Run], best: Run | None) -> Lengths:
    """The lengths of these runs."""
    histograms = tuple(
        Histogram(run.metrics.policy, section.label_of[run.path], np.array([sample.n_token for sample in ran(run)]))
        for run in runs
    )
    return Lengths(histograms, None if best is None else best.config["policy"]["length"])


def _figure(section: Section, runs: Sequence[Run], best: Run | None) -> Figure:
    found = compute(section, runs, best)
    caption = [
        f"Final canvas length (n_token) under each policy that chooses it, {samples_told(runs)},"
        f" bins of {found.bin_width:,} tokens.",
        *failed_note(runs),
    ]
    if best is not None:
        caption.append(
            f"Dashed: {found.best_fixed:,} tokens, the fixed length with the best mean {section.metric}"
            f" ({mean_score(best):.3f}; the shortest, where several share it)."
        )
    return Figure(
        file_stem("lengths", section.title),
        f"Lengths that were chosen: {section.title}",
        " ".join(caption),
        sources([*runs, *([best] if best else [])]),
        partial(plot, found),
    )


def plot(data: Lengths) -> MplFigure:
    """A panel a run, all with the same bins."""
    panels = len(data.histograms)
    columns = 1 if panels == 1 else 2 if panels <= 6 else 3
    rows = math.ceil(panels / columns)
    picture = blank(COLUMN if columns < 3 else PAGE, max(rows, 1.5) * _PANEL_HEIGHT)
    grid = picture.subplots(rows, columns, sharex=True, squeeze=False)
    look = looks(each.policy for each in data.histograms)
    for axes in grid.flat[panels:]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("n_token")
    for axes in grid[:, 0]:
        axes.set_ylabel("samples")
    for axes, each in zip(grid.flat, data.histograms, strict=False):
        counts, edges = np.histogram(each.n_token, bins=data.edges)
        axes.stairs(counts, edges, fill=True, color=look[each.policy].colour)
        axes.set_title(_title(each.label))
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        if data.best_fixed is not None:
            axes.axvline(data.best_fixed, color="black", linestyle="--", linewidth=1.0)
    if data.best_fixed is not None:
        line = Line2D([], [], color="black", linestyle="--")
        legend_below(picture, [(line, f"best fixed length: {data.best_fixed}")])
    return picture


def _title(label: str) -> str:
    """On several lines where needed: what tells runs apart stands at the end."""
    return "\n".join(wrap(shown(label), _TITLE_WIDTH, max_lines=3, placeholder="…"))
