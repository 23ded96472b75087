"""What an experiment tracker does for a run, whichever library is behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

TrackerName = Literal["wandb", "trackio", "mlflow", "tensorboard"]
TRACKERS: tuple[TrackerName, ...] = get_args(TrackerName)
"""Names that a config may give."""


@dataclass(frozen=True)
class TrackedRun:
    """What a tracker calls a run."""

    project: str
    """The experiment."""
    name: str
    folder: Path
    """Of its records; a tracker that keeps files of its own keeps them there."""


class Tracker(Protocol):
    """One session of one run at a tracker. Any method may raise: `GuardedTracker` sees to that."""

    def start(self, config: Mapping[str, Any]) -> None:
        """Open the run with its resolved config, sections nested."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Add values by name; `step` is the number of finished samples and never falls."""

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        """Close the run with its final metrics, and with files or folders to keep; both are empty if interrupted."""


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every leaf of nested mappings, by its dotted path."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def files_in(artifacts: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each file of `artifacts`, folders opened, with the path it is to have in the artifact."""
    found = []
    for path in artifacts:
        if path.is_dir():
            found += [(file, file.relative_to(path)) for file in sorted(path.rglob("*")) if file.is_file()]
        else:
            found.append((path, Path(path.name)))
    return found
