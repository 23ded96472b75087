"""What the tables are made from: sections, with every run held against the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlm_length.reports.collection import Section
from dlm_length.reports.comparison import USUAL, Comparison, Run, Testing, compare_all
from dlm_length.stats import StatisticsError


@dataclass(frozen=True)
class Compared:
    """A section with every run but the baseline held against it."""

    section: Section
    comparisons: Mapping[Path, Comparison]
    """By the run's folder; empty without a baseline."""
    testing: Testing = USUAL
    """How they were tested."""

    def of(self, run: Run) -> Comparison:
        return self.comparisons.get(run.path, Comparison(None, None, None))


def compared(sections: Sequence[Section], testing: Testing = USUAL) -> list[Compared]:
    """Every section's runs against its baseline. Raises StatisticsError where the test of the stars does not apply."""
    made = []
    for section in sections:
        others = section.others if section.baseline is not None else ()
        try:
            found = [] if section.baseline is None else compare_all(others, section.baseline, testing=testing)
        except StatisticsError as error:
            raise StatisticsError(f"{section.title}, stars by {testing.stars_by}: {error}") from error
        by_run = {run.path: each for run, each in zip(others, found, strict=True)}
        made.append(Compared(section, by_run, testing))
    return made
