"""The lengths that a method chose, against those that the model used on the full canvas."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.figure import Figure as MplFigure
from numpy.typing import ArrayLike, NDArray

from dlm_length.analysis.declarations import declared
from dlm_length.analysis.parameters import sortable
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.measures import left_out_note, sources
from dlm_length.reports.figures.style import HEIGHT, blank_axes, looks
from dlm_length.reports.rendering.figure import Figure, file_stem, numbered

_SIDE = 2.8
"""Inches: nearly square, as both axes are tokens."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """The samples that ran in both, (samples,) each, by id."""

    used: NDArray[np.int64]
    """e_token of the answer on the full canvas."""
    chosen: NDArray[np.int64]
    """n_token under the method."""
    policy: str
    """The method's name."""
    filled: int
    """Samples whose answer has no end on the full canvas: it might have been longer."""

    @property
    def rho(self) -> float:
        """Spearman's."""
        return spearman(self.used, self.chosen)


def predicted(section: Section) -> list[Figure]:
    """Chosen against used length for each method with a series; nothing without a fixed canvas as the baseline."""
    baseline = section.baseline
    if baseline is None or baseline.declared.role != "baseline":
        return []
    shown = (representative(section, policy) for policy in section.policies)
    return numbered(figure for run in shown if run is not None for figure in _figure(section, run, baseline))


def _figure(section: Section, run: Run, baseline: Run) -> Iterator[Figure]:
    run, baseline = _of_the_same_seeds(run, baseline)
    found = compute(run, baseline)
    n = found.used.size
    if not n:
        return
    rho = "is undefined" if math.isnan(found.rho) else f"is {found.rho:.2f}"
    caption = [
        f"Length that {section.label_of[run.path]} chose (n_token) against the length of the answer to the same sample"
        f" under {section.label_of[baseline.path]} (e_token), n = {n:,} samples; on the diagonal they are equal.",
        f"Spearman's rho {rho}.",
        *(
            [f"Answers that fill the baseline's canvas, and have no end on it: {found.filled:,}."]
            if found.filled
            else []
        ),
        *left_out_note([(n, len(baseline.samples))], "could not be run in both"),
    ]
    yield Figure(
        file_stem("predicted", section.title),
        f"Chosen against used length: {section.title}",
        " ".join(caption),
        sources([run, baseline]),
        partial(plot, found),
    )


def _of_the_same_seeds(run: Run, baseline: Run) -> tuple[Run, Run]:
    """Both, where each sample of one is a sample of the other; else the first run of each."""
    same = run.samples.keys() == baseline.samples.keys()
    return (run, baseline) if same else (run.members[0], baseline.members[0])


def representative(section: Section, policy: str) -> Run | None:
    """The run at the default of a method's series or, without it, the one in the middle; on the baseline's canvas where
    it can be. None for what is no method with a series.
    """
    own = declared(policy)
    field = own.series_field
    if own.role != "method" or field is None:
        return None
    runs = sorted(section.of(policy), key=lambda run: sortable(run.config["policy"].get(field)))
    length = None if section.baseline is None else section.baseline.config["policy"].get("length")
    runs = [run for run in runs if run.config["policy"].get("length") == length] or runs
    if not runs:
        return None
    return next((run for run in runs if run.config["policy"].get(field) == own.series_default), runs[len(runs) // 2])


def compute(run: Run, baseline: Run) -> Predicted:
    """The lengths of a run and its baseline."""
    both = sorted(
        name for name, ours in run.samples.items() if ours.error is None and baseline.samples[name].error is None
    )
    full = [baseline.samples[name] for name in both]
    return Predicted(
        np.array([sample.e_token for sample in full], dtype=np.int64),
        np.array([run.samples[name].n_token for name in both], dtype=np.int64),
        run.metrics.policy,
        sum(sample.e_token == sample.n_token for sample in full),
    )


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rho of (samples,) each, ties at their mean rank; NaN where one does not vary."""
    from scipy.stats import spearmanr

    varied = np.ptp(first) > 0 and np.ptp(second) > 0
    return float(spearmanr(first, second).statistic) if varied else math.nan


def plot(data: Predicted) -> MplFigure:
    """A circle a sample, and the diagonal."""
    picture, axes = blank_axes(_SIDE, HEIGHT)
    colour = looks([data.policy])[data.policy].colour
    end = 1.05 * max(int(data.used.max()), int(data.chosen.max()), 1)
    axes.plot([0, end], [0, end], color="0.4", linestyle="--", linewidth=0.8)
    axes.plot(
        data.used,
        data.chosen,
        linestyle="",
        marker="o",
        markersize=3.0,
        markerfacecolor="none",
        markeredgecolor=colour,
        markeredgewidth=0.6,
        alpha=0.6,
        clip_on=False,
    )
    axes.set_xlim(0, end)
    axes.set_ylim(0, end)
    axes.set_aspect("equal")
    axes.set_xlabel("length used (e_token), full canvas")
    axes.set_ylabel("length chosen (n_token)")
    return picture
