"""What figures need of runs: mean scores with intervals, costs, lengths, and the sentences of captions."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dlm_length.analysis.pace import pace_of
from dlm_length.analysis.parameters import in_order
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.common import first_few
from dlm_length.records import SampleSummary
from dlm_length.reports.names import NamedSection
from dlm_length.reports.notes import kinds_of_interval
from dlm_length.reports.rendering.figure import Figure, file_stem
from dlm_length.stats import Estimate, mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure


@dataclass(frozen=True)
class Scored:
    """A run with its mean score."""

    run: Run
    score: Estimate
    """The mean over the samples that have a score, or over problems that have several answers each."""
    samples: int
    """Number of samples that have a score."""


def is_scored(sample: SampleSummary) -> bool:
    """Whether there is a score."""
    return sample.score is not None


def scored(section: Section, runs: Sequence[Run]) -> list[Scored]:
    """The runs, of these, that have any score."""
    return [
        Scored(run, section.mean_scores[run.path], sum(map(is_scored, run.samples.values())))
        for run in runs
        if run.path in section.mean_scores
    ]


def ran(run: Run) -> list[SampleSummary]:
    """The samples of a run that could be run."""
    return [sample for sample in run.samples.values() if sample.error is None]


def mean_flops(run: Run) -> float:
    """Mean reference FLOPs over the samples that ran; NaN where none did."""
    return mean([float(sample.ledger.total.flops_reference) for sample in ran(run)])


def mean_length(run: Run) -> float:
    """Mean final canvas in tokens over the samples that ran; NaN where none did."""
    return mean([float(sample.n_token) for sample in ran(run)])


def seconds_per_sample(run: Run) -> float:
    """Wall-clock of a run that was timed by itself; NaN for any other."""
    pace = pace_of(run)
    return math.nan if pace is None else pace.seconds_per_sample


def interval_arrays(estimates: Iterable[Estimate]) -> tuple[NDArray[np.float64], ...]:
    """(estimates,) each: the lower ends, the values and the upper ends; NaN where there is none."""
    rows = np.array([(each.low, each.value, each.high) for each in estimates], dtype=np.float64)
    return tuple(rows.reshape(-1, 3).T)


def series_places(section: Section, runs: Sequence[Run]) -> tuple[tuple[int, ...], ...]:
    """For each policy of which one parameter varies: the places of its runs among `runs`, in that parameter's order."""
    place = {run.path: number for number, run in enumerate(runs)}
    orders = [in_order([run for run in section.of(policy) if run.path in place]) for policy in section.policies]
    return tuple(tuple(place[run.path] for run in order) for order in orders if order)


def n_note(shown: Sequence[Scored]) -> str:
    """The number of observations behind the means: `n = 61 samples`."""
    sizes = sorted({each.score.n for each in shown})
    n = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    return f"n = {n} {'problems, each the mean of its samples' if shown[0].run.multi_sample else 'samples'}"


def interval_note(shown: Sequence[Scored], marks: str) -> str:
    """How the intervals were computed. `marks`: what they are drawn as."""
    kinds = kinds_of_interval(each.score for each in shown)
    note = f"{marks}: 95% intervals of the mean ({kinds}), {n_note(shown)}"
    bare = any(math.isnan(each.score.low) for each in shown)
    return f"{note}; one graded sample has no interval." if bare else f"{note}."


def missing_note(section: NamedSection, requested: Sequence[Run], shown: Sequence[Scored]) -> list[str]:
    """Which of the runs requested have no score, and how many samples of the runs shown have none."""
    drawn = {each.run.path for each in shown}
    without = [section.label_of[run.path] for run in requested if run.path not in drawn]
    notes = [f"Not shown, without any score: {first_few(without)}."] if without else []
    return [*notes, *unscored_note(shown)]


def unscored_note(shown: Sequence[Scored]) -> list[str]:
    """How many samples of the runs have no score."""
    return left_out_note([(each.samples, len(each.run.samples)) for each in shown], "were not scored")


def failed_note(runs: Sequence[Run]) -> list[str]:
    """How many samples of the runs could not be run."""
    return left_out_note([(len(ran(run)), len(run.samples)) for run in runs], "could not be run")


def left_out_note(taken: Sequence[tuple[int, int]], why: str) -> list[str]:
    """How many samples the figure leaves out; `taken`: for each run, the number shown and the number of all."""
    missing = _span([of - part for part, of in taken])
    if missing == "0":
        return []
    each = " per run" if len(taken) > 1 else ""
    return [f"Left out: {missing} of {_span([of for _, of in taken])} samples{each} that {why}."]


def samples_note(runs: Sequence[Run]) -> str:
    """`61 samples per run`, or `10 to 61 samples per run`."""
    return f"{_span([len(run.samples) for run in runs])} samples per run"


def section_figure(
    section: NamedSection,
    kind: str,
    *parts: str,
    title: str,
    caption: Iterable[str],
    runs: Iterable[Run],
    plot: Callable[[], "MplFigure"],
) -> Figure:
    """A figure of one section.

    `kind`, `parts`: name its files. `caption`: its sentences. `runs`: those whose records it shows.
    """
    stem = file_stem(kind, section.key, *parts)
    return Figure(stem, f"{title}: {section.title}", " ".join(caption), sources(runs), plot)


def sources(runs: Iterable[Run]) -> tuple[Path, ...]:
    """The folders of the runs behind a figure."""
    return tuple(path for run in runs for path in run.paths)


def _span(numbers: Sequence[int]) -> str:
    fewest, most = min(numbers), max(numbers)
    return f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
