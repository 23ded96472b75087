"""The door to the config room: a name and overrides in, a checked run out."""

from collections.abc import Sequence
from pathlib import Path

from dlm_length.benchmarks import Benchmark
from dlm_length.config import search_path
from dlm_length.config.check import check, check_section
from dlm_length.config.compose import Composition
from dlm_length.config.issues import RefusedError, config_error
from dlm_length.config.run_config import RunConfig
from dlm_length.config.sections import SECTIONS


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run of that name, looked up as a path, in ./configs and among the packaged ones, with dotted overrides.

    Raises ConfigError that tells every fault by file, line and field.
    """
    name = str(name_or_path)
    composition = Composition()
    try:
        tree = composition.compose(name, overrides)
    except RefusedError as refused:
        raise config_error(name, [*composition.issues, refused.issue]) from refused
    config, issues = check(tree, composition.unresolved)
    if config is None or composition.issues:
        raise config_error(name, [*composition.issues, *issues])
    return config


def load_benchmark(name: str, overrides: Sequence[str] = ()) -> Benchmark:
    """A benchmark of that name without a run around it; overrides are of the form `benchmark.path=FILE`.

    Raises ConfigError that tells every fault by field.
    """
    composition = Composition()
    tree = composition.compose_section("benchmark", name, overrides)
    benchmark, issues = check_section("benchmark", tree, composition.unresolved)
    if composition.issues or issues or not isinstance(benchmark, Benchmark):
        raise config_error(name, [*composition.issues, *issues])
    return benchmark


def config_names() -> dict[str, dict[str, Path]]:
    """Every config by kind (`configs`, `studies`, `models`, `policies`, `benchmarks`, `hardware`) and name.

    With the file that says what it is: of a run config that is composed of a base and a policy, the policy's.
    """
    folders = [search_path.STUDIES, *(section.folder for section in SECTIONS.values() if section.folder)]
    known = {folder: search_path.names(folder) for folder in folders}
    composed = {name: known[search_path.POLICIES][pair.policy] for name, pair in composed_configs().items()}
    return {"configs": search_path.names(search_path.RUNS) | composed} | known


def composed_configs() -> dict[str, search_path.Pair]:
    """The run configs that have no file of their own, with the names of the base and the policy that make each."""
    return search_path.pairs()
