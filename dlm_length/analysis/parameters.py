"""The parameters that distinguish runs: labels, the parameters that vary, and the series that they make."""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from dlm_length.analysis.repeats import seeds_label
from dlm_length.analysis.runs import Run, differences, flat
from dlm_length.policies.base import Policy

_TEMPERATURE = "temperature"

Value = bool | int | float | str | None
"""The value of a parameter that can be an axis."""


def parameters(run: Run) -> dict[str, Any]:
    """The parameters of a run's policy, by field."""
    return {field: value for field, value in run.config["policy"].items() if field != "name"}


def varying(runs: Iterable[Run]) -> list[str]:
    """The parameters that differ among runs of one policy, in the order of their configs."""
    own = [parameters(run) for run in runs]
    fields = dict.fromkeys(chain.from_iterable(own))
    return [field for field in fields if len({_text(each.get(field)) for each in own}) > 1]


def single_valued(runs: Sequence[Run]) -> list[str]:
    """The parameters that differ among runs of one policy and can be axes."""
    return [field for field in varying(runs) if all(isinstance(parameters(run).get(field), Value) for run in runs)]


def alike_but_for(runs: Iterable[Run], fields: Collection[str]) -> list[list[Run]]:
    """Runs of one policy in groups that are equal in all parameters except these."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[_text({field: value for field, value in parameters(run).items() if field not in fields})].append(run)
    return list(groups.values())


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs of one policy in the order of the parameter that they differ in; empty unless it is exactly one."""
    fields = varying(runs)
    if len(fields) != 1 or fields != single_valued(runs):
        return []
    by_value = {parameters(run).get(fields[0]): run for run in runs}
    return [by_value[value] for value in ascending(by_value)]


def ascending(values: Iterable[Value]) -> list[Value]:
    """Distinct values: numbers by size, then words."""
    return sorted(dict.fromkeys(values), key=sortable)


def is_number(value: Value) -> bool:
    """Whether a value has a place on an axis of numbers: a number that is not a Boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def format_value(value: Any) -> str:
    """A parameter's value as in the YAML."""
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def exact_text(value: Any) -> str:
    """A value with every digit, so that no two values have the same name."""
    return value if isinstance(value, str) else json.dumps(value)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def sortable(value: Any) -> tuple[int, float, str]:
    """A key that orders numbers as numbers, and other values after them as text."""
    if isinstance(value, int | float):
        return 0, value, ""  # not as a float, which cannot represent every integer
    return 1, 0.0, str(value)


@dataclass(frozen=True)
class Series:
    """Runs of one policy with several values of one field, in ascending order; all other fields are equal."""

    policy: str
    field: str
    values: tuple[Any, ...]
    runs: tuple[Run, ...]
    among: tuple[tuple[str, Any], ...]
    """Other fields that vary in the section, with their values in this series."""

    @property
    def key(self) -> str:
        """Identifies the series in its section: policy, field, and the values of other fields that vary."""
        others = ", ".join(f"{field} {value}" for field, value in self.among)
        return f"{self.policy}, {self.field}{f' ({others})' if others else ''}"


def series_of(runs: Sequence[Run]) -> list[Series]:
    """Every series of two or more runs among the runs of a section, by policy and field."""
    policies = dict.fromkeys(run.metrics.policy for run in runs)
    return [
        series
        for policy in policies
        for series in _of_policy(policy, [run for run in runs if run.metrics.policy == policy])
    ]


def _of_policy(policy: str, runs: Sequence[Run]) -> Iterator[Series]:
    varied = sorted(varying(runs))
    for field in varied:
        for group in alike_but_for(runs, [field]):
            if len(group) > 1:
                pairs = [(parameters(run).get(field), run) for run in group]
                values, ordered = zip(*sorted(pairs, key=lambda pair: sortable(pair[0])), strict=True)
                own = parameters(ordered[0])
                yield Series(policy, field, values, ordered, tuple((n, own.get(n)) for n in varied if n != field))


def labels_of(runs: Sequence[Run]) -> list[str]:
    """The policies' labels, with the fields that distinguish runs of equal labels.

    All labels have temperature and seeds where these differ among the runs, as they limit what can be compared.
    """
    labels = [run.metrics.policy_label for run in runs]
    always = {_TEMPERATURE} if len({run.config["policy"].get(_TEMPERATURE, 0.0) for run in runs}) > 1 else set[str]()
    seeds = len({run.seeds for run in runs}) > 1
    distinct = distinct_labels(labels, [run.config["policy"] for run in runs], always)
    named = []
    for run, label, full in zip(runs, labels, distinct, strict=True):
        twins = [other for other, theirs in zip(runs, labels, strict=True) if theirs == label]
        named.append(" ".join([full, *([seeds_label(run)] if seeds else []), *_other_dtype(run, twins)]))
    return list(numbered(named, " [{}]"))


def distinct_labels(
    labels: Sequence[str], policies: Sequence[Mapping[str, Any]], always: Collection[str] = ()
) -> list[str]:
    """The labels, with the parameters in which policies of equal labels differ.

    `policies`: the fields of each label's policy, which can be nested. `always`: fields that every label gets. A field
    is left out where a policy does not have it.
    """
    found = []
    for label, policy in zip(labels, policies, strict=True):
        twins = [other for other, theirs in zip(policies, labels, strict=True) if theirs == label]
        fields = {field for other in twins for field in differences(policy, other)} | set(always)
        own = dict(flat(policy))
        found.append(" ".join([label, *(f"{field} {own[field]}" for field in sorted(fields & own.keys()))]))
    return found


def overrides_of(policy: Policy) -> str:
    """The arguments of a command line that give any config this policy.

    These are the fields that are not at their defaults, and always the length, as the config can have another.
    """
    fields = type(policy).model_fields
    given = {field: value for field, value in policy if field == "length" or value != fields[field].default}
    return " ".join(f"policy.{field}={format_value(value)}" for field, value in ({"name": policy.name} | given).items())


def _other_dtype(run: Run, twins: Sequence[Run]) -> list[str]:
    """The run's dtype, if it distinguishes it from other runs of the same label."""
    own, *others = (str((each.config.get("hardware") or {}).get("dtype")) for each in (run, *twins))
    return [own] if any(other != own for other in others) else []


def numbered(names: Sequence[str], form: str) -> Iterator[str]:
    """The same names; those that occur more than once are followed by a number, in the given form."""
    total, met = Counter(names), Counter[str]()
    for name in names:
        met[name] += 1
        yield name + form.format(met[name]) if total[name] > 1 else name
