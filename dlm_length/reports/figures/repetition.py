"""How much answers repeat themselves, by the length of their canvas: too long a canvas is filled with repetition."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure as MplFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from dlm_length.analysis.effects import bootstrap_all
from dlm_length.analysis.parameters import in_order
from dlm_length.analysis.runs import Run
from dlm_length.records import read_samples
from dlm_length.reports.figures.drawing import blank_axes, interval_bars, legend_below, looks
from dlm_length.reports.figures.measures import mean_length, section_figure
from dlm_length.reports.names import NamedSection, family_names
from dlm_length.reports.rendering.figure import Figure
from dlm_length.stats import NGRAM, Statistic, repetition_rate


@dataclass(frozen=True, eq=False)
class Repetition:
    """The runs of a section whose answers are long enough."""

    policies: tuple[str, ...]
    """(runs,)."""
    titles: Mapping[str, str]
    """Of each policy: what its runs have in common, for readers."""
    length: NDArray[np.float64]
    """(runs,), mean final canvas in tokens."""
    rate: NDArray[np.float64]
    """(runs,), mean repetition rate in per cent."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """(runs,), 95% interval."""
    answers: NDArray[np.int64]
    """(runs,), behind each mean."""
    series: tuple[tuple[int, ...], ...]
    """The runs of each policy of which one parameter varies, by place, in its order."""


def repetition(section: NamedSection) -> list[Figure]:
    """Repetition against length; nothing where all canvases are of one length, or no answer is long enough."""
    rates = {run.path: found for run in section.runs if (found := rates_of(run)).size}
    data = compute(section, rates)
    if len(set(data.length.tolist())) < 2:
        return []
    n = sorted(set(data.answers.tolist()))
    caption = (
        f"Mean repetition rate of the answers by mean final canvas length: the share of an answer's {NGRAM}-grams of"
        f" words that occurred in it before. Bars: 95% intervals (percentile bootstrap), n ="
        f" {n[0]:,}{f' to {n[-1]:,}' if len(n) > 1 else ''} answers of {NGRAM} words or more."
    )
    return [
        section_figure(
            section,
            "repetition",
            title="Repetition by canvas length",
            caption=[caption],
            runs=[run for run in section.runs if run.path in rates],
            plot=partial(plot, data),
        )
    ]


def rates_of(run: Run) -> NDArray[np.float64]:
    """The repetition rate of each answer that is long enough to have one; of several to a problem, their mean."""
    rates: dict[str, list[float]] = {}
    for member in run.members:
        for sample in read_samples(member.path, only=member.samples):
            own = [repetition_rate(text.split()) for texts in sample.resps for text in texts]
            name = f"{sample.id}@{member.seeds[0]}" if run.repeats else sample.id
            rates.setdefault(run.problem_of(name), []).extend(rate for rate in own if not math.isnan(rate))
    return np.array([np.mean(own) for own in rates.values() if own], dtype=np.float64)


def compute(section: NamedSection, rates: Mapping[Path, NDArray[np.float64]]) -> Repetition:
    """Means over the answers of each run."""
    runs = [run for run in section.runs if run.path in rates]
    estimates = bootstrap_all({path: Statistic.mean(own) for path, own in rates.items()})
    place = {run.path: number for number, run in enumerate(runs)}
    series = [in_order([run for run in section.of(policy) if run.path in place]) for policy in section.policies]
    low, rate, high = (
        np.array([100 * getattr(estimates[run.path], name) for run in runs], dtype=np.float64)
        for name in ("low", "value", "high")
    )
    return Repetition(
        tuple(run.metrics.policy for run in runs),
        family_names(section, runs)[0],
        np.array([mean_length(run) for run in runs], dtype=np.float64),
        rate,
        low,
        high,
        np.array([rates[run.path].size for run in runs], dtype=np.int64),
        tuple(tuple(place[run.path] for run in order) for order in series if order),
    )


def plot(data: Repetition) -> MplFigure:
    """A mark for each run; runs of one policy in the order of the parameter that varies are joined."""
    figure, axes = blank_axes()
    look = looks(data.titles)
    joined = {data.policies[order[0]]: list(order) for order in data.series}
    entries = []
    for policy, name in data.titles.items():
        places = [place for place, each in enumerate(data.policies) if each == policy]
        own = look[policy]
        interval_bars(axes, data.length[places], data.low[places], data.high[places], color=own.colour, linewidth=0.7)
        order = joined.get(policy, places)
        style: Any = {
            "color": own.colour,
            "marker": own.marker,
            "markerfacecolor": own.face,
            "linestyle": own.line if policy in joined else "",
            "linewidth": 0.7,
        }
        axes.plot(data.length[order], data.rate[order], **style)
        entries.append((Line2D([], [], **style), name))
    axes.set_xlim(0, 1.05 * data.length.max())
    axes.set_ylim(0, 1.08 * max(float(np.nanmax([data.rate, data.high])), 1.0))
    axes.set_xlabel("mean final canvas length (tokens)")
    axes.set_ylabel(f"repeated {NGRAM}-grams (%)")
    axes.grid()
    legend_below(figure, entries)
    return figure
