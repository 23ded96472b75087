"""Where config files are: a path, then ./configs, then the configs that come with the package."""

import os
from dataclasses import dataclass
from pathlib import Path

import dlm_length.config

CONFIGS = "configs"
STUDIES = "studies"
"""Folder of studies below a configs folder."""
RUNS, POLICIES = ".", "policies"
"""Folders of run configs and of policies below a configs folder."""
_YAML = (".yaml", ".yml")
_BASE = "_fixed"
"""Suffix of the name of a benchmark's base: its run on the fixed canvas, which the others are compared with."""


@dataclass(frozen=True)
class Pair:
    """A run config without a file, composed of two names: a base, and a policy in place of the base's."""

    base: str
    """Name of the run config below it."""
    policy: str
    """Name of the policy's file."""


def packaged_configs() -> Path:
    """The folder of the packaged configs: inside an installed wheel, next to the package in a checkout."""
    package = Path(dlm_length.config.__file__).parents[1]
    inside = package / CONFIGS
    return inside if inside.is_dir() else package.parent / CONFIGS


def config_folders() -> tuple[Path, ...]:
    """The folders that are searched, in this order."""
    local, packaged = Path(CONFIGS), packaged_configs()
    return (local,) if local.absolute() == packaged else (local, packaged)


def find(name: str, kind: str, folder: Path) -> Path | None:
    """The file of that name, or None. `kind`: the folder below a configs folder, `.` for run configs.

    A name that begins with ./ or ../ is a path relative to `folder`, that of the file which has the name.
    """
    file = name if name.endswith(_YAML) else f"{name}.yaml"
    if name.startswith(("./", "../")):
        candidates = [folder / file]
    else:
        candidates = [Path(file), *(configs / kind / file for configs in config_folders())]
    # isfile() is False, where is_file() raises, for what cannot be a file's name.
    return next((candidate for candidate in candidates if os.path.isfile(candidate)), None)  # noqa: PTH113


def names(kind: str) -> dict[str, Path]:
    """Every config of a kind by its name, sorted; a local one replaces the packaged one of the same name."""
    by_name: dict[str, Path] = {}
    for folder in config_folders():
        for file in sorted((folder / kind).glob("*.yaml")):
            if file.is_file():
                by_name.setdefault(file.stem, file)
    return dict(sorted(by_name.items()))


def composed_configs() -> dict[str, Pair]:
    """The run configs that are composed of two files and have none of their own, by name, sorted.

    `mini_gsm8k_smartcrop` is the run config `mini_gsm8k_fixed` with `policy: mini_smartcrop`: the common
    prefix of both names, here `mini`, decides which benchmarks a policy's file is for. Of several such files the one
    with the longest common prefix is used. A file of the composed name has precedence.
    """
    runs, policies = names(RUNS), names(POLICIES)
    composed: dict[str, Pair] = {}
    for base in runs:
        benchmark = base.removesuffix(_BASE)
        if benchmark == base:
            continue
        words = benchmark.split("_")
        for kind in ("_".join(words[:count]) for count in range(1, len(words) + 1)):
            own = {file.removeprefix(f"{kind}_"): file for file in policies if file.startswith(f"{kind}_")}
            composed |= {f"{benchmark}_{policy}": Pair(base, file) for policy, file in own.items()}
    return {name: composed[name] for name in sorted(composed.keys() - runs.keys())}


def find_pair(name: str) -> Pair | None:
    """What a run config of that name is composed of; None where there are no such two files."""
    return composed_configs().get(name.removesuffix(".yaml").removesuffix(".yml"))


def run_names() -> list[str]:
    """The names of all run configs, with a file or composed."""
    return sorted({*names(RUNS), *composed_configs()})
