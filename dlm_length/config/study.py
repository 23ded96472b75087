"""Studies: many runs from one file, benchmarks times policies, with a baseline on each benchmark."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field

from dlm_length.common import SELECTION, ConfigError, Parameters
from dlm_length.config import search_path
from dlm_length.config.check import check_parameters
from dlm_length.config.issues import RefusedError, config_error
from dlm_length.config.load import load_config
from dlm_length.config.repeats import repeated
from dlm_length.config.run_config import RunConfig
from dlm_length.config.tree import Entry
from dlm_length.config.yaml import read_mapping

PLACEHOLDER = "{benchmark}"
"""What stands for a benchmark in the name of a config."""


class StudyRuns(Parameters):
    """One config, or with `vary` one run for each combination of the values."""

    config: str
    """Name of a run config; `{benchmark}` is replaced by each benchmark of the study."""
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    """Dotted fields and the values of each."""


class StudyFile(Parameters):
    """The content of a study's file."""

    benchmarks: tuple[str, ...] = Field(strict=False, min_length=1)
    """The values of `{benchmark}` in the configs' names."""
    baseline: str
    """The config that the others are compared with."""
    runs: tuple[StudyRuns, ...] = Field(strict=False, min_length=1)


@dataclass(frozen=True)
class Block:
    """The runs over one benchmark that differ in their policies alone."""

    baseline: RunConfig | None
    """None: the runs are compared with nothing."""
    runs: tuple[RunConfig, ...]
    apart: str = ""
    """What distinguishes it from other blocks over the same benchmark, such as `hardware.seed=1`."""

    @property
    def all(self) -> tuple[RunConfig, ...]:
        """Every run once, the baseline first."""
        first = () if self.baseline is None else (self.baseline,)
        return tuple({config.run_path: config for config in (*first, *self.runs)}.values())


@dataclass(frozen=True)
class Study:
    """Runs that are executed and reported together."""

    name: str
    blocks: tuple[Block, ...]
    seeds: tuple[int, ...] | None = None
    """Seeds of every run; None: each config's `benchmark.repeats`."""

    def __post_init__(self) -> None:
        """Raise ConfigError where the seeds are given twice: every run would be repeated under each of `seeds`."""
        own = sorted({config.hardware.seed for block in self.blocks for config in block.all})
        if self.seeds is not None and len(own) > 1:
            raise ConfigError(
                f"--seeds {','.join(map(str, self.seeds))}: {self.name} varies hardware.seed itself"
                f" ({', '.join(map(str, own))}); give the seeds in one of the two."
            )

    def repeats(self, config: RunConfig) -> tuple[RunConfig, ...]:
        """The runs of a config of the study, one for each seed."""
        return repeated(config, self.seeds)


@dataclass(frozen=True)
class FoundStudy:
    """A study's file, read but not yet validated."""

    name: str
    """The name by which it was found."""
    path: Path
    tree: Entry | RefusedError
    """Its content, or why it cannot be read."""

    def load(self, overrides: Sequence[str] = ()) -> Study:
        """The study; the overrides apply to each of its runs. Raises ConfigError as `load_config` does."""
        if isinstance(self.tree, RefusedError):
            raise config_error(self.name, [self.tree.issue]) from self.tree
        for override in overrides:
            if (section := override.partition("=")[0].strip()) in ("policy", "benchmark"):
                raise ConfigError(
                    f"{override}: the study {self.path.stem} has each run's {section} in its file, {self.path};"
                    f" allowed: {section}.FIELD=VALUE, which applies to every run. `dlmlen run CONFIG {override}` makes"
                    " a single run."
                )
        file, issues = check_parameters(StudyFile, self.tree)
        if file is None:
            raise config_error(self.name, issues)
        own = [f"experiment={self.path.stem}", *overrides]
        return Study(
            self.path.stem, tuple(block for benchmark in file.benchmarks for block in _blocks(file, benchmark, own))
        )


def find_study(name: str) -> FoundStudy | None:
    """The study of that name: a path, or in the folder `studies` of ./configs or of the packaged ones.

    A file is a study by its folder or by its content: a run config has no `runs`.
    """
    path = search_path.find(name, search_path.STUDIES, Path.cwd())
    if path is None:
        return None
    try:
        tree = read_mapping(path)
    except RefusedError as refused:
        return FoundStudy(name, path, refused) if path.parent.name == search_path.STUDIES else None
    return FoundStudy(name, path, tree) if "runs" in tree.value else None


def _blocks(file: StudyFile, benchmark: str, overrides: Sequence[str]) -> list[Block]:
    baseline = load_config(file.baseline.replace(PLACEHOLDER, benchmark), overrides)
    runs = [
        (load_config(part.config.replace(PLACEHOLDER, benchmark), [*overrides, *values]), values)
        for part in file.runs
        for values in combinations(part.vary)
    ]
    return blocks_of(runs, lambda members, _: baseline.model_copy(update=_shared(members[0])))


def blocks_of(
    runs: Sequence[tuple[RunConfig, Sequence[str]]],
    baseline: Callable[[Sequence[RunConfig], Sequence[str]], RunConfig | None],
) -> list[Block]:
    """Runs, each with its varied overrides, grouped in blocks of those that differ in their policies alone.

    `baseline`: gives that of a block from its runs and their varied overrides other than the policy's. Raises
    ConfigError where two of the runs would be recorded as one.
    """
    _refuse_twins(runs)
    parts: list[tuple[list[RunConfig], list[str]]] = []
    for run, values in runs:
        block = next((members for members, _ in parts if _shared(members[0]) == _shared(run)), None)
        if block is None:
            parts.append(([run], [value for value in values if not _of_policy(value)]))
        else:
            block.append(run)
    labels = [", ".join(others) if len(parts) > 1 else "" for _, others in parts]
    return [
        Block(baseline(members, others), tuple(members), apart)
        for (members, others), apart in zip(parts, labels, strict=True)
    ]


def _shared(run: RunConfig) -> dict[str, Any]:
    """The sections that the runs of one block share."""
    return {section: getattr(run, section) for section in ("model", "benchmark", "hardware")}


def _of_policy(override: str) -> bool:
    return override.partition("=")[0].strip().partition(".")[0] == "policy"


def _refuse_twins(runs: Sequence[tuple[RunConfig, Sequence[str]]]) -> None:
    """Raise ConfigError where two runs have the same name and samples: no answer depends on what differs."""
    seen: dict[tuple[object, ...], Sequence[str]] = {}
    for run, values in runs:
        key = (run.run_path, *(getattr(run.benchmark, field) for field in SELECTION))
        other = seen.setdefault(key, values)
        if other is not values and other != values:
            raise ConfigError(
                f"{', '.join(other)} and {', '.join(values)}: are the same run, as what differs is not part of a run's"
                f" name ({run.run_name}); give each an experiment of its own with `dlmlen run` and experiment=NAME."
            )


def combinations(vary: Mapping[str, Sequence[Any]]) -> Iterator[list[str]]:
    """Overrides for every combination of the fields' values, in their order; one empty list where nothing varies."""
    for values in product(*vary.values()):
        yield [f"{field}={_written(value)}" for field, value in zip(vary, values, strict=True)]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
