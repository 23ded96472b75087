"""Figures of a report, from records only: a file for each, in which `compute` makes arrays and `plot` draws them.

Importing this package loads matplotlib, which tables do not need.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from dlm_length.analysis.sections import Compared, Section
from dlm_length.records import EosProbabilities
from dlm_length.reports.figures.ablation import ablation
from dlm_length.reports.figures.canvas_lengths import lengths
from dlm_length.reports.figures.decoding import decoding
from dlm_length.reports.figures.eos_difference import eos_difference
from dlm_length.reports.figures.frontier import frontier
from dlm_length.reports.figures.heat import heat
from dlm_length.reports.figures.overview import overview
from dlm_length.reports.figures.predicted import predicted
from dlm_length.reports.figures.repetition import repetition
from dlm_length.reports.names import with_names
from dlm_length.reports.rendering.figure import Figure, numbered

__all__ = ["Figure", "eos_difference", "report_figures", "section_figures"]

_KINDS = (frontier, lengths, predicted, heat, ablation, decoding, repetition)


def report_figures(
    sections: Sequence[Compared], first_eos: Mapping[Path, EosProbabilities] | None = None
) -> list[Figure]:
    """The overview of all sections, then the figures of each section; no two have the same name.

    `first_eos`: see `section_figures`.
    """
    own = [figure for each in sections for figure in section_figures(each.section, first_eos)]
    return numbered([*overview(sections), *own])


def section_figures(section: Section, first_eos: Mapping[Path, EosProbabilities] | None = None) -> list[Figure]:
    """Every figure that the section's runs support, with names for readers.

    `first_eos`: EOS probabilities of the first forward of runs on a full canvas, by the run's folder.
    """
    named = with_names(section)
    figures = [figure for kind in _KINDS for figure in kind(named)]
    return figures + eos_difference(named, first_eos or {})
