"""What SmartCrop's length is worth: the score when the crop is made longer or shorter (SmartCrop's figure 2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter

from dlm_length.analysis.parameters import alike_but_for, held, parameters
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.figure import Figure, numbered
from dlm_length.reports.figures.measures import Scored, interval_note, missing_note, scored, sources
from dlm_length.reports.figures.naming import file_stem
from dlm_length.reports.figures.style import blank_axes, looks, score_axis


@dataclass(frozen=True)
class Perturbation:
    """A crop's score by how much of itself it was changed."""

    deltas: tuple[float, ...]
    """Ascending."""
    scores: tuple[Scored, ...]
    """One a delta."""


def delta(section: Section) -> list[Figure]:
    """Score against delta, a figure for each crop that was perturbed; nothing for fewer than two deltas."""
    perturbed = section.of("perturbed")
    figures = []
    for group in alike_but_for(perturbed, ["delta"]):
        runs = with_unperturbed(group, section.of("smartcrop"))
        found = find(section, runs)
        if len(found.deltas) < 2:
            continue
        others = held(group, perturbed, ["delta"])
        crop = f"SmartCrop's crop ({others})" if others else "SmartCrop's crop"
        from_smartcrop = " The score at 0 is SmartCrop's own." if len(runs) > len(group) else ""
        caption = [
            f"Mean {section.metric} when {crop} is lengthened or shortened by a share delta of itself.{from_smartcrop}",
            interval_note(found.scores, "Band"),
            *missing_note(section, runs, found.scores),
        ]
        figures.append(
            Figure(
                file_stem("delta", section.title),
                f"Perturbed crop: {section.title}{f' ({others})' if others else ''}",
                " ".join(caption),
                sources(each.run for each in found.scores),
                partial(draw, found, section.metric),
            )
        )
    return numbered(figures)


def with_unperturbed(group: Sequence[Run], smartcrop: Sequence[Run]) -> list[Run]:
    """Perturbed runs of one crop, with SmartCrop's own where none of them has delta 0."""
    if any(parameters(run)["delta"] == 0 for run in group):
        return list(group)
    crop = {field: value for field, value in parameters(group[0]).items() if field != "delta"}
    return [*group, *[run for run in smartcrop if parameters(run) == crop][:1]]


def find(section: Section, runs: Sequence[Run]) -> Perturbation:
    """The scores of runs of one crop."""
    scores = sorted(scored(section, runs), key=_delta)
    return Perturbation(tuple(map(_delta, scores)), tuple(scores))


def _delta(each: Scored) -> float:
    return float(parameters(each.run).get("delta", 0.0))


def draw(found: Perturbation, metric: str) -> Picture:
    """A line with its band."""
    picture, axes = blank_axes()
    look = looks(["smartcrop"])["smartcrop"]
    estimates = [each.score for each in found.scores]
    axes.fill_between(
        found.deltas,
        [estimate.low for estimate in estimates],
        [estimate.high for estimate in estimates],
        color=look.colour,
        alpha=0.2,
        linewidth=0,
    )
    axes.plot(found.deltas, [estimate.value for estimate in estimates], color=look.colour, marker=look.marker)
    axes.axvline(0, color="0.4", linestyle=":", linewidth=0.8)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.0f}%" if value else "0"))
    axes.set_xlabel("change of the crop's length (delta)")
    score_axis(axes, metric)
    return picture
