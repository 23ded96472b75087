"""Names of runs for readers of figures: `SmartCrop 256, τ = 0.9` for `smartcrop 256 tau 0.9`."""

import re
from collections.abc import Collection, Sequence

from dlm_length.analysis.parameters import format_value, parameters, single_valued, varying
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.reports.names import policy_name, symbol_of


def benchmark_of(section: Section) -> str:
    """Of all its runs."""
    return section.runs[0].metrics.benchmark


def run_name(run: Run, label: str) -> str:
    """The label of a run in its section, in names for readers: `SmartCrop 256, τ = 0.9`."""
    policy = run.metrics.policy
    if not f"{label} ".startswith(f"{policy} "):
        return label
    own = label.removeprefix(policy)
    for field, value in parameters(run).items():
        for spelled in dict.fromkeys((str(value), format_value(value))):
            own = re.sub(rf" {field} {re.escape(spelled)}(?=[ ,]|$)", f", {value_name(policy, field, value)}", own)
    return f"{policy_name(policy)}{own}"


def family_names(runs: Sequence[Run], labels: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What the runs of each policy have in common (`SmartCrop 256, by τ`), and what tells each run from those (`0.9`).

    `labels`: of the runs, in their section. The latter is empty for a policy's only run.
    """
    titles, own = {}, [""] * len(runs)
    for policy in dict.fromkeys(run.metrics.policy for run in runs):
        places = [place for place, run in enumerate(runs) if run.metrics.policy == policy]
        names = [re.findall(r"[^\s,]+|,", run_name(runs[place], labels[place])) for place in places]
        first = _shared(names)
        last = _shared([name[first:][::-1] for name in names])
        shared = [*names[0][:first], *names[0][len(names[0]) - last :]]
        fields = [symbol_of(policy, field) for field in varying([runs[place] for place in places])]
        by = f", by {' and '.join(fields)}" if len(places) > 1 and 0 < len(fields) < 3 else ""
        title = _joined(shared).removesuffix(" =")
        for field in fields:
            title = re.sub(rf",? {re.escape(field)}$", "", title)
        titles[policy] = f"{title.strip(' ,') or policy_name(policy)}{by}"
        for place, name in zip(places, names, strict=True):
            own[place] = _joined(name[first : len(name) - last]).strip(" ,")
    return titles, tuple(own)


def _joined(words: Sequence[str]) -> str:
    return " ".join(words).replace(" ,", ",")


def _shared(names: Sequence[Sequence[str]]) -> int:
    """How many words all begin with."""
    columns = zip(*names, strict=False)  # as many as the shortest has
    return next(
        (place for place, column in enumerate(columns) if len(set(column)) > 1), min(len(name) for name in names)
    )


def value_name(policy: str, field: str, value: object) -> str:
    """A field with its value: `τ = 0.9`, `no threshold`."""
    name = symbol_of(policy, field)
    return f"no {name}" if value is None else f"{name} = {value_text(value)}"


def value_text(value: object) -> str:
    """A parameter's value, as words where it is a name: `block any`."""
    return format_value(value).replace("_", " ")


def held_names(run: Run, others: Sequence[Run], apart: Collection[str]) -> str:
    """What tells a run from the others of its policy, but for the fields `apart`: `τ = 0.9`, or nothing."""
    own = parameters(run)
    return ", ".join(
        value_name(run.metrics.policy, name, own[name])
        for name in single_valued(others)
        if name not in apart and name in own
    )
