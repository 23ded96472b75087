"""Many runs from one file: a study is benchmarks times policies, with a baseline on each benchmark."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field

from dlm_length.common import Parameters
from dlm_length.config import places
from dlm_length.config.check import check_parameters
from dlm_length.config.faults import RefusedError, config_error
from dlm_length.config.load import load_config
from dlm_length.config.repeats import repeated
from dlm_length.config.run_config import RunConfig
from dlm_length.config.tree import Entry
from dlm_length.config.yaml import read_mapping

HOLE = "{benchmark}"


class StudyRuns(Parameters):
    """One config, or with `vary` one run for each combination of the values."""

    config: str
    """Name of a run config; `{benchmark}` stands for each benchmark of the study."""
    vary: dict[str, list[Any]] = Field(default_factory=dict)
    """Dotted fields and the values that each takes."""


class StudyFile(Parameters):
    """What a study's file says."""

    benchmarks: tuple[str, ...] = Field(strict=False, min_length=1)
    """What `{benchmark}` stands for in the configs' names."""
    baseline: str
    """The config that the others are held against."""
    runs: tuple[StudyRuns, ...] = Field(strict=False, min_length=1)


@dataclass(frozen=True)
class Block:
    """The runs over one benchmark."""

    baseline: RunConfig | None
    """None: the runs are held against nothing."""
    runs: tuple[RunConfig, ...]

    @property
    def all(self) -> tuple[RunConfig, ...]:
        """Every run once, the baseline first."""
        first = () if self.baseline is None else (self.baseline,)
        return tuple({config.run_path: config for config in (*first, *self.runs)}.values())


@dataclass(frozen=True)
class Study:
    """Runs that are made and reported together."""

    name: str
    blocks: tuple[Block, ...]
    seeds: tuple[int, ...] | None = None
    """Under which every run is made; None: as each config's `benchmark.repeats` says."""

    def repeats(self, config: RunConfig) -> tuple[RunConfig, ...]:
        """The runs, one for each seed, that a config of the study stands for."""
        return repeated(config, self.seeds)


@dataclass(frozen=True)
class FoundStudy:
    """A study's file, read and not yet checked."""

    asked_for: str
    """The name that led to it."""
    path: Path
    tree: Entry | RefusedError
    """Why it cannot be read, where so."""

    def load(self, overrides: Sequence[str] = ()) -> Study:
        """The study; the overrides go to each of its runs. Raises ConfigError as `load_config` does."""
        if isinstance(self.tree, RefusedError):
            raise config_error(self.asked_for, [self.tree.fault]) from self.tree
        file, faults = check_parameters(StudyFile, self.tree)
        if file is None:
            raise config_error(self.asked_for, faults)
        own = [f"experiment={self.path.stem}", *overrides]
        return Study(self.path.stem, tuple(_block(file, benchmark, own) for benchmark in file.benchmarks))


def find_study(name: str) -> FoundStudy | None:
    """The study of that name: a path, or in the folder `studies` of ./configs or of the packaged ones.

    It is one by its folder or by what it holds: a run has no `runs`.
    """
    path = places.find(name, places.STUDIES, Path.cwd())
    if path is None:
        return None
    try:
        tree = read_mapping(path)
    except RefusedError as refused:
        return FoundStudy(name, path, refused) if path.parent.name == places.STUDIES else None
    return FoundStudy(name, path, tree) if "runs" in tree.value else None


def _block(file: StudyFile, benchmark: str, overrides: Sequence[str]) -> Block:
    baseline = load_config(file.baseline.replace(HOLE, benchmark), overrides)
    runs = [
        load_config(part.config.replace(HOLE, benchmark), [*overrides, *values])
        for part in file.runs
        for values in combinations(part.vary)
    ]
    return Block(baseline, tuple(runs))


def combinations(vary: Mapping[str, Sequence[Any]]) -> Iterator[list[str]]:
    """Overrides for every combination of the fields' values, in their order; one empty list where nothing varies."""
    for values in product(*vary.values()):
        yield [f"{field}={_written(value)}" for field, value in zip(vary, values, strict=True)]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
