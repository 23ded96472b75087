"""The canvas lengths that each method chose: a panel for each method, a histogram for each of its runs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dlm_length.analysis.runs import Run, mean_score
from dlm_length.reports.figures.drawing import COLUMN, SMALL, TALLEST, blank, in_lines, legend_below, looks, shown
from dlm_length.reports.figures.measures import failed_note, ran, samples_note, section_figure
from dlm_length.reports.names import NamedSection, family_names
from dlm_length.reports.rendering.figure import Figure, numbered

BINS = 32
"""Number of bins, all of the same integer number of tokens."""

_ROW, _LINE, _TITLE, _AROUND = 0.2, 0.16, 0.24, 0.55
"""Heights in inches: of a histogram, of a line of a label that has several, of a panel's title, and of the axis below
all panels with the legend."""
_LONGEST_LABEL, _LINES = 30, 3
"""Characters of a line of a label, and the most lines."""
_SAME = 12
"""Mean scores that agree to so many decimals are equal."""


@dataclass(frozen=True, eq=False)
class Histogram:
    """The lengths of a run."""

    label: str
    """What distinguishes it from the other runs of its method; empty for a method's only run."""
    n_token: NDArray[np.int64]
    """(samples,) Length of the final canvas of each sample that did not fail, in tokens."""


@dataclass(frozen=True, eq=False)
class Method:
    """The panel of a method."""

    policy: str
    title: str
    histograms: tuple[Histogram, ...]


@dataclass(frozen=True, eq=False)
class Lengths:
    """The data of one figure."""

    methods: tuple[Method, ...]
    best_length: int | None
    """Length of the fixed canvas with the best mean score; None where none was scored."""

    @property
    def row(self) -> float:
        """Height of a histogram in inches."""
        return _row_height(each.label for method in self.methods for each in method.histograms)

    @property
    def edges(self) -> NDArray[np.int64]:
        """(bins + 1,), edges of the bins in tokens: 0 and multiples of the width; a bin excludes its upper edge."""
        every = [each.n_token.max() for method in self.methods for each in method.histograms]
        return np.arange(BINS + 1) * (int(max(self.best_length or 0, *every, 0)) // BINS + 1)

    @property
    def shares(self) -> list[list[NDArray[np.float64]]]:
        """By method and histogram, (bins,): shares of the run's samples."""
        return [
            [np.histogram(each.n_token, self.edges)[0] / each.n_token.size for each in method.histograms]
            for method in self.methods
        ]


def lengths(section: NamedSection) -> list[Figure]:
    """Histograms of the final canvas length; no figure without a run that chose lengths."""
    runs = [run for run in section.runs if run.declared.role == "method" and ran(run)]
    best = best_canvas(section)
    most = int((TALLEST - _AROUND - 4 * _TITLE) / _row_height(family_names(section, runs)[1]))
    return numbered(_figure(section, runs[start : start + most], best) for start in range(0, len(runs), most))


def _row_height(labels: Iterable[str]) -> float:
    lines = max((_lines(label).count("\n") + 1 for label in labels), default=1)
    return _ROW if lines == 1 else 0.04 + lines * _LINE


def _lines(label: str) -> str:
    return in_lines(label, _LONGEST_LABEL, _LINES)


def best_canvas(section: NamedSection) -> Run | None:
    """The fixed canvas with the highest mean score; of several, the shortest."""
    full = [run for run in section.baselines if not math.isnan(mean_score(run))]
    return max(full, key=lambda run: (round(mean_score(run), _SAME), -run.config["policy"]["length"]), default=None)


def compute(section: NamedSection, runs: Sequence[Run], best: Run | None) -> Lengths:
    """The lengths of these runs, by method."""
    titles, own = family_names(section, runs)
    methods = tuple(
        Method(
            policy,
            title,
            tuple(
                Histogram(label, np.array([sample.n_token for sample in ran(run)], dtype=np.int64))
                for run, label in zip(runs, own, strict=True)
                if run.metrics.policy == policy
            ),
        )
        for policy, title in titles.items()
    )
    return Lengths(methods, None if best is None else best.config["policy"]["length"])


def _figure(section: NamedSection, runs: Sequence[Run], best: Run | None) -> Figure:
    data = compute(section, runs, best)
    tallest = max(float(share.max()) for shares in data.shares for share in shares)
    caption = [
        f"Final canvas length under each policy that chooses it, {samples_note(runs)}: histograms in bins of"
        f" {data.edges[1]:,} tokens, as shares of the run's samples, on one scale (the highest bar is {tallest:.0%})."
        " Dots: medians.",
        *failed_note(runs),
    ]
    if best is not None:
        caption.append(
            f"Dashed: {data.best_length:,} tokens, the length of the fixed canvas with the best mean {section.metric}"
            f" ({mean_score(best):.3f}); of equally good ones, the shortest."
        )
    return section_figure(
        section,
        "lengths",
        title="Lengths that were chosen",
        caption=caption,
        runs=[*runs, *([best] if best else [])],
        plot=partial(plot, data),
    )


def plot(data: Lengths) -> MplFigure:
    """Panels below each other over one axis of tokens."""
    rows = [len(method.histograms) for method in data.methods]
    figure = blank(COLUMN, _AROUND + sum(rows) * data.row + len(rows) * _TITLE)
    panels = figure.subplots(len(rows), 1, sharex=True, squeeze=False, height_ratios=[n + 0.6 for n in rows])[:, 0]
    look = looks(method.policy for method in data.methods)
    highest = max(float(share.max()) for shares in data.shares for share in shares)
    for axes, method, shares in zip(panels, data.methods, data.shares, strict=True):
        _panel(axes, method, [share / highest for share in shares], data.edges, look[method.policy].colour)
        if data.best_length is not None:
            axes.axvline(data.best_length, color="black", linestyle="--", linewidth=0.8)
    panels[-1].set_xlim(0, data.edges[-1])
    panels[-1].set_xlabel("final canvas length (tokens)")
    if data.best_length is not None:
        line = Line2D([], [], color="black", linestyle="--", linewidth=0.8)
        legend_below(figure, [(line, f"best fixed canvas: {data.best_length:,} tokens")])
    return figure


def _panel(
    axes: Axes, method: Method, heights: Sequence[NDArray[np.float64]], edges: NDArray[np.int64], colour: str
) -> None:
    """Histograms below each other, the first on top."""
    rows = len(heights)
    for place, (each, height) in enumerate(zip(method.histograms, heights, strict=True)):
        floor = rows - 1 - place
        axes.stairs(floor + 0.9 * height, edges, baseline=floor, fill=True, color=colour, alpha=0.75, linewidth=0)
        axes.plot([0, edges[-1]], [floor, floor], color="black", alpha=0.3, linewidth=0.4)
        axes.plot(np.median(each.n_token), floor, marker="o", markersize=2.5, color="black", clip_on=False, zorder=3)
    labels = [_lines(each.label) for each in method.histograms]
    axes.set_ylim(-0.12, rows)
    axes.set_yticks(
        [rows - 0.75 - place for place in range(rows)],
        labels,
        fontsize=SMALL if any("\n" in label for label in labels) else mpl.rcParams["ytick.labelsize"],
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.tick_params(axis="x", length=3)
    axes.set_title(shown(method.title, 60))
