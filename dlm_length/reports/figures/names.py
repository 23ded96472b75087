"""Names for readers, in place of those in configs: SmartCrop for smartcrop, τ for tau."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Literal

from dlm_length.analysis.parameters import format_value, parameters, single_valued, varying
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.benchmarks import benchmarks
from dlm_length.policies import policies

Kind = Literal["policy", "benchmark", "model", "metric", "field"]


def display_name(kind: Kind, name: str) -> str:
    """The name that figures have for a policy, a benchmark, a model, a metric or a policy's field."""
    if kind == "policy" and name in policies():
        method = policies()[name].source.partition(",")[0]  # a paper's own spelling, where the policy has its name
        return _greek(method if _plain(method) == _plain(name) else name)
    if kind == "benchmark" and name in benchmarks():
        spelled = benchmarks()[name].__name__
        return spelled if _plain(spelled) == _plain(name) else name
    return name if kind in ("benchmark", "model") else _greek(name)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _greek(name: str) -> str:
    """Words with spaces between them, a Greek letter that is spelled out at the beginning as that letter."""
    first, *rest = re.split(r"[_ ]|(?=-)", name)
    with suppress(KeyError):  # of words that are no Greek letter
        first = unicodedata.lookup(f"GREEK SMALL LETTER {first.upper()}")
    return " ".join([first, *rest]).replace(" -", "-")


def run_name(run: Run, label: str) -> str:
    """The label of a run in its section, in names for readers: `SmartCrop 256, τ = 0.9`."""
    policy = run.metrics.policy
    if not f"{label} ".startswith(f"{policy} "):
        return label
    own = label.removeprefix(policy)
    for field, value in parameters(run).items():
        for spelled in dict.fromkeys((str(value), format_value(value))):
            own = re.sub(rf" {field} {re.escape(spelled)}(?=[ ,]|$)", f", {value_name(field, value)}", own)
    return f"{display_name('policy', policy)}{own}"


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
        fields = [display_name("field", field) for field in varying([runs[place] for place in places])]
        by = f", by {' and '.join(fields)}" if len(places) > 1 and 0 < len(fields) < 3 else ""
        title = _joined(shared).removesuffix(" =")
        for field in fields:
            title = re.sub(rf",? {re.escape(field)}$", "", title)
        titles[policy] = f"{title.strip(' ,') or display_name('policy', policy)}{by}"
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


def value_name(field: str, value: object) -> str:
    """A field with its value: `τ = 0.9`, `no threshold`."""
    name = display_name("field", field)
    return f"no {name}" if value is None else f"{name} = {format_value(value).replace('_', ' ')}"


def held_names(run: Run, others: Sequence[Run], apart: Collection[str]) -> str:
    """What tells a run from the others of its policy, but for the fields `apart`: `τ = 0.9`, or nothing."""
    own = parameters(run)
    return ", ".join(value_name(name, own[name]) for name in single_valued(others) if name not in apart and name in own)


def section_name(section: Section) -> str:
    """A section's title in names for readers: benchmark and model, and what else tells it from the others."""
    benchmark, model = section.runs[0].metrics.benchmark, section.runs[0].metrics.model
    named = f"{display_name('benchmark', benchmark)}, {display_name('model', model)}"
    return section.title.replace(f"{benchmark}, {model}", named, 1)
