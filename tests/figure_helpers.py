"""What the tests of figures share: sections of runs in memory, and what is drawn in a figure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.policies import build_policy
from dlm_length.reports.names import Labels, NamedSection, with_names
from dlm_length.reports.rendering.figure import Figure

RIGHT = (1.0, 0.0, 1.0, 1.0, 0.0, 1.0)
"""Scores of six samples."""

MakeRun = Callable[..., Run]


def section(*runs: Run, title: str = "gsm8k, some-model", baseline: int | None = 0) -> NamedSection:
    """Of runs that differ in their labels; the first is the baseline. A label that a test gave is the run's name."""
    labels = tuple(run.metrics.policy_label for run in runs)
    assert len(set(labels)) == len(labels)
    given = {label: label for run, label in zip(runs, labels, strict=True) if label != own_label(run)}
    made = Section(title, runs, labels, None if baseline is None else runs[baseline])
    return with_names(made, Labels(policies=given))


def own_label(run: Run) -> str:
    """That its policy makes of its parameters."""
    policy = dict(run.config["policy"])
    return build_policy(policy.pop("name"), **policy).label


def one(figures: Sequence[Figure]) -> Figure:
    assert len(figures) == 1
    return figures[0]


def the_axes(figure: Figure, place: int = 0) -> Axes:
    return figure.draw().axes[place]


def marked(axes: Axes) -> list[Line2D]:
    """Lines with markers."""
    return [line for line in axes.lines if line.get_marker() not in ("None", "")]


def points(line: Line2D) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in np.asarray(line.get_xydata())]


def labels_in(axes: Axes) -> set[str]:
    return {text.get_text() for text in axes.texts} - {""}


def bars(axes: Axes) -> list[list[list[float]]]:
    """The ends of all intervals."""
    drawn = [each for each in axes.collections if isinstance(each, LineCollection)]
    return [segment.tolist() for each in drawn for segment in each.get_segments()]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.draw().legends[0].get_texts()]


def grid_of(make_run: MakeRun, cells: Mapping[tuple[float, float], Sequence[float | None]]) -> list[Run]:
    """DAEDAL runs by tau_high and tau_low."""
    return [
        make_run("daedal", scores, tau_high=high, tau_low=low, label=f"daedal {high} {low}")
        for (high, low), scores in cells.items()
    ]


def everything(make_run: MakeRun, scores: Sequence[float | None], **parameters: Any) -> NamedSection:
    """Runs that support every kind but the difference of EOS."""
    hostile = parameters.pop("hostile", "")
    runs = [
        *(make_run("fixed", scores, length=n, label=f"fixed {n}{hostile}", **parameters) for n in (256, 64, 128)),
        make_run("smartcrop", scores, label=f"smartcrop{hostile}", **parameters),
        *(
            make_run("perturbed", scores, tau=tau, delta=change, label=f"{tau} {change}{hostile}", **parameters)
            for tau in (0.5, 0.9)
            for change in (-0.1, 0.1)
        ),
    ]
    return section(*runs)


KINDS = ["frontier", "lengths", "predicted", "heat", "ablation", "ablation"]


def kinds(figures: Sequence[Figure]) -> list[str]:
    return [figure.name.partition("-")[0] for figure in figures]
