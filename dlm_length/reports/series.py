"""Runs that differ in one field of their policy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dlm_length.reports.collection import Section, sortable
from dlm_length.reports.comparison import Run
from dlm_length.reports.varied import alike_but_for, parameters, varying


@dataclass(frozen=True)
class Series:
    """Runs of one policy under several values of one field, all else equal; in ascending order."""

    policy: str
    field: str
    values: tuple[Any, ...]
    runs: tuple[Run, ...]
    among: tuple[tuple[str, Any], ...]
    """Other fields that vary in the section, with their values here."""

    @property
    def title(self) -> str:
        """The policy, the field, and the values here of the other fields that vary."""
        others = ", ".join(f"{field} {value}" for field, value in self.among)
        return f"{self.policy}, {self.field}{f' ({others})' if others else ''}"


def series_of(section: Section) -> list[Series]:
    """Every series of two runs or more, by policy and field."""
    policies = dict.fromkeys(run.metrics.policy for run in section.runs)
    return [series for policy in policies for series in _of_policy(policy, section.of(policy))]


def _of_policy(policy: str, runs: tuple[Run, ...]) -> Iterator[Series]:
    varied = sorted(varying(runs))
    for field in varied:
        for group in alike_but_for(runs, [field]):
            if len(group) > 1:
                pairs = [(parameters(run).get(field), run) for run in group]
                values, ordered = zip(*sorted(pairs, key=lambda pair: sortable(pair[0])), strict=True)
                own = parameters(ordered[0])
                yield Series(policy, field, values, ordered, tuple((n, own.get(n)) for n in varied if n != field))
