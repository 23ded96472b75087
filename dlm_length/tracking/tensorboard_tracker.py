"""TensorBoard's event files, in `tensorboard/` of the run's folder."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tensorboard.summary import Writer

from dlm_length.tracking.base import TrackedRun, files_in, flat


class TensorboardTracker:
    """Scalars; the config is the description of a scalar, as the writer has no texts. Files are copied."""

    def __init__(self, run: TrackedRun) -> None:
        self._folder = run.folder / "tensorboard"
        self._writer: Any = Writer(str(self._folder))
        self._step = 0

    def start(self, config: Mapping[str, Any]) -> None:
        text = "\n".join(f"    {name}: {value}" for name, value in flat(config).items())
        self._writer.add_scalar("samples", 0.0, 0, description=text)
        self._writer.flush()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        self.log(self._step, metrics)
        self._writer.close()
        for file, name in files_in(artifacts):
            target = self._folder / "artifacts" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


ADAPTER = TensorboardTracker
