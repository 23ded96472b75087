"""Weights & Biases. Its own environment variables (WANDB_MODE, WANDB_ENTITY, ...) apply."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb

from dlm_length.tracking.base import TrackedRun, files_in


class WandbTracker:
    """A wandb run, independent of any other run of the process."""

    def __init__(self, run: TrackedRun) -> None:
        self._tracked = run
        self._run: Any = None

    def start(self, config: Mapping[str, Any]) -> None:
        project = os.environ.get("WANDB_PROJECT") or self._tracked.project
        self._run = wandb.init(
            project=project, name=self._tracked.name, group=self._tracked.name, config=dict(config), reinit="create_new"
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        self._run.summary.update(dict(metrics))
        if files := files_in(artifacts):
            artifact = wandb.Artifact(self._tracked.name[-100:], "records")
            for file, name in files:
                artifact.add_file(str(file), name=name.as_posix())
            self._run.log_artifact(artifact)
        self._run.finish()


ADAPTER = WandbTracker
