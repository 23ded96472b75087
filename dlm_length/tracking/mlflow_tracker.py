"""MLflow. Its own environment variables (MLFLOW_TRACKING_URI, ...) apply."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param

from dlm_length.tracking.base import TrackedRun, flat

_MOST = 100
"""Parameters or metrics that one request may have."""


class MlflowTracker:
    """A run addressed by its id: MLflow allows only one active run per process."""

    def __init__(self, run: TrackedRun) -> None:
        self._tracked = run
        self._client = MlflowClient()
        self._run = ""
        self._step = 0

    def start(self, config: Mapping[str, Any]) -> None:
        known = self._client.get_experiment_by_name(self._tracked.project)
        experiment = known.experiment_id if known else self._client.create_experiment(self._tracked.project)
        self._run = self._client.create_run(experiment, run_name=self._tracked.name).info.run_id
        parameters = [Param(name, str(value)[:6000]) for name, value in flat(config).items()]
        for first in range(0, len(parameters), _MOST):
            self._client.log_batch(self._run, params=parameters[first : first + _MOST])

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        now = int(time.time() * 1000)
        metrics = [Metric(_allowed(name), value, now, step) for name, value in values.items()]
        for first in range(0, len(metrics), _MOST):
            self._client.log_batch(self._run, metrics=metrics[first : first + _MOST])

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        self.log(self._step, metrics)
        for path in artifacts:
            log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
            log(self._run, str(path))
        self._client.set_terminated(self._run, "FINISHED" if metrics or artifacts else "KILLED")


def _allowed(name: str) -> str:
    """A metric's name in the characters that MLflow allows: `pass@1` becomes `pass_at_1`."""
    name = name.replace("@", "_at_")
    return "".join(character if character.isalnum() or character in "_-. /" else "_" for character in name)


ADAPTER = MlflowTracker
