"""What SmartCrop's length is worth: the score when the crop is made longer or shorter (SmartCrop's figure 2)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure as Picture
from matplotlib.ticker import FuncFormatter

from dlm_length.analysis.declarations import Declared, declared
from dlm_length.analysis.parameters import alike_but_for, held, parameters
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.reports.figures.figure import Figure, file_stem, numbered
from dlm_length.reports.figures.measures import Scored, interval_note, missing_note, scored, sources
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
    changed = {policy: own for policy in section.policies if (own := declared(policy)).variant_of and own.series_field}
    return numbered(figure for policy, own in changed.items() for figure in _figures(section, policy, own))


def _figures(section: Section, policy: str, own: Declared) -> Iterator[Figure]:
    assert own.variant_of is not None
    assert own.series_field is not None
    field, perturbed = own.series_field, section.of(policy)
    for group in alike_but_for(perturbed, [field]):
        runs = with_unperturbed(group, section.of(own.variant_of), field)
        found = find(section, runs, field)
        if len(found.deltas) < 2:
            continue
        others = held(group, perturbed, [field])
        crop = f"SmartCrop's crop ({others})" if others else "SmartCrop's crop"
        from_smartcrop = " The score at 0 is SmartCrop's own." if len(runs) > len(group) else ""
        caption = [
            f"Mean {section.metric} when {crop} is lengthened or shortened by a share delta of itself.{from_smartcrop}",
            interval_note(found.scores, "Band"),
            *missing_note(section, runs, found.scores),
        ]
        yield Figure(
            file_stem("delta", section.title),
            f"Perturbed crop: {section.title}{f' ({others})' if others else ''}",
            " ".join(caption),
            sources(each.run for each in found.scores),
            partial(draw, found, section.metric, own.variant_of),
        )


def with_unperturbed(group: Sequence[Run], unchanged: Sequence[Run], field: str) -> list[Run]:
    """Perturbed runs of one crop, with SmartCrop's own where none of them has delta 0."""
    if any(parameters(run)[field] == 0 for run in group):
        return list(group)
    crop = {name: value for name, value in parameters(group[0]).items() if name != field}
    return [*group, *[run for run in unchanged if parameters(run) == crop][:1]]


def find(section: Section, runs: Sequence[Run], field: str) -> Perturbation:
    """The scores of runs of one crop."""

    def delta_of(each: Scored) -> float:
        return float(parameters(each.run).get(field, 0.0))

    scores = sorted(scored(section, runs), key=delta_of)
    return Perturbation(tuple(map(delta_of, scores)), tuple(scores))


def draw(found: Perturbation, metric: str, policy: str) -> Picture:
    """A line with its band."""
    picture, axes = blank_axes()
    look = looks([policy])[policy]
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
