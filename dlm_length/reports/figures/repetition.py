"""How much answers repeat themselves, against canvas length: a canvas that is too long is filled with repetition."""

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
from dlm_length.analysis.runs import Run
from dlm_length.records import read_samples
from dlm_length.reports.figures.drawing import blank_axes, interval_bars, legend_below, looks
from dlm_length.reports.figures.measures import interval_arrays, mean_length, section_figure, series_places
from dlm_length.reports.names import NamedSection, family_names
from dlm_length.reports.rendering.figure import Figure
from dlm_length.stats import NGRAM, Statistic, repetition_rate


@dataclass(frozen=True, eq=False)
class Repetition:
    """The runs of a section that have answers of `NGRAM` or more words."""

    policies: tuple[str, ...]
    """(runs,)."""
    titles: Mapping[str, str]
    """By policy, what the names of its runs have in common, for readers."""
    length: NDArray[np.float64]
    """(runs,), mean final canvas in tokens."""
    rate: NDArray[np.float64]
    """(runs,), mean repetition rate in per cent."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """(runs,), 95% interval."""
    answers: NDArray[np.int64]
    """(runs,), number of answers behind each mean."""
    series: tuple[tuple[int, ...], ...]
    """See `series_places`."""


def repetition(section: NamedSection) -> list[Figure]:
    """Repetition against length; no figure where all mean lengths are equal, or no answer is long enough."""
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
    """(problems,), the repetition rate of the answer, or the mean of several, where it is long enough to have one."""
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
    low, rate, high = (100 * ends for ends in interval_arrays(estimates[run.path] for run in runs))
    return Repetition(
        tuple(run.metrics.policy for run in runs),
        family_names(section, runs)[0],
        np.array([mean_length(run) for run in runs], dtype=np.float64),
        rate,
        low,
        high,
        np.array([rates[run.path].size for run in runs], dtype=np.int64),
        series_places(section, runs),
    )


def plot(data: Repetition) -> MplFigure:
    """A mark for each run; the runs of a series are joined in the order of its parameter."""
    figure, axes = blank_axes()
    look = looks(data.titles)
    joined = {data.policies[order[0]]: list(order) for order in data.series}
    entries = []
    for policy, name in data.titles.items():
        places = [place for place, each in enumerate(data.policies) if each == policy]
        own = look[policy]
        interval_bars(
            axes, data.length[places], data.low[places], data.high[places], color=own.colour, linewidth=0.7, alpha=0.6
        )
        order = joined.get(policy, places)
        style: Any = {
            "color": own.colour,
            "marker": own.marker,
            "markerfacecolor": own.face,
            "linestyle": own.line if policy in joined else "",
            "linewidth": 0.7,
        }
        axes.plot(data.length[order], data.rate[order], **style, zorder=3 if own.filled else 4)  # above all bars
        entries.append((Line2D([], [], **style), name))
    axes.set_xlim(0, 1.05 * data.length.max())
    axes.set_ylim(0, 1.08 * max(float(np.nanmax([data.rate, data.high])), 1.0))
    axes.set_xlabel("mean final canvas length (tokens)")
    axes.set_ylabel(f"repeated {NGRAM}-grams (%)")
    axes.grid()
    legend_below(figure, entries)
    return figure
