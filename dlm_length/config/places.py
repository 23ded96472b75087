"""Where config files are: a path, then ./configs, then the configs that come with the package."""

import os
from pathlib import Path

import dlm_length.config

CONFIGS = "configs"
STUDIES = "studies"
"""Folder of studies below a configs folder."""
_YAML = (".yaml", ".yml")


def packaged_configs() -> Path:
    """The folder of the packaged configs: inside an installed wheel, beside the package in a checkout."""
    package = Path(dlm_length.config.__file__).parents[1]
    inside = package / CONFIGS
    return inside if inside.is_dir() else package.parent / CONFIGS


def config_folders() -> tuple[Path, ...]:
    """The folders searched, first come first served."""
    local, packaged = Path(CONFIGS), packaged_configs()
    return (local,) if local.absolute() == packaged else (local, packaged)


def find(name: str, kind: str, beside: Path) -> Path | None:
    """The file of that name, or None. `kind` is the folder below a configs folder, `.` for whole experiments.

    A name that begins with ./ or ../ is a path relative to `beside`, the folder of the file that says it.
    """
    file = name if name.endswith(_YAML) else f"{name}.yaml"
    if name.startswith(("./", "../")):
        candidates = [beside / file]
    else:
        candidates = [Path(file), *(folder / kind / file for folder in config_folders())]
    # isfile() says no, where is_file() raises, to what cannot be a file's name.
    return next((candidate for candidate in candidates if os.path.isfile(candidate)), None)  # noqa: PTH113


def names(kind: str) -> dict[str, Path]:
    """Every config of a kind by its name, sorted; a local one stands before the packaged one of the same name."""
    found: dict[str, Path] = {}
    for folder in config_folders():
        for file in sorted((folder / kind).glob("*.yaml")):
            if file.is_file():
                found.setdefault(file.stem, file)
    return dict(sorted(found.items()))
