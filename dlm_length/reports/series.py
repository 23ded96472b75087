"""Runs that differ in one field of their policy."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dlm_length.reports.collection import Section, sortable
from dlm_length.reports.comparison import Run, flat


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
    fields = {run.path: dict(flat(run.config["policy"])) for run in runs}
    names = sorted({name for own in fields.values() for name in own})
    varying = [name for name in names if len({_text(own.get(name)) for own in fields.values()}) > 1]
    for field in varying:
        alike: dict[str, list[Run]] = defaultdict(list)
        for run in runs:
            alike[_text({name: fields[run.path].get(name) for name in varying if name != field})].append(run)
        for group in alike.values():
            if len(group) > 1:
                group.sort(key=lambda run: sortable(fields[run.path].get(field)))
                values = tuple(fields[run.path].get(field) for run in group)
                here = fields[group[0].path]
                yield Series(
                    policy, field, values, tuple(group), tuple((n, here.get(n)) for n in varying if n != field)
                )


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
