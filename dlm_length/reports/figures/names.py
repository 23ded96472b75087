"""Names for readers, in place of those in configs: SmartCrop for smartcrop, τ for tau."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import suppress

from dlm_length.analysis.parameters import parameters, single_valued, told, varying
from dlm_length.analysis.runs import Run
from dlm_length.analysis.sections import Section
from dlm_length.benchmarks import benchmarks
from dlm_length.policies import policies


def policy_name(policy: str) -> str:
    """`SmartCrop` for `smartcrop`: as the paper spells it, where the policy has its name; else the name in words."""
    method = policies()[policy].source.partition(",")[0] if policy in policies() else ""
    return _greek(method if _plain(method) == _plain(policy) else policy)


def benchmark_name(benchmark: str) -> str:
    """`HumanEval` for `humaneval`."""
    spelled = benchmarks()[benchmark].__name__ if benchmark in benchmarks() else ""
    return spelled if _plain(spelled) == _plain(benchmark) else benchmark


def model_name(model: str) -> str:
    """The checkpoint's own name."""
    return model


def metric_name(metric: str, benchmark: str) -> str:  # noqa: ARG001 (a benchmark may have a name of its own for it)
    """`exact match` for `exact_match`."""
    return _greek(metric)


def symbol_of(policy: str, parameter: str) -> str:  # noqa: ARG001 (a policy may have a symbol of its own for it)
    """`τ` for the `tau` of `smartcrop`; of a parameter without a symbol, its name in words."""
    return _greek(parameter)


def section_name(section: Section) -> str:
    """A section's title in names for readers: benchmark and model, and what else tells it from the others."""
    metrics = section.runs[0].metrics
    apart = section.title.removeprefix(f"{metrics.benchmark}, {metrics.model}")
    return f"{benchmark_name(metrics.benchmark)}, {model_name(metrics.model)}{apart}"


def benchmark_of(section: Section) -> str:
    """Of all its runs."""
    return section.runs[0].metrics.benchmark


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
        for spelled in dict.fromkeys((str(value), told(value))):
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
    return told(value).replace("_", " ")


def held_names(run: Run, others: Sequence[Run], apart: Collection[str]) -> str:
    """What tells a run from the others of its policy, but for the fields `apart`: `τ = 0.9`, or nothing."""
    own = parameters(run)
    return ", ".join(
        value_name(run.metrics.policy, name, own[name])
        for name in single_valued(others)
        if name not in apart and name in own
    )
