"""The runs of a report: read from folders, grouped into sections, and compared with their baselines."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from dlm_length.analysis.declarations import Declared, declared
from dlm_length.analysis.decodings import decoding_of, decoding_text, early_stop_of, length_label, stops_early
from dlm_length.analysis.effects import (
    USUAL,
    Effect,
    EffectName,
    Effects,
    Testing,
    compare_all,
    mean_scores,
    paired_scores,
    savings_vs_early_stop,
)
from dlm_length.analysis.parameters import Series, exact_text, labels_of, numbered, sortable
from dlm_length.analysis.repeats import as_rows
from dlm_length.analysis.runs import Run, differences, flat, read_run
from dlm_length.common import SELECTION, ConfigError, UserError, counted, listing, suggestion
from dlm_length.records import find_runs
from dlm_length.stats import Estimate, Paired, StatisticsError

Result = TypeVar("Result")


@dataclass(frozen=True, repr=False)
class Section:
    """The runs of one model on one benchmark with the same settings and samples, which can be in one table.

    Runs that differ only in their seed are one (`Run.repeats`). All names are those of configs and options;
    `reports.names.NamedSection` has names for readers in their place.
    """

    title: str
    """Benchmark and model, and what else distinguishes it from the report's other sections."""
    runs: tuple[Run, ...]
    """The baseline first, then other fixed canvases, then the rest by policy, plain decoding and parameters."""
    labels: tuple[str, ...]
    """(runs,), a different label for each run."""
    baseline: Run | None
    """The run that the others are compared with: one of `runs`; None where there is none."""

    def __repr__(self) -> str:
        against = "no baseline" if self.baseline is None else f"baseline {self.label_of[self.baseline.path]}"
        return f"<Section {self.title}: {counted(len(self.runs), 'run')}, {self.n_label}, {against}>"

    @property
    def benchmark(self) -> str:
        """Name of the benchmark."""
        return self.runs[0].metrics.benchmark

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.runs[0].metrics.model

    @property
    def metric(self) -> str:
        """Name of the benchmark's main metric."""
        return self.runs[0].metrics.metric

    def policy_name(self, policy: str) -> str:
        """Name of one of the section's policies."""
        return policy

    def length_name(self, run: Run) -> str:
        """Name of a run without its decoding."""
        return length_label(run, self.label_of[run.path])

    def decoding_name(self, run: Run) -> str:
        """Name of a run's decoding."""
        return decoding_text(run)

    def series_name(self, series: Series) -> str:
        """Name of a series of the section's runs."""
        return series.key

    def setting_name(self, series: Series, value: Any) -> str:
        """The parameter of a series with one of its values, exactly."""
        return f"{series.field} {exact_text(value)}"

    def value_name(self, value: Any) -> str:
        """A value of a parameter."""
        return str(value)

    @property
    def n_label(self) -> str:
        """`n = 1,319`, or the range of samples per row where rows have different numbers of seeds."""
        sizes = sorted({len(run.samples) for run in self.runs})
        if len(sizes) == 1:
            return self.runs[0].n_label
        problems = len({self.runs[0].problem_of(name) for name in self.runs[0].samples})
        return f"n = {problems:,} problems, {sizes[0]:,} to {sizes[-1]:,} samples a row"

    @property
    def others(self) -> tuple[Run, ...]:
        """The runs without the baseline."""
        return tuple(run for run in self.runs if run is not self.baseline)

    def of(self, *policies: str) -> tuple[Run, ...]:
        """The runs of these policies."""
        return tuple(run for run in self.runs if run.metrics.policy in policies)

    @property
    def baselines(self) -> tuple[Run, ...]:
        """The runs of policies that declare to be baselines."""
        return tuple(run for run in self.runs if run.declared.role == "baseline")

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of the policies, in the order of the runs."""
        return tuple(dict.fromkeys(run.metrics.policy for run in self.runs))

    def declared_of(self, policy: str) -> Declared:
        """What one of the section's policies declared when it was run."""
        return self.of(policy)[0].declared

    @cached_property
    def mean_scores(self) -> Mapping[Path, Estimate]:
        """Mean scores with 95% intervals of the runs that have any score, by the run's folder."""
        return mean_scores(self.runs)

    @cached_property
    def label_of(self) -> Mapping[Path, str]:
        """The label of each run, by its folder."""
        return {run.path: label for run, label in zip(self.runs, self.labels, strict=True)}


def representative(runs: Sequence[Run], baseline: Run | None) -> Run:
    """The run, of a policy's runs in a section, that represents the policy; results have no influence on the choice.

    It is the baseline if that is among them. Otherwise it is a run with plain decoding and the length of the baseline,
    if there is one; of a series, it is the run at the parameter's default or, without one, the middle run.
    """
    if baseline is not None and baseline in runs:
        return baseline
    own = declared(runs[0].metrics.policy)
    length = None if baseline is None else baseline.config["policy"].get("length")
    least = min(len(decoding_of(run)) for run in runs)
    plainest = [run for run in runs if len(decoding_of(run)) == least]
    alike = [run for run in plainest if run.config["policy"].get("length") == length] or plainest
    field = own.series_field
    if field is None:
        return alike[0]
    ordered = sorted(alike, key=lambda run: sortable(run.config["policy"].get(field)))
    default = (run for run in ordered if run.config["policy"].get(field) == own.series_default)
    return next(default, ordered[len(ordered) // 2])


def collect(paths: Sequence[Path], *, baseline: str | None = None) -> list[Section]:
    """The finished runs at or below `paths`, in sections that are sorted by title.

    `baseline`: a run's folder, or the label of the policy that is every section's baseline. The default is the fixed
    canvas of the length that most other runs have as their longest, or else the longest; a single run has none.

    Raises RecordError for a path without a finished run and for an incomplete run, UserError for runs of one config
    with different records, ConfigError for a baseline that is not among the runs.
    """
    runs = _distinct([read_run(path) for path in find_runs(paths)])
    groups: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[_settings(run)].append(run)
    alike: dict[tuple[str, str], list[list[Run]]] = defaultdict(list)
    for group in groups.values():
        metrics = group[0].metrics
        alike[metrics.benchmark, metrics.model].append(sorted(as_rows(group), key=_order))
    sections = [
        _section(f"{benchmark}, {model}{apart}", group, baseline)
        for (benchmark, model), others in alike.items()
        for apart, group in zip(_distinctions(others), others, strict=True)
    ]
    if baseline is not None and not any(section.baseline for section in sections):
        labels = sorted({label for section in sections for label in section.labels})
        raise ConfigError(
            f"--baseline {baseline}: is neither the folder of one of these runs nor the label of a policy among them;"
            f" there are {listing(labels)}.{suggestion(baseline, labels)}"
        )
    return sorted(sections, key=lambda section: section.title)


def _distinct(runs: Iterable[Run]) -> list[Run]:
    """Each run once: folders of equal names, which have a digest of the config, and equal samples are the same run.

    Raises UserError where the records of such runs differ, as after a run with another dtype or another scoring.
    """
    found: dict[tuple[str, frozenset[str]], Run] = {}
    for run in runs:
        twin = found.setdefault((run.path.name, frozenset(run.samples)), run)
        if twin is not run and (twin.metrics.score, twin.samples) != (run.metrics.score, run.samples):
            raise UserError(
                f"{twin.path} and {run.path}: are runs of one config with different records; name the folders of the"
                " report so that only one of them is below."
            )
    return list(found.values())


def _settings(run: Run) -> tuple[object, ...]:
    """What the runs of a section have in common: the samples, however selected, and all settings but policy and seed.

    A field that is null counts as absent, as it is absent from records that are older than the field.
    """
    given = run.config["benchmark"].items()
    benchmark = {field: value for field, value in given if field not in SELECTION and value is not None}
    rest = {"model": run.config["model"], "benchmark": benchmark}
    return run.metrics.benchmark, json.dumps(rest, sort_keys=True), frozenset(run.samples)


def _order(run: Run) -> tuple[object, ...]:
    """A sort key: fixed canvases first, then by policy, plain decoding first, parameters (numbers by size), seeds."""
    policy = run.config["policy"]
    values = [(name, sortable(value)) for name, value in sorted(flat(policy)) if name != "name"]
    return run.declared.role != "baseline", run.metrics.policy, bool(decoding_of(run)), values, run.seeds


def _distinctions(groups: Sequence[Sequence[Run]]) -> Iterator[str]:
    """What distinguishes sections of one benchmark and model, for their titles; empty for a single one."""
    configs = [group[0].config for group in groups]
    fields = {
        field
        for config in configs[1:]
        for field in differences(configs[0], config)
        if field.partition(".")[0] in ("benchmark", "model")
    }
    sizes = {len(group[0].samples) for group in groups}
    names = []
    for group, config in zip(groups, configs, strict=True):
        own = dict(flat(config))
        named = [(field.rpartition(".")[2], own.get(field)) for field in sorted(fields)]
        parts = [f"no {name}" if value is None else f"{name} {value}" for name, value in named]
        parts += [f"{counted(len(group[0].samples), 'sample')}"] * (len(sizes) > 1)
        names.append(f" ({', '.join(parts)})" if parts else "")
    yield from numbered(names, " [{}]")


def _section(title: str, runs: list[Run], named: str | None) -> Section:
    labels = labels_of(runs)
    baseline = _default_baseline(runs) if named is None else _named_baseline(named, runs, labels)
    if baseline is not None:
        first = runs.index(baseline)
        runs = [baseline, *runs[:first], *runs[first + 1 :]]
        labels = [labels[first], *labels[:first], *labels[first + 1 :]]
    return Section(title, tuple(runs), tuple(labels), baseline)


def _default_baseline(runs: Sequence[Run]) -> Run | None:
    """The fixed canvas of the length that most other runs have as their longest, decoded as they are.

    A canvas without a stop rule is preferred, then the one that shares most decoding fields with the others, then the
    longest, then the one with the fewest decoding fields set. None without a fixed canvas or another run.
    """
    fixed = [run for run in runs if run.declared.role == "baseline"] if len(runs) > 1 else []
    others = [run.config["policy"] for run in runs if run.declared.role != "baseline"]

    def fitness(run: Run) -> tuple[int, bool, int, int, int]:
        own = run.config["policy"]
        alike = [other for other in others if other.get("length") == own.get("length")]
        decoder = own.keys() - {"name", "length"}
        shared = sum(own[name] == other[name] for other in alike for name in decoder & other.keys())
        return len(alike), not stops_early(run), shared, own.get("length") or 0, -len(decoding_of(run))

    return max(fixed, key=fitness, default=None)


def _named_baseline(named: str, runs: Sequence[Run], labels: Sequence[str]) -> Run | None:
    """The run in that folder, or with that label; None where the section has no such run."""
    folder = Path(named).resolve()
    if found := next((run for run in runs if folder in {path.resolve() for path in run.paths}), None):
        return found
    exact = [run for run, label in zip(runs, labels, strict=True) if label == named]
    alike = exact or [run for run in runs if run.metrics.policy_label == named]
    others = [run for run in runs if run.declared.role != "baseline"]
    return next(iter(alike), None) if len(alike) < 2 else _default_baseline([*alike, *others]) or alike[0]


@dataclass(frozen=True, repr=False)
class Compared:
    """A section with the effects of its runs against its baseline."""

    section: Section
    effects: Effects
    """By the run's folder and the kind of effect; empty without a baseline."""
    testing: Testing = USUAL
    """How the effects were tested."""
    early_stop: Run | None = None
    """The run that is the baseline with a stop rule; None where there is none among the runs."""
    computed: dict[object, Any] = field(default_factory=dict)
    """Results of `once`, which a copy with other names shares."""

    def __repr__(self) -> str:
        return f"<Compared: {counted(len(self.effects), 'effect')} by {self.testing.stars_by}, {self.section!r}>"

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that are compared with the baseline; empty without one."""
        return () if self.section.baseline is None else self.section.others

    @cached_property
    def scores(self) -> Mapping[Path, Paired]:
        """Scores of each compared run and the baseline on the samples scored in both, by the run's folder."""
        baseline = self.section.baseline
        return {} if baseline is None else paired_scores(self.section.others, baseline)

    def once(self, compute: Callable[..., Result], *given: object) -> Result:
        """The result of `compute` for this comparison and what else is given, computed once for all names."""
        key = (compute, *given)
        if key not in self.computed:
            self.computed[key] = compute(self, *given)
        result: Result = self.computed[key]
        return result

    def of(self, run: Run, name: EffectName) -> Effect | None:
        """An effect of a run; None where it has none (see `Effects`)."""
        return self.effects.get((run.path, name))

    def by_run(self, name: EffectName) -> dict[Path, Effect]:
        """All effects of one kind, by the run's folder."""
        return {path: effect for (path, kind), effect in self.effects.items() if kind == name}

    @property
    def beyond_early_stop(self) -> Mapping[Path, Effect]:
        """FLOPs saved against `early_stop`, by the run's folder."""
        return self.by_run("flops_saved_vs_early_stop")


def compared(sections: Sequence[Section], testing: Testing = USUAL) -> list[Compared]:
    """Every section's runs against its baseline. Raises StatisticsError where the test of the stars does not apply."""
    return [_compared(section, testing) for section in sections]


def _compared(section: Section, testing: Testing) -> Compared:
    if section.baseline is None:
        return Compared(section, {}, testing)
    try:
        effects = compare_all(section.others, section.baseline, testing=testing)
    except StatisticsError as error:
        raise StatisticsError(f"{section.title}, stars by {testing.stars_by}: {error}") from error
    early = early_stop_of(section.runs, section.baseline)
    if early is not None:
        effects |= savings_vs_early_stop([run for run in section.others if run is not early], early, testing=testing)
    return Compared(section, effects, testing, early)
