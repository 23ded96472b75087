"""Which parameters of a policy were varied: what series and grids are made of, found in the configs of runs."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any

from dlm_length.reports.collection import sortable
from dlm_length.reports.comparison import Run

Value = bool | int | float | str | None
"""Of a parameter that can be an axis."""


def parameters(run: Run) -> dict[str, Any]:
    """Of its policy, by field."""
    return {field: value for field, value in run.config["policy"].items() if field != "name"}


def varying(runs: Iterable[Run]) -> list[str]:
    """The parameters that differ among runs of one policy, in the order of their configs."""
    own = [parameters(run) for run in runs]
    fields = dict.fromkeys(chain.from_iterable(own))
    return [field for field in fields if len({_text(each.get(field)) for each in own}) > 1]


def single_valued(runs: Sequence[Run]) -> list[str]:
    """Those of them that can be axes."""
    return [field for field in varying(runs) if all(isinstance(parameters(run).get(field), Value) for run in runs)]


def alike_but_for(runs: Iterable[Run], fields: Collection[str]) -> list[list[Run]]:
    """Runs of one policy in groups that differ in no other parameter than these."""
    groups: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        groups[_text({field: value for field, value in parameters(run).items() if field not in fields})].append(run)
    return list(groups.values())


def in_order(runs: Sequence[Run]) -> list[Run]:
    """Runs of one policy by the one parameter that they differ in; nothing where it is not one."""
    fields = varying(runs)
    if len(fields) != 1 or fields != single_valued(runs):
        return []
    by_value = {parameters(run).get(fields[0]): run for run in runs}
    return [by_value[value] for value in ascending(by_value)]


def ascending(values: Iterable[Value]) -> list[Value]:
    """Distinct values: numbers by size, then words."""
    return sorted(dict.fromkeys(values), key=sortable)


def is_number(value: Value) -> bool:
    """Whether it has a place on an axis of numbers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def told(value: Any) -> str:
    """A parameter's value as in the YAML."""
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else json.dumps(value)


def held(group: Sequence[Run], others: Sequence[Run], fields: Collection[str]) -> str:
    """What tells a group of runs from the others of its policy: `tau_eos 0.5, expansion_factor 8`, or nothing."""
    own = parameters(group[0])
    differing = [field for field in single_valued(others) if field not in fields]
    return ", ".join(f"{field} {told(own[field])}" for field in differing if field in own)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
