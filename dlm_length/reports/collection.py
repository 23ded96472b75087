"""The runs of a report: found below folders, and sorted into sections that can be compared."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from dlm_length.common import UserError, listing
from dlm_length.records import find_runs
from dlm_length.reports.comparison import Run, differences, flat, read_run


@dataclass(frozen=True)
class Section:
    """The runs of one model on one benchmark, asked alike over the same samples: what may stand in one table."""

    title: str
    """Benchmark and model, and what else tells it from the report's other sections."""
    runs: tuple[Run, ...]
    """Baselines first, then by policy and its parameters."""
    labels: tuple[str, ...]
    """Of the runs, each a different one."""
    baseline: Run | None
    """The run that the others are held against; one of `runs`."""

    @property
    def benchmark(self) -> str:
        return self.runs[0].metrics.benchmark

    @property
    def model(self) -> str:
        return self.runs[0].metrics.model

    @property
    def metric(self) -> str:
        return self.runs[0].metrics.metric

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.runs[0].samples)

    @property
    def others(self) -> tuple[Run, ...]:
        """The runs without the baseline."""
        return tuple(run for run in self.runs if run is not self.baseline)

    def of(self, *policies: str) -> tuple[Run, ...]:
        """The runs under these policies."""
        return tuple(run for run in self.runs if run.metrics.policy in policies)

    @cached_property
    def label_of(self) -> Mapping[Path, str]:
        """Label of each run, by its folder."""
        return {run.path: label for run, label in zip(self.runs, self.labels, strict=True)}


def collect(paths: Sequence[Path], *, baseline: str | None = None) -> list[Section]:
    """The finished runs at or below `paths`, in sections, sorted by title.

    `baseline`: a run's folder, or the label of the policy that is every section's baseline. By default it is the fixed
    canvas as long as the longest of most other runs, or the longest fixed canvas.

    Raises RecordError for a path without a finished run, UserError for a baseline that is not among the runs.
    """
    runs = [read_run(path) for path in _distinct(find_runs(paths))]
    groups: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        groups[_asked(run)].append(run)
    alike: dict[tuple[str, str], list[list[Run]]] = defaultdict(list)
    for group in groups.values():
        metrics = group[0].metrics
        alike[metrics.benchmark, metrics.model].append(sorted(group, key=_order))
    chosen = None if baseline is None else _Choice(baseline, runs)
    sections = [
        _section(f"{benchmark}, {model}{told}", group, chosen)
        for (benchmark, model), others in alike.items()
        for told, group in zip(_told_apart(others), others, strict=True)
    ]
    return sorted(sections, key=lambda section: section.title)


def _distinct(paths: Iterable[Path]) -> list[Path]:
    """Each run once: the folder's name holds the digest of its config, so one found in two experiments is the same."""
    return list({path.name: path for path in paths}.values())


def _asked(run: Run) -> tuple[object, ...]:
    """What runs of one section have in common: all but the policy, and the samples."""
    rest = {part: run.config.get(part) for part in ("model", "benchmark")}
    seed = run.config.get("hardware", {}).get("seed")
    return run.metrics.benchmark, json.dumps(rest, sort_keys=True), seed, frozenset(run.samples)


def _order(run: Run) -> tuple[object, ...]:
    """Fixed canvases first, then by policy, its parameters as numbers where they are."""
    policy = run.config["policy"]
    values = [(name, sortable(value)) for name, value in sorted(flat(policy)) if name != "name"]
    return run.metrics.policy != "fixed", run.metrics.policy, values


def sortable(value: Any) -> tuple[int, float, str]:
    """A key that orders numbers as numbers, and other values after them as text."""
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, str(value)


def _told_apart(groups: Sequence[Sequence[Run]]) -> Iterator[str]:
    """What tells sections of one benchmark and model apart; nothing where there is one."""
    configs = [group[0].config for group in groups]
    fields = {
        field
        for config in configs[1:]
        for field in differences(configs[0], config)
        if field.partition(".")[0] in ("benchmark", "model") or field == "hardware.seed"
    }
    sizes = {len(group[0].samples) for group in groups}
    for group, config in zip(groups, configs, strict=True):
        own = dict(flat(config))
        told = [f"{field.rpartition('.')[2]} {own.get(field)}" for field in sorted(fields)]
        told += [f"{len(group[0].samples):,} samples"] * (len(sizes) > 1)
        yield f" ({', '.join(told)})" if told else ""


def _section(title: str, runs: list[Run], chosen: "_Choice | None") -> Section:
    labels = _labels(runs)
    baseline = _default_baseline(runs) if chosen is None else chosen.among(runs, labels)
    if baseline is not None:
        first = runs.index(baseline)
        runs = [baseline, *runs[:first], *runs[first + 1 :]]
        labels = [labels[first], *labels[:first], *labels[first + 1 :]]
    return Section(title, tuple(runs), tuple(labels), baseline)


def _labels(runs: Sequence[Run]) -> list[str]:
    """The policies' labels, with the fields that tell apart those that have the same one."""
    labels = [run.metrics.policy_label for run in runs]
    told = []
    for run, label in zip(runs, labels, strict=True):
        twins = [other for other, theirs in zip(runs, labels, strict=True) if theirs == label]
        fields = {field for other in twins for field in differences(run.config["policy"], other.config["policy"])}
        own = dict(flat(run.config["policy"]))
        told.append(" ".join([label, *(f"{field} {own.get(field)}" for field in sorted(fields))]))
    return told


def _default_baseline(runs: Sequence[Run]) -> Run | None:
    fixed = [run for run in runs if run.metrics.policy == "fixed"]
    lengths = [run.config["policy"].get("length") for run in runs if run.metrics.policy != "fixed"]

    def fitness(run: Run) -> tuple[int, int]:
        length = run.config["policy"]["length"]
        return lengths.count(length), length

    return max(fixed, key=fitness, default=None)


class _Choice:
    """The baseline that a user named."""

    def __init__(self, named: str, runs: Sequence[Run]) -> None:
        self._path = next((run.path for run in runs if run.path.resolve() == Path(named).resolve()), None)
        self._named = named
        labels = sorted({run.metrics.policy_label for run in runs})
        if self._path is None and named not in labels:
            raise UserError(
                f"--baseline {named}: is neither the folder of one of these runs nor the label of a policy among them;"
                f" there are {listing(labels)}."
            )

    def among(self, runs: Sequence[Run], labels: Sequence[str]) -> Run | None:
        """That of a section; None where it has none such."""
        if self._path is not None:
            return next((run for run in runs if run.path == self._path), None)
        exact = [run for run, label in zip(runs, labels, strict=True) if label == self._named]
        named = exact or [run for run in runs if run.metrics.policy_label == self._named]
        return _default_baseline(named) or next(iter(named), None)
