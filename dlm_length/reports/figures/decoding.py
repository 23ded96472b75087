"""Length policies by decodings: the score and the cost of every combination."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as MplFigure
from numpy.typing import NDArray

from dlm_length.analysis.decodings import PLAIN, decoding_of, decoding_text, length_label
from dlm_length.analysis.parameters import parameters
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.denoising import Decoder
from dlm_length.reports.figures.drawing import LIGHTNESS, PAGE, SMALL, TALLEST, blank, shown, two_lines
from dlm_length.reports.figures.heat import colour_ends, widest_interval
from dlm_length.reports.figures.marks import write_cells
from dlm_length.reports.figures.measures import Scored, mean_flops, n_note, scored, sources, unscored_note
from dlm_length.reports.figures.names import benchmark_of, held_names, run_name, value_name
from dlm_length.reports.names import metric_name, section_name
from dlm_length.reports.rendering.figure import Figure, file_stem

_CELL = 0.28
"""Inches, the height of a row."""
_AROUND = 1.1
"""Inches above and below the cells."""
_LONGEST = 28


@dataclass(frozen=True, eq=False)
class Decoding:
    """Scored runs by length policy and decoding."""

    lengths: tuple[str, ...]
    """Rows, for readers."""
    decodings: tuple[str, ...]
    """Columns, plain decoding first."""
    score: NDArray[np.float64]
    """(lengths, decodings), means; NaN where nothing was run or scored."""
    relative_flops: NDArray[np.float64]
    """(lengths, decodings), mean reference FLOPs in per cent of the baseline's; NaN as `score`."""
    widest: float
    """The widest 95% interval of a score, from end to end; NaN without intervals."""
    metric: str


def decoding(section: Section) -> list[Figure]:
    """The grid of a section whose runs have two decodings or more, and a score."""
    cells = _cells(section)
    if section.baseline is None or not any(decoding_of(each.run) for each in cells):
        return []
    data = compute(section)
    hatched = bool(np.isnan(data.score).any())
    on = run_name(section.baseline, section.label_of[section.baseline.path])
    caption = [
        f"Left: mean {data.metric}, {n_note(cells)}. Right: mean reference FLOPs per sample, in per cent of {on}.",
        "plain: no threshold, stop rule, early commit, adaptive blocks or cache.",
        *(["Hatched: not run, or not scored."] if hatched else []),
        *unscored_note(cells),
    ]
    return [
        Figure(
            file_stem("decoding", section.title),
            f"Length policies by decoding: {section_name(section)}",
            " ".join(caption),
            sources(each.run for each in cells),
            partial(plot, data),
        )
    ]


def _cells(section: Section) -> list[Scored]:
    """The scored runs of every length policy with two decodings or more, and of the baseline's."""
    cells = scored(section, section.runs)
    lengths = _length_names([each.run for each in cells])
    decodings: dict[str, set[str]] = defaultdict(set)
    for each in cells:
        decodings[lengths[each.run.path]].add(decoding_text(each.run))
    several = [each for each in cells if len(decodings[lengths[each.run.path]]) > 1]
    return [each for each in cells if several and (each in several or each.run is section.baseline)]


def compute(section: Section) -> Decoding:
    """Scores and costs by length policy and decoding; of several runs in one cell, the first."""
    cells = _cells(section)
    lengths = _length_names([each.run for each in cells])
    by_count = sorted(cells, key=lambda each: (len(decoding_of(each.run)), decoding_text(each.run)))
    rows = list(dict.fromkeys(lengths.values()))
    columns = list(dict.fromkeys(_decoding_name(each.run) for each in by_count))
    score, flops = np.full((2, len(rows), len(columns)), np.nan)
    whole = np.nan if section.baseline is None else mean_flops(section.baseline)
    for each in reversed(cells):
        place = rows.index(lengths[each.run.path]), columns.index(_decoding_name(each.run))
        score[place] = each.score.value
        flops[place] = 100 * mean_flops(each.run) / whole if whole else np.nan
    metric = metric_name(section.metric, benchmark_of(section))
    return Decoding(tuple(rows), tuple(columns), score, flops, widest_interval(cells), metric)


def _decoding_name(run: Run) -> str:
    return ", ".join(value_name(run.metrics.policy, field, value) for field, value in decoding_of(run).items()) or PLAIN


def _length_names(runs: Sequence[Run]) -> dict[Path, str]:
    """The length policy of each run without its decoding, by folder; fields are added where these would be equal."""
    groups: dict[tuple[str, str], list[Run]] = defaultdict(list)
    for run in runs:
        own = {field: value for field, value in parameters(run).items() if field not in Decoder.decoding_fields()}
        groups[run.metrics.policy, json.dumps(own, sort_keys=True)].append(run)
    firsts = {key: group[0] for key, group in groups.items()}
    bare = {key: run_name(run, length_label(run, run.metrics.policy_label)) for key, run in firsts.items()}
    names: dict[Path, str] = {}
    for key, group in groups.items():
        twins = [firsts[other] for other in groups if bare[other] == bare[key]]
        apart = held_names(firsts[key], twins, Decoder.decoding_fields()) if len(twins) > 1 else ""
        names |= {run.path: f"{bare[key]}, {apart}" if apart else bare[key] for run in group}
    return names


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
            [two_lines(text, _LONGEST) for text in data.decodings],
            rotation=35,
            ha="right",
            rotation_mode="anchor",
            fontsize=SMALL,
        )
    left.set_yticks(
        np.arange(len(data.lengths)) + 0.5,
        [two_lines(text, _LONGEST) for text in reversed(data.lengths)],
        fontsize=SMALL + 0.5,
    )
    return figure
