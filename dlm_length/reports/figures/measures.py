"""What figures draw of a run: its mean score with an interval, its cost, its lengths, and what of it is missing."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dlm_length.analysis.pace import pace_of
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
    """Over the samples that have a score; problems, where they have several answers."""
    samples: int
    """That have a score."""


def is_scored(sample: SampleSummary) -> bool:
    """Whether there is a score."""
    return sample.score is not None


def scored(section: Section, runs: Sequence[Run]) -> list[Scored]:
    """Those of these runs of the section that have any score."""
    return [
        Scored(run, section.mean_scores[run.path], sum(map(is_scored, run.samples.values())))
        for run in runs
        if run.path in section.mean_scores
    ]


def ran(run: Run) -> list[SampleSummary]:
    """The samples that could be run."""
    return [sample for sample in run.samples.values() if sample.error is None]


def mean_flops(run: Run) -> float:
    """Mean reference FLOPs per sample, over those that ran; NaN where none did."""
    return mean([float(sample.ledger.total.flops_reference) for sample in ran(run)])


def mean_length(run: Run) -> float:
    """Mean final canvas in tokens, over the samples that ran; NaN where none did."""
    return mean([float(sample.n_token) for sample in ran(run)])


def seconds_per_sample(run: Run) -> float:
    """Wall-clock of a run that had a clock of its own; NaN without one."""
    pace = pace_of(run)
    return math.nan if pace is None else pace.seconds_per_sample


def n_note(shown: Sequence[Scored]) -> str:
    """What the means are taken over: `n = 61 samples`."""
    sizes = sorted({each.score.n for each in shown})
    n = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
    return f"n = {n} {'problems, each the mean of its samples' if shown[0].run.multi_sample else 'samples'}"


def interval_note(shown: Sequence[Scored], marks: str) -> str:
    """What the intervals are. `marks`: what they are drawn as."""
    kinds = kinds_of_interval(each.score for each in shown)
    note = f"{marks}: 95% intervals of the mean ({kinds}), {n_note(shown)}"
    bare = any(math.isnan(each.score.low) for each in shown)
    return f"{note}; one graded sample has no interval." if bare else f"{note}."


def missing_note(section: NamedSection, requested: Sequence[Run], shown: Sequence[Scored]) -> list[str]:
    """What has no score, of the runs requested and of those shown."""
    drawn = {each.run.path for each in shown}
    without = [section.label_of[run.path] for run in requested if run.path not in drawn]
    notes = [f"Not shown, without any score: {first_few(without)}."] if without else []
    return [*notes, *unscored_note(shown)]


def unscored_note(shown: Sequence[Scored]) -> list[str]:
    """How many of a run's samples have no score."""
    return left_out_note([(each.samples, len(each.run.samples)) for each in shown], "were not scored")


def failed_note(runs: Sequence[Run]) -> list[str]:
    """How many of a run's samples could not be run."""
    return left_out_note([(len(ran(run)), len(run.samples)) for run in runs], "could not be run")


def left_out_note(taken: Sequence[tuple[int, int]], why: str) -> list[str]:
    """How many of a run's samples the figure leaves out; `taken`: for each run, how many are shown of how many."""
    missing = _span([of - part for part, of in taken])
    if missing == "0":
        return []
    each = " per run" if len(taken) > 1 else ""
    return [f"Left out: {missing} of {_span([of for _, of in taken])} samples{each} that {why}."]


def samples_note(runs: Sequence[Run]) -> str:
    """`61 samples per run`, or from how many to how many."""
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
    """A figure of one section. `kind` and `parts` name its files, `caption` is in sentences, `runs` are behind it."""
    stem = file_stem(kind, section.key, *parts)
    return Figure(stem, f"{title}: {section.title}", " ".join(caption), sources(runs), plot)


def sources(runs: Iterable[Run]) -> tuple[Path, ...]:
    """The folders of the runs behind a figure."""
    return tuple(path for run in runs for path in run.paths)


def _span(numbers: Sequence[int]) -> str:
    fewest, most = min(numbers), max(numbers)
    return f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
