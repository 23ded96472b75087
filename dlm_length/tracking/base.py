"""The interface of an experiment tracker, whichever library implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

TrackerName = Literal["wandb", "trackio", "mlflow", "tensorboard"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)
"""Names of the trackers that a config may choose."""


@dataclass(frozen=True)
class TrackedRun:
    """The identity of a run at a tracker."""

    project: str
    """Name of the experiment."""
    name: str
    folder: Path
    """Folder of the run's records; a tracker that writes files writes them there."""


class Tracker(Protocol):
    """One session of one run at a tracker. Any method may raise; `GuardedTracker` handles it."""

    def start(self, config: Mapping[str, Any]) -> None:
        """Open the run. `config`: resolved, as nested mappings."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Log values by name; `step` is the number of finished samples and never decreases."""

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """Close the run with its final metrics and with files or folders to store; both empty if interrupted."""


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted path -> value, for every leaf of nested mappings."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def files_in(artifacts: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(file, its path in the artifact), for each file of `artifacts` and in its folders."""
    found = []
    for path in artifacts:
        if path.is_dir():
            found += [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
        else:
            found.append((path, Path(path.name)))
    return found
