"""Loading configs: from a name and overrides to a validated run, benchmark or model."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from dlm_length.benchmarks import Benchmark
from dlm_length.common import ConfigError, Parameters, suggestion
from dlm_length.config import search_path
from dlm_length.config.check import check, check_section
from dlm_length.config.compose import Composition
from dlm_length.config.issues import RefusedError, config_error
from dlm_length.config.run_config import RunConfig
from dlm_length.config.sections import SECTIONS
from dlm_length.models.spec import ModelSpec

Part = TypeVar("Part", bound=Parameters)


def load_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The run of that name, looked up as a path, in ./configs and among the packaged ones, with dotted overrides.

    Raises ConfigError with every issue by file, line and field.
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
    """A benchmark of that name, without a run; overrides are of the form `benchmark.path=FILE`.

    Raises ConfigError with every issue by field.
    """
    return _load_section("benchmark", Benchmark, name, overrides)  # type: ignore[type-abstract]


def load_model_spec(name_or_path: str) -> ModelSpec:
    """A checkpoint by the name of a model's config file, or by a folder, hub id or `embedded:NAME`.

    A hub id that a config file names has the fields of that file. Raises ConfigError for an unknown name.
    """
    names = SECTIONS["model"].names()
    if name_or_path in names or name_or_path.endswith((".yaml", ".yml")):
        return _model_file(name_or_path)
    # isdir() is False, where Path's method raises, for what cannot be a folder's name.
    if os.path.isdir(os.path.expanduser(name_or_path)) or ":" in name_or_path:  # noqa: PTH111, PTH112
        return ModelSpec(path=name_or_path)
    if name_or_path.count("/") != 1:
        raise ConfigError(
            f"model {name_or_path!r}: no such folder, no hub id (owner/name) and no model's config file."
            f"{suggestion(name_or_path, names)} `dlmlen list models` shows the latter."
        )
    declared = (_model_file(name) for name in names)
    return next((spec for spec in declared if spec.path == name_or_path), ModelSpec(path=name_or_path))


def _model_file(name: str) -> ModelSpec:
    return _load_section("model", ModelSpec, name)


def _load_section(field: str, base: type[Part], name: str, overrides: Sequence[str] = ()) -> Part:
    """A section of that name, without a run. `base`: the class that its parameters have, or have in common."""
    composition = Composition()
    tree = composition.compose_section(field, name, overrides)
    part, issues = check_section(field, tree, composition.unresolved)
    if composition.issues or issues or not isinstance(part, base):
        raise config_error(name, [*composition.issues, *issues])
    return part


def config_names() -> dict[str, dict[str, Path]]:
    """Every config by kind (`configs`, `studies`, `models`, `policies`, `benchmarks`, `hardware`) and name.

    With its file; for a run config that is composed of a base and a policy, that of the policy.
    """
    folders = [search_path.STUDIES, *(section.folder for section in SECTIONS.values() if section.folder)]
    known = {folder: search_path.names(folder) for folder in folders}
    composed = {name: known[search_path.POLICIES][pair.policy] for name, pair in search_path.composed_configs().items()}
    return {"configs": search_path.names(search_path.RUNS) | composed} | known


def section_names(section: str) -> list[str]:
    """The names that a section (`model`, `policy`, `benchmark`, `hardware`) accepts, sorted."""
    return SECTIONS[section].names()


def section_classes(section: str) -> dict[str, str | None]:
    """By the name of each file of a section (`policy`), the registered class that it configures.

    None for a file that names none, or cannot be read.
    """
    found: dict[str, str | None] = {}
    for name in search_path.names(SECTIONS[section].folder or ""):
        tree = Composition().compose_section(section, name, ())
        found[name] = tree.follow((section, "name"))[0].as_text if section in tree.value else None
    return found


def config_subjects() -> dict[str, tuple[str | None, str | None]]:
    """By the name of each run config, the checkpoint's path and the benchmark's name in it, not validated.

    None for what it does not say, or where it cannot be composed.
    """
    found: dict[str, tuple[str | None, str | None]] = {}
    for name in search_path.run_names():
        try:
            tree = Composition().compose(name, ())
        except RefusedError:
            found[name] = None, None
            continue
        paths = (("model", "path"), ("benchmark", "name"))
        model, benchmark = (
            entry.as_text if where == path else None for path in paths for entry, where in [tree.follow(path)]
        )
        found[name] = model, benchmark
    return found
