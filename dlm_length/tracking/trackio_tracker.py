"""Trackio. Its own environment variables (TRACKIO_DIR, TRACKIO_SPACE_ID, ...) apply."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trackio

from dlm_length.tracking.base import TrackedRun, files_in, flat


class TrackioTracker:
    """A run in a local Trackio project, or in one on a Hugging Face Space."""

    def __init__(self, run: TrackedRun) -> None:
        self._tracked = run
        self._run: Any = None
        self._step = 0

    def start(self, config: Mapping[str, Any]) -> None:
        self._run = trackio.init(
            project=self._tracked.project,
            name=self._tracked.name,
            group=self._tracked.name,
            config=flat(config),
            resume="allow",
            embed=False,
            auto_log_gpu=False,
            auto_log_cpu=False,
        )

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        self._run.log(dict(values), step=step)

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        if metrics:
            self._run.log(dict(metrics), step=self._step)
        if files := files_in(artifacts):
            artifact = trackio.Artifact(self._tracked.name[-100:], "records")
            for file, name in files:
                artifact.add_file(str(file), name=name.as_posix())
            self._run.log_artifact(artifact)
        self._run.finish()


ADAPTER = TrackioTracker
