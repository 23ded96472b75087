"""Names for readers: of policies, benchmarks, models and metrics, in tables, figures and captions.

They come from what policies and benchmarks declare (`title`, `symbols`, `metric_title`; those of installed
distributions too), and a labels file can give others. A model is called by its checkpoint. All are plain text, in
which Greek letters stand as such: `SmartCrop, τ = 0.9`. LaTeX sets that as formulas by itself.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from dlm_length.analysis.parameters import numbered
from dlm_length.analysis.repeats import seeds_label
from dlm_length.analysis.runs import Run, differences, flat
from dlm_length.analysis.sections import Section
from dlm_length.benchmarks import Benchmark, benchmarks
from dlm_length.common import ConfigError, listing, suggestion
from dlm_length.config.issues import RefusedError, config_error
from dlm_length.config.tree import Entry
from dlm_length.config.yaml import read_mapping
from dlm_length.policies import policies

_EXAMPLE = "policies: {smartcrop: SmartCrop}"


@dataclass(frozen=True)
class Labels:
    """Names that were chosen for a report, by ours."""

    policies: Mapping[str, str] = field(default_factory=dict)
    """By a policy's name, or by the label of one of its runs: `smartcrop 128 tau 0.9`."""
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)


OURS = Labels()
"""None chosen: the names that are declared."""


def policy_name(policy: str, labels: Labels = OURS) -> str:
    """`SmartCrop` for `smartcrop`."""
    known = policies().get(policy)
    return labels.policies.get(policy) or _own_title(known) or _in_words(policy)


def benchmark_name(benchmark: str, labels: Labels = OURS) -> str:
    """`GSM8K` for `gsm8k`."""
    known = benchmarks().get(benchmark)
    return labels.benchmarks.get(benchmark) or _own_title(known) or _in_words(benchmark)


def _own_title(known: type | None) -> str:
    """What a class declares itself: one that is made from another, as in a plugin, is not that one."""
    return "" if known is None else vars(known).get("title", "")


def model_name(model: str, labels: Labels = OURS) -> str:
    """The checkpoint's own name, such as `LLaDA-8B-Instruct`."""
    return labels.models.get(model, model)


def metric_name(metric: str, benchmark: str, labels: Labels = OURS) -> str:
    """`accuracy` for the `exact_match` of `gsm8k`; of a metric that is not the benchmark's main one, its own name."""
    known = benchmarks().get(benchmark)
    title = known.metric_title if known and _declared_metric(known) == metric else ""
    return labels.metrics.get(metric) or title or _in_words(metric)


def symbol_of(policy: str, parameter: str) -> str:
    """`τ` for the `tau` of `smartcrop`; of a parameter without a symbol, its name in words, `τ high` for `tau_high`."""
    known = policies().get(policy)
    return (known.symbols if known else {}).get(parameter) or _greek(parameter)


def run_names(section: Section, labels: Labels = OURS) -> tuple[str, ...]:
    """Of the runs of a section, each a different one: the policy with what tells it from the section's other runs.

    That is the field that its policy is made to be swept over, a baseline's length, and whatever differs from another
    run of the policy.
    """
    seeds = len({run.seeds for run in section.runs}) > 1
    names = []
    for run, label in zip(section.runs, section.labels, strict=True):
        if chosen := labels.policies.get(label):
            names.append(chosen)
            continue
        parts = [policy_name(run.metrics.policy, labels), *_shown_parameters(run, section)]
        names.append(", ".join([*parts, *([seeds_label(run)] if seeds else [])]))
    return tuple(numbered(names, " [{}]"))


def section_name(section: Section, labels: Labels = OURS) -> str:
    """`GSM8K, LLaDA-8B-Instruct`, with what else tells the section from others of the report."""
    metrics = section.runs[0].metrics
    apart = section.title.removeprefix(f"{metrics.benchmark}, {metrics.model}")
    return f"{benchmark_name(metrics.benchmark, labels)}, {model_name(metrics.model, labels)}{apart}"


def with_names(section: Section, labels: Labels = OURS) -> Section:
    """The section as readers know it: its title, and the labels of its runs."""
    return replace(section, title=section_name(section, labels), labels=run_names(section, labels))


def _shown_parameters(run: Run, section: Section) -> list[str]:
    own = dict(flat(run.config["policy"]))
    always = {run.declared.series_field} | ({"length"} if run.declared.role == "baseline" else set())
    alike = section.of(run.metrics.policy)
    differing = {name for other in alike for name in differences(run.config["policy"], other.config["policy"])}
    shown = [name for name in own if name in always | differing and name != "name"]
    return [_setting(symbol_of(run.metrics.policy, name), own[name]) for name in shown]


def _setting(symbol: str, value: Any) -> str:
    if isinstance(value, bool):
        return symbol if value else f"no {symbol}"
    if isinstance(value, int | float):
        return f"{symbol} = {value:g}" if isinstance(value, float) else f"{symbol} = {value}"
    return f"{symbol} {'none' if value is None else _in_words(str(value))}"


def _greek(name: str) -> str:
    """In words, of which a first one that spells a Greek letter is that letter."""
    first, *rest = name.split("_")
    with suppress(KeyError):  # of words that are no Greek letter
        first = unicodedata.lookup(f"GREEK SMALL LETTER {first.upper()}")
    return " ".join([first, *rest])


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def read_labels(file: Path, sections: Iterable[Section]) -> Labels:
    """The names that a YAML file chooses: mappings `policies`, `benchmarks`, `models`, `metrics`, from ours to these.

    Raises ConfigError, by file and line, for a file that is none, for what is no text, and for a name of ours that
    neither these sections nor the installed policies and benchmarks have.
    """
    allowed = _allowed(list(sections))
    try:
        entry = read_mapping(file, such_as=_EXAMPLE)
    except RefusedError as error:
        raise config_error(str(file), [error.issue]) from error
    _check_keys(entry, "", list(allowed))
    chosen: dict[str, dict[str, str]] = {}
    for kind, names in entry.value.items():
        if not names.is_mapping:
            raise ConfigError(f"{names.place}: {kind}: a mapping of names belongs here, such as {_EXAMPLE}.")
        _check_keys(names, kind, allowed[kind])
        for name, given in names.value.items():
            if not given.as_text:
                raise ConfigError(f"{given.place}: {kind}.{name}: found {given.plain()!r}; allowed: a text.")
        chosen[kind] = {name: given.as_text for name, given in names.value.items()}
    return Labels(**chosen)


def _declared_metric(benchmark: type[Benchmark]) -> str | None:
    """The main metric of a benchmark; None where its fields decide it."""
    declared = getattr(benchmark, "metric", None)
    return declared if isinstance(declared, str) else None


def _allowed(sections: Sequence[Section]) -> dict[str, list[str]]:
    """Names of ours that a labels file can have, by kind: those of the report's runs first."""
    runs = [run.metrics for section in sections for run in section.runs]
    labels = [label for section in sections for label in section.labels]
    installed = benchmarks()
    names: dict[str, Iterable[str]] = {
        "policies": [*(run.policy for run in runs), *labels, *policies()],
        "benchmarks": [*(run.benchmark for run in runs), *installed],
        "models": [run.model for run in runs],
        "metrics": [*(run.metric for run in runs), *filter(None, map(_declared_metric, installed.values()))],
    }
    assert list(names) == [each.name for each in fields(Labels)], "a kind of name for each field"
    return {kind: list(dict.fromkeys(each)) for kind, each in names.items()}


def _check_keys(entry: Entry, kind: str, allowed: Sequence[str]) -> None:
    for name, value in entry.value.items():
        if name not in allowed:
            where = f"{kind}." if kind else ""
            raise ConfigError(
                f"{value.place}: {where}{name}: allowed are {listing(allowed)}.{suggestion(name, allowed)}"
            )
