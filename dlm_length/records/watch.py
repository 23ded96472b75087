"""Watching runs of other processes through their folders, read-only."""

import json
import os
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dlm_length.common import counted
from dlm_length.records.errors import RecordError
from dlm_length.records.files import files_named, is_alive
from dlm_length.records.find import was_set_aside
from dlm_length.records.missing import explain_missing
from dlm_length.records.progress import ProgressRecord, duration, read_progress
from dlm_length.records.run_folder import CONFIG, METRICS, PROGRESS, SAMPLES

_SILENT = 60.0
"""Seconds without an update after which a run is reported as silent; one forward of a large model may take long."""


@dataclass(frozen=True)
class WatchedRun:
    """An unfinished run, or a shard of one."""

    path: Path
    progress: ProgressRecord | None
    """As its process wrote it last; None for runs of versions without that file, and before generation begins."""
    done: int
    """Samples on disk now that did not fail."""
    failed: int
    """Samples on disk now that could not be run."""
    score: float | None
    """Mean of their scores; None where there are none."""
    state: str
    """running, silent for some time, interrupted, stopped, or done (a shard whose run lacks others)."""

    def line(self) -> str:
        """Everything in one line, which starts with the path."""
        if self.progress is None:
            failed = f", {self.failed} failed" if self.failed else ""
            return f"{self.path}: {counted(self.done, 'sample')}{failed}, {self.state}"
        return f"{self.path}: {self.progress.line()}, {self.state}"


class RunWatcher:
    """Polls run folders; of each samples.jsonl it reads only the lines added since."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Raises RecordError where one of the paths does not exist."""
        for path in paths:
            if (reason := explain_missing(path)) is not None:
                raise RecordError(f"{path}: {reason}")
        self._paths = paths
        self._samples: dict[Path, _Samples] = {}

    def look(self) -> list[WatchedRun]:
        """The unfinished runs at or below the paths, sorted; those that were set aside are left out."""
        folders = {file.parent for path in self._paths for file in files_named(CONFIG, path)}
        going = [folder for folder in sorted(folders) if _is_unfinished(folder)]
        return [self._watched(folder) for folder in going]

    def _watched(self, folder: Path) -> WatchedRun:
        samples = self._samples.setdefault(folder, _Samples(folder / SAMPLES))
        samples.read()
        progress = read_progress(folder)
        if progress is not None:  # samples.jsonl is newer than progress.json
            failed = min(samples.failed, progress.total)
            done = min(max(progress.done, samples.done), progress.total - failed)
            progress = progress.model_copy(update={"done": done, "failed": failed})
        return WatchedRun(folder, progress, samples.done, samples.failed, samples.score, _state(progress))


class _Samples:
    """The samples of the complete lines of a samples.jsonl."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._reset(None)

    def _reset(self, identity: tuple[int, int] | None) -> None:
        """`identity`: of the file that is read from its beginning; one that is put in its place has another."""
        self._identity = identity
        self._read = 0
        self._scores: dict[str, float | None] = {}
        """By the ids of those that did not fail; None: not scored."""
        self._failed: set[str] = set()

    @property
    def done(self) -> int:
        return len(self._scores)

    @property
    def failed(self) -> int:
        return len(self._failed)

    @property
    def score(self) -> float | None:
        scores = [score for score in self._scores.values() if score is not None]
        return sum(scores) / len(scores) if scores else None

    def read(self) -> None:
        """Read what was added; from the beginning where the file was replaced."""
        try:
            with self._file.open("rb") as lines:
                status = os.fstat(lines.fileno())
                if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._read:
                    self._reset((status.st_dev, status.st_ino))
                lines.seek(self._read)
                added = lines.read()
        except OSError:
            return
        whole = added.rfind(b"\n") + 1
        self._read += whole
        for line in added[:whole].splitlines():
            self._add(line)

    def _add(self, line: bytes) -> None:
        """A line that is no sample is passed over; of two lines for one sample the later counts."""
        try:
            sample = json.loads(line)
            name, score, error = str(sample["id"]), sample.get("score"), sample.get("error")
        except (ValueError, TypeError, KeyError, AttributeError):
            return
        self._scores.pop(name, None)
        self._failed.discard(name)
        if error is None:
            self._scores[name] = score if isinstance(score, int | float) else None
        else:
            self._failed.add(name)


def _is_unfinished(folder: Path) -> bool:
    """A finished run has metrics.json, and progress.json only while more samples of it are generated."""
    if was_set_aside(folder):
        return False
    begun = any((folder / name).is_file() for name in (PROGRESS, SAMPLES))
    return begun and ((folder / PROGRESS).is_file() or not (folder / METRICS).is_file())


def _state(progress: ProgressRecord | None) -> str:
    if progress is None:
        return "no sign of a process"
    if progress.state != "running":
        return progress.state
    if progress.host == socket.gethostname() and not is_alive(progress.process):
        return "stopped"
    silent = time.time() - progress.updated
    return f"silent for {duration(silent)}" if silent > _SILENT else "running"
