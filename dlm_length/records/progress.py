"""progress.json: the progress of a running run, for `dlmlen watch`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, NonNegativeFloat, NonNegativeInt, ValidationError

from dlm_length.common import counted
from dlm_length.records.files import write_atomically
from dlm_length.records.run_folder import PROGRESS
from dlm_length.records.schema import Record


class ProgressRecord(Record):
    """The progress of one session of a run or a shard, a few seconds old at most. Results do not depend on it."""

    model_config = ConfigDict(extra="ignore")

    label: str
    """Benchmark, model and policy."""
    state: Literal["running", "interrupted", "done"]
    updated: NonNegativeFloat
    """Unix time at which this was written, in seconds."""
    host: str
    process: NonNegativeInt
    """Process id on that host."""
    done: NonNegativeInt
    """Samples on disk that did not fail, including those of earlier sessions."""
    failed: NonNegativeInt = 0
    """Samples on disk that could not be run."""
    total: NonNegativeInt
    metric: str
    score: float | None
    """Mean of the main metric over the scored samples on disk."""
    tokens_per_second: NonNegativeFloat | None
    """Effective tokens of this session per second of its wall-clock."""
    flops: NonNegativeInt
    """Reference FLOPs of this session."""
    seconds_left: NonNegativeFloat | None
    """Estimated from the cost of the missing samples; None before the first sample is finished."""
    device_use: str = ""
    """Such as `CPU 180%`."""

    def line(self) -> str:
        """The progress in one line, without the label."""
        failed = f"{self.failed} failed" if self.failed else None
        return _joined([f"{self.done} of {counted(self.total, 'sample')}", failed, self.details()])

    def details(self, width: int | None = None) -> str:
        """What follows the samples in `line`; with a width, as much of it as fits, the time left before all else."""
        parts = {
            "pace": None if self.tokens_per_second is None else f"{self.tokens_per_second:.1f} tokens/s",
            "score": None if self.score is None else f"{self.metric} {self.score:.3f}",
            "left": None if self.seconds_left is None else f"{duration(self.seconds_left)} left",
            "device": self.device_use or None,
        }
        for dropped in ("device", "pace", "score"):
            if width is None or len(_joined(parts.values())) <= width:
                break
            parts[dropped] = None
        return _joined(parts.values())


def _joined(parts: Iterable[str | None]) -> str:
    return ", ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """`45 s`, `12 min` or `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def write_progress(folder: Path, progress: ProgressRecord) -> None:
    """Replace progress.json of a run or shard."""
    write_atomically(folder / PROGRESS, progress.model_dump_json(indent=1) + "\n")


def read_progress(folder: Path) -> ProgressRecord | None:
    """The content of progress.json; None where it is missing or cannot be read."""
    try:
        return ProgressRecord.model_validate_json((folder / PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None
