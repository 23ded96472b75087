"""The lengths that methods chose against the lengths of the answers on the full canvas: a panel for each method."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import representative
from dlm_length.reports.figures.drawing import COLUMN, PAGE, SMALL, blank, in_lines, looks
from dlm_length.reports.figures.measures import left_out_note, section_figure
from dlm_length.reports.names import NamedSection
from dlm_length.reports.rendering.figure import Figure, numbered

PANELS = 9
"""The most panels in one figure."""
_SIDE = 1.7
"""Side of a panel in inches; it is nearly square, as both axes are tokens."""
_LONGEST_TITLE = 30


@dataclass(frozen=True, eq=False)
class Predicted:
    """The samples that ran both under a method and on the full canvas, in the order of their ids."""

    policy: str
    label: str
    used: NDArray[np.int64]
    """(samples,), tokens of the answer on the full canvas."""
    chosen: NDArray[np.int64]
    """(samples,), tokens of the final canvas under the method."""
    filled: int
    """Number of answers that fill the full canvas, and might have been longer."""

    @property
    def rho(self) -> float:
        """Spearman's rank correlation of both."""
        return spearman(self.used, self.chosen)


def predicted(section: NamedSection) -> list[Figure]:
    """Chosen against used length for each method; no figure without a full canvas as the baseline."""
    baseline = section.baseline
    if baseline is None or baseline.declared.role != "baseline":
        return []
    methods = [policy for policy in section.policies if section.declared_of(policy).role == "method"]
    pairs = [_of_the_same_seeds(representative(section.of(policy), section.baseline), baseline) for policy in methods]
    panels = [(pair, data) for pair in pairs if (data := compute(section, *pair)).used.size]
    pages = [panels[start : start + PANELS] for start in range(0, len(panels), PANELS)]
    return numbered(_figure(section, page) for page in pages)


def _figure(section: NamedSection, panels: Sequence[tuple[tuple[Run, Run], Predicted]]) -> Figure:
    assert section.baseline is not None
    data = [each for _, each in panels]
    on = section.label_of[section.baseline.path]
    filled = max(each.filled for each in data)
    caption = [
        f"Final canvas length that each method chose, against the length of the answer to the same sample under {on},"
        " up to its first end token; on the diagonal they are equal. ρ: rank correlation; n: samples.",
        *([f"Answers that fill the baseline's canvas, and have no end on it: {filled:,}."] if filled else []),
        *left_out_note([(each.used.size, len(pair[1].samples)) for pair, each in panels], "could not be run in both"),
    ]
    return section_figure(
        section,
        "predicted",
        title="Chosen against used length",
        caption=caption,
        runs=[*(pair[0] for pair, _ in panels), panels[0][0][1]],
        plot=partial(plot, tuple(data)),
    )


def _of_the_same_seeds(run: Run, baseline: Run) -> tuple[Run, Run]:
    """Both runs if they have the same samples, else the first repeat of each."""
    same = run.samples.keys() == baseline.samples.keys()
    return (run, baseline) if same else (run.members[0], baseline.members[0])


def compute(section: NamedSection, run: Run, baseline: Run) -> Predicted:
    """The lengths of a run and its baseline."""
    both = sorted(
        name for name, ours in run.samples.items() if ours.error is None and baseline.samples[name].error is None
    )
    full = [baseline.samples[name] for name in both]
    label = next(section.label_of[row.path] for row in section.runs if run in (row, *row.members))
    return Predicted(
        run.metrics.policy,
        label,
        np.array([sample.e_token for sample in full], dtype=np.int64),
        np.array([run.samples[name].n_token for name in both], dtype=np.int64),
        sum(sample.e_token == sample.n_token for sample in full),
    )


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rho of two arrays (samples,), ties at their mean rank; NaN where one does not vary."""
    from scipy.stats import spearmanr

    varied = np.ptp(first) > 0 and np.ptp(second) > 0
    return float(spearmanr(first, second).statistic) if varied else math.nan


def plot(data: Sequence[Predicted]) -> MplFigure:
    """Panels with a circle for each sample, and the diagonal."""
    columns = 1 if len(data) == 1 else 2 if len(data) in (2, 4) else 3
    rows = math.ceil(len(data) / columns)
    width = COLUMN if columns < 3 else PAGE
    side = 2.2 if columns < 2 else _SIDE
    figure = blank(width, 0.35 + rows * (side + 0.1))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    look = looks(each.policy for each in data)
    end = 1.05 * max(1, *(int(max(each.used.max(), each.chosen.max())) for each in data))
    for axes, each in zip(grid.flat, data, strict=False):
        axes.plot([0, end], [0, end], color="black", alpha=0.5, linestyle="--", linewidth=0.8)
        axes.plot(
            each.used,
            each.chosen,
            linestyle="",
            marker="o",
            markersize=2.5,
            markerfacecolor="none",
            markeredgecolor=look[each.policy].colour,
            markeredgewidth=0.6,
            alpha=0.6,
            clip_on=False,
        )
        rho = f"Spearman's ρ {'undefined' if math.isnan(each.rho) else f'= {each.rho:.2f}'}"
        title = f"{in_lines(each.label, _LONGEST_TITLE)}\n{rho}, n = {each.used.size:,}"
        axes.set_title(title, fontsize=SMALL + 0.5)
        axes.set_xlim(0, end)
        axes.set_ylim(0, end)
        axes.set_aspect("equal")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
        axes.tick_params(labelbottom=True, labelleft=True)
    for axes in grid.flat[len(data) :]:
        axes.set_visible(False)
    for axes in grid.flat[max(0, len(data) - columns) : len(data)]:
        axes.set_xlabel("used, fixed canvas (tokens)")
    for axes in grid[:, 0]:
        axes.set_ylabel("chosen (tokens)")
    return figure
