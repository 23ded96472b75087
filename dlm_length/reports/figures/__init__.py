"""Figures of a report, from records alone: a file for each, where `compute` makes arrays and `plot` draws them.

A package of its own: it loads matplotlib, which tables do without.
"""

from collections.abc import Mapping
from pathlib import Path

from dlm_length.analysis.sections import Section
from dlm_length.records import EosProbabilities
from dlm_length.reports.figures.ablation import ablation
from dlm_length.reports.figures.eos_difference import eos_difference
from dlm_length.reports.figures.frontier import frontier
from dlm_length.reports.figures.heat import heat
from dlm_length.reports.figures.lengths import lengths
from dlm_length.reports.figures.predicted import predicted
from dlm_length.reports.rendering.figure import Figure

__all__ = ["Figure", "eos_difference", "section_figures"]

_KINDS = (frontier, lengths, predicted, heat, ablation)


def section_figures(section: Section, first_eos: Mapping[Path, EosProbabilities] | None = None) -> list[Figure]:
    """Every figure that the section's runs can support.

    `first_eos`: EOS probabilities of the first forward of runs on a full canvas, by the run's folder.
    """
    figures = [figure for kind in _KINDS for figure in kind(section)]
    return figures + eos_difference(section, first_eos or {})
