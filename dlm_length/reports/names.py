"""Names for readers: of sections, runs, policies, benchmarks, models and metrics, wherever a report has them.

Policies and benchmarks declare them (`title`, `symbols`, `metric_title`), also those of installed distributions; a file
of labels can choose others. A model has the name of its checkpoint. All are plain text with Greek letters, such as
`SmartCrop, τ = 0.9`, which the LaTeX renderer sets as a formula.

Figures, findings, samples and tables for readers are made from a `NamedSection`, which has these names; tables for
programs from a plain `Section`, whose names are those of configs and options.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dlm_length.analysis.decodings import PLAIN, decoding_of
from dlm_length.analysis.parameters import (
    Series,
    exact_text,
    format_value,
    is_number,
    numbered,
    parameters,
    single_valued,
    varying,
)
from dlm_length.analysis.repeats import seeds_label
from dlm_length.analysis.runs import Run, differences, flat
from dlm_length.analysis.sections import Compared, Section
from dlm_length.benchmarks import Benchmark, benchmarks
from dlm_length.common import ConfigError, listing, suggestion
from dlm_length.config.issues import RefusedError, config_error
from dlm_length.config.tree import Entry
from dlm_length.config.yaml import read_mapping
from dlm_length.denoising import Decoder
from dlm_length.policies import policies
from dlm_length.stats import Estimate

_EXAMPLE = "policies: {smartcrop: SmartCrop}"


@dataclass(frozen=True)
class Labels:
    """Names that a user chose, by the names that configs have."""

    policies: Mapping[str, str] = field(default_factory=dict)
    """By a policy's name, or by the label of one of its runs, such as `smartcrop 128 tau 0.9`."""
    benchmarks: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, str] = field(default_factory=dict)


DECLARED = Labels()
"""No chosen names: those that policies and benchmarks declare."""


def policy_name(policy: str, labels: Labels = DECLARED) -> str:
    """`SmartCrop` for `smartcrop`."""
    known = policies().get(policy)
    return labels.policies.get(policy) or _own_title(known) or _in_words(policy)


def benchmark_name(benchmark: str, labels: Labels = DECLARED) -> str:
    """`GSM8K` for `gsm8k`."""
    known = benchmarks().get(benchmark)
    return labels.benchmarks.get(benchmark) or _own_title(known) or _in_words(benchmark)


def _own_title(known: type | None) -> str:
    """The title that a class itself declares; one that is derived from another, as in a plugin, does not inherit it."""
    return "" if known is None else vars(known).get("title", "")


def model_name(model: str, labels: Labels = DECLARED) -> str:
    """The checkpoint's name, such as `LLaDA-8B-Instruct`."""
    return labels.models.get(model, model)


def metric_name(metric: str, benchmark: str, labels: Labels = DECLARED) -> str:
    """`accuracy` for the `exact_match` of `gsm8k`; a metric that is not the benchmark's main one keeps its name."""
    known = benchmarks().get(benchmark)
    title = known.metric_title if known and _declared_metric(known) == metric else ""
    return labels.metrics.get(metric) or title or _in_words(metric)


def symbol_of(policy: str, parameter: str) -> str:
    """`τ` for the `tau` of `smartcrop`; a parameter without a symbol is put in words: `τ high` for `tau_high`."""
    known = policies().get(policy)
    return (known.symbols if known else {}).get(parameter) or _greek(parameter)


def setting_name(policy: str, parameter: str, value: Any) -> str:
    """A parameter with its value: `τ = 0.9`, `stop block any`, `no threshold`, `no cache`."""
    symbol = symbol_of(policy, parameter)
    if value is None or value == "none" or isinstance(value, bool):
        return symbol if value is True else f"no {symbol}"
    return f"{symbol} = {value_text(value)}" if is_number(value) else f"{symbol} {value_text(value)}"


def value_text(value: Any) -> str:
    """A parameter's value; a name is put in words: `block any`."""
    return "none" if value is None else _in_words(format_value(value))


def held_names(run: Run, others: Sequence[Run], apart: Collection[str]) -> str:
    """The parameters, except `apart`, that vary among these runs of a policy, as `run` has them: `τ = 0.9`."""
    own = parameters(run)
    return ", ".join(
        setting_name(run.metrics.policy, name, own[name])
        for name in single_valued(others)
        if name not in apart and name in own
    )


@dataclass(frozen=True, repr=False)
class NamedSection(Section):
    """A section whose title, labels and metric are names for readers."""

    chosen: Labels = DECLARED
    plain: Section | None = None
    """The section as the analysis made it; None for one that was named by hand."""

    @property
    def key(self) -> str:
        """The title of the analysis, which names files, whatever name readers see."""
        return self.title if self.plain is None else self.plain.title

    @property
    def metric(self) -> str:
        return metric_name(super().metric, super().benchmark, self.chosen)

    @property
    def benchmark(self) -> str:
        return benchmark_name(super().benchmark, self.chosen)

    @property
    def model(self) -> str:
        return model_name(super().model, self.chosen)

    def policy_name(self, policy: str) -> str:
        return policy_name(policy, self.chosen)

    def length_name(self, run: Run) -> str:
        parts = _shown_parameters(run, self, without=Decoder.decoding_fields())
        return ", ".join([self.policy_name(run.metrics.policy), *parts])

    def decoding_name(self, run: Run) -> str:
        """`threshold = 0.9, stop block any`, or `plain`."""
        return ", ".join(setting_name(run.metrics.policy, *each) for each in decoding_of(run).items()) or PLAIN

    def series_name(self, series: Series) -> str:
        """`SmartCrop, τ`, with the values of the other parameters that vary in the section."""
        others = ", ".join(setting_name(series.policy, name, value) for name, value in series.among)
        title = f"{self.policy_name(series.policy)}, {symbol_of(series.policy, series.field)}"
        return f"{title} ({others})" if others else title

    def setting_name(self, series: Series, value: Any) -> str:
        if is_number(value):
            return f"{symbol_of(series.policy, series.field)} = {exact_text(value)}"
        return setting_name(series.policy, series.field, value)

    def value_name(self, value: Any) -> str:
        return value_text(value) if value is None or isinstance(value, str) else super().value_name(value)

    @cached_property
    def mean_scores(self) -> Mapping[Path, Estimate]:
        """See `Section.mean_scores`; computed once for both sections, as the intervals are resampled."""
        return super().mean_scores if self.plain is None else self.plain.mean_scores


def with_names(section: Section, labels: Labels = DECLARED) -> NamedSection:
    """The section with names for readers; one that has them already is returned unchanged."""
    if isinstance(section, NamedSection):
        return section
    title, names = section_name(section, labels), run_names(section, labels)
    return NamedSection(title, section.runs, names, section.baseline, labels, section)


def with_readers_names(sections: Sequence[Compared], labels: Labels = DECLARED) -> list[Compared]:
    """The same comparisons with readers' names of sections and runs; no two sections have equal titles."""
    named = [with_names(each.section, labels) for each in sections]
    titles = numbered([section.title for section in named], " [{}]")
    return [
        replace(each, section=replace(section, title=title))
        for each, section, title in zip(sections, named, titles, strict=True)
    ]


def section_name(section: Section, labels: Labels = DECLARED) -> str:
    """`GSM8K, LLaDA-8B-Instruct`, and what else distinguishes the section from the report's others."""
    metrics = section.runs[0].metrics
    apart = section.title.removeprefix(f"{metrics.benchmark}, {metrics.model}")
    return f"{benchmark_name(metrics.benchmark, labels)}, {model_name(metrics.model, labels)}{apart}"


def run_names(section: Section, labels: Labels = DECLARED) -> tuple[str, ...]:
    """A different name for each run of a section: its policy, and the parameters that distinguish it.

    These are the field that its policy's series run over, a baseline's length, and whatever differs from another run of
    the policy. Of a decoding that differs, only what a run sets is named; if it sets nothing, `plain decoding`.
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


def _shown_parameters(run: Run, section: Section, *, without: Collection[str] = ()) -> list[str]:
    own = dict(flat(run.config["policy"]))
    always = {run.declared.series_field} | ({"length"} if run.declared.role == "baseline" else set())
    alike = section.of(run.metrics.policy)
    differing = {name for other in alike for name in differences(run.config["policy"], other.config["policy"])}
    others = [name for name in own if name in differing and name not in always]
    decoding = {name for name in others if name in Decoder.decoding_fields()}
    unset = decoding - decoding_of(run).keys()
    is_plain = bool(unset) and not decoding_of(run)
    if unset != decoding or is_plain:  # else a run whose decoding is not plain would have nothing to distinguish it
        others = [name for name in others if name not in unset]
    shown = [name for name in [*(each for each in own if each in always), *others] if name not in {"name", *without}]
    parts = [setting_name(run.metrics.policy, name, own[name]) for name in shown]
    return [*parts, f"{PLAIN} decoding"] if is_plain and not decoding <= set(without) else parts


def family_names(section: NamedSection, runs: Sequence[Run]) -> tuple[dict[str, str], tuple[str, ...]]:
    """By policy, what its runs' names share (`SmartCrop, by τ`), and for each run the rest of its name (`0.9`).

    The rest is empty for a policy's only run.
    """
    titles, own = {}, [""] * len(runs)
    for policy in dict.fromkeys(run.metrics.policy for run in runs):
        places = [place for place, run in enumerate(runs) if run.metrics.policy == policy]
        names = [re.findall(r"[^\s,]+|,", section.label_of[runs[place].path]) for place in places]
        first = _shared(names)
        last = _shared([name[first:][::-1] for name in names])
        shared = [*names[0][:first], *names[0][len(names[0]) - last :]]
        symbols = [symbol_of(policy, name) for name in varying([runs[place] for place in places])]
        by = f", by {' and '.join(symbols)}" if len(places) > 1 and 0 < len(symbols) < 3 else ""
        title = _joined(shared).removesuffix(" =")
        for symbol in symbols:
            title = re.sub(rf",? {re.escape(symbol)}$", "", title)
        titles[policy] = f"{title.strip(' ,') or section.policy_name(policy)}{by}"
        for place, name in zip(places, names, strict=True):
            own[place] = _joined(name[first : len(name) - last]).strip(" ,")
    return titles, tuple(own)


def _joined(words: Sequence[str]) -> str:
    return " ".join(words).replace(" ,", ",")


def _shared(names: Sequence[Sequence[str]]) -> int:
    """The number of words that all names begin with."""
    columns = zip(*names, strict=False)  # ends with the shortest name
    return next(
        (place for place, column in enumerate(columns) if len(set(column)) > 1), min(len(name) for name in names)
    )


def _greek(name: str) -> str:
    """A name in words, of which a first one that is the name of a Greek letter becomes that letter."""
    first, *rest = name.split("_")
    with suppress(KeyError):  # not a Greek letter
        first = unicodedata.lookup(f"GREEK SMALL LETTER {first.upper()}")
    return " ".join([first, *rest])


def _in_words(name: str) -> str:
    return name.replace("_", " ")


def read_labels(file: Path, sections: Iterable[Section]) -> Labels:
    """The names that a YAML file chooses, in mappings `policies`, `benchmarks`, `models` and `metrics`.

    Raises ConfigError, with file and line, for a file without such mappings, for a name that is not a text, and for a
    key that is neither in these sections nor installed.
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
            if not (given.as_text and given.as_text.strip()):
                raise ConfigError(f"{given.place}: {kind}.{name}: found {given.plain()!r}; allowed: a text.")
        chosen[kind] = {name: given.as_text for name, given in names.value.items()}
    return Labels(**chosen)


def _declared_metric(benchmark: type[Benchmark]) -> str | None:
    """The main metric of a benchmark; None where a field of the benchmark decides it."""
    declared = getattr(benchmark, "metric", None)
    return declared if isinstance(declared, str) else None


def _allowed(sections: Sequence[Section]) -> dict[str, list[str]]:
    """The keys that a labels file can have, by kind: those of the report's runs first."""
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
