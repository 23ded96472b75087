"""The folder of one run: append-only while it runs, resumable after being killed at any moment."""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from filelock import FileLock, Timeout
from pydantic import PositiveInt, TypeAdapter, ValidationError

from dlm_length.common import counted
from dlm_length.records.errors import RecordError, RunInUseError
from dlm_length.records.files import remove_leftovers, write_atomically, writing
from dlm_length.records.missing import explain_missing
from dlm_length.records.reading import first_fault, read_json, read_text, reading, validated
from dlm_length.records.schema import RunMetrics, SampleRecord, SampleSummary, SessionRecord

CONFIG, ENVIRONMENT, SAMPLES, METRICS = "config.yaml", "environment.json", "samples.jsonl", "metrics.json"
LENGTHS, TIMING, SHARDS = "lengths.json", "timing.json", "shards"
PROGRESS, LOG, TENSORBOARD = "progress.json", "run.log", "tensorboard"
_LOCK, _LENGTHS_LOCK = ".lock", ".lock_lengths"
_GOES_ON = "What is recorded stays; the same command continues it."

_SESSIONS, _LENGTHS = TypeAdapter(list[SessionRecord]), TypeAdapter(dict[str, PositiveInt])
_METRICS = TypeAdapter(RunMetrics)

Sample = TypeVar("Sample", bound=SampleSummary)


class RunFolder:
    """The folder of one run, locked by one process at a time while open (`with RunFolder(path) as folder`)."""

    def __init__(self, path: Path, *, patience: float = 0.0) -> None:
        """`patience`: seconds to wait for another process that has locked the folder."""
        self.path = path
        self._patience = patience
        self._lock = FileLock(path / _LOCK)

    def __repr__(self) -> str:
        return f"<RunFolder {self.path}: {'finished' if self.finished else 'not finished'}>"

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=self._patience)
        except Timeout as error:
            raise RunInUseError(f"run {self.path}: another process is writing it; wait for it, or stop it.") from error
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise RecordError(f"run {self.path}: cannot be written ({reason}); see output.directory.") from error
        remove_leftovers(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._lock.release()

    @property
    def finished(self) -> bool:
        """Whether metrics.json exists, which is written last."""
        return (self.path / METRICS).exists()

    def begin(self, config: str, environment: Mapping[str, Any]) -> int:
        """Open a new session of the run and return its number, from 0.

        `config`: text of config.yaml; that of a finished run is kept until `finish`, as its metrics are.
        `environment`: of this session. An incomplete last line, left by a killed process, is removed from the file, and
        so are samples whose workers died: they are to be generated again.
        """
        self.check_session(environment)
        sessions = self.sessions
        self.cut_torn_line()
        self._remove_lost()
        started = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
        self.write_config(config, replacing=not self.finished)
        self._write_sessions([*sessions, started | dict(environment)])
        return len(sessions)

    def write_config(self, config: str, *, replacing: bool = False) -> None:
        """Write config.yaml if it is missing or `replacing`."""
        if replacing or not (self.path / CONFIG).exists():
            write_atomically(self.path / CONFIG, config)

    def fill(self, config: str, sessions: Sequence[Mapping[str, Any]], samples: Sequence[SampleRecord]) -> None:
        """Write all samples of a run at once, with what `begin` would have written before them; `finish` follows.

        If the process is killed here, the folder has either no sample or all of them.
        """
        self.write_config(config, replacing=True)
        self._write_sessions(sessions)
        write_atomically(self.path / SAMPLES, "".join(_line(sample) for sample in samples))

    def add_samples(self, sessions: Sequence[Mapping[str, Any]], samples: Sequence[SampleRecord]) -> None:
        """Append whole sessions and their samples to the recorded ones, all at once, as `fill` does.

        `sessions`: the recorded ones, followed by the new ones.
        """
        self._write_sessions(sessions)
        file = self.path / SAMPLES
        recorded = ""
        if file.exists():
            with reading(file):
                recorded = file.read_text(encoding="utf-8")
        write_atomically(file, recorded + "".join(_line(sample) for sample in samples))

    def _remove_lost(self) -> None:
        """Remove the samples whose workers died, and metrics that count them."""
        lost = set(read_lost_ids(self.path))
        if not lost:
            return
        samples = self.path / SAMPLES
        lines = samples.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if SampleSummary.model_validate_json(line).id not in lost]
        if self.finished and not lost.isdisjoint(read_sample_ids(self.path)):
            (self.path / METRICS).unlink()  # first: killed here, the run is unfinished and can be continued
        write_atomically(samples, b"".join(kept))

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The entry of every session in environment.json; none where the file is missing."""
        file = self.path / ENVIRONMENT
        if not file.exists():
            return []
        text = read_text(file)
        validated(file, text, _SESSIONS, "a list of the run's sessions")
        sessions: list[dict[str, Any]] = json.loads(text)  # not the validated ones: all fields, in their order
        return sessions

    @property
    def lengths(self) -> dict[str, int] | None:
        """The precomputed canvas lengths that an earlier session recorded, by sample id."""
        file = self.path / LENGTHS
        if not file.exists():
            return None
        return read_json(file, _LENGTHS, "a table of lengths")

    @contextmanager
    def lock_lengths(self) -> Iterator[None]:
        """A lock under which one process computes and records the lengths while others wait."""
        with FileLock(self.path / _LENGTHS_LOCK):
            yield

    def write_lengths(self, lengths: Mapping[str, int]) -> None:
        """Record the precomputed canvas lengths, so that every session has the same."""
        write_atomically(self.path / LENGTHS, json.dumps(dict(lengths), indent=1) + "\n")

    def append(self, record: SampleRecord) -> None:
        """Append one line and flush it to disk."""
        samples = self.path / SAMPLES
        with writing(samples, _GOES_ON), samples.open("a", encoding="utf-8") as file:
            file.write(_line(record))
            file.flush()
            os.fsync(file.fileno())

    def finish(self, metrics: RunMetrics, config: str | None = None) -> None:
        """Write metrics.json, which marks the run as finished.

        `config`: text of config.yaml, where its samples are others than when the run was finished before.
        """
        if config is not None:
            self.write_config(config, replacing=True)
        write_atomically(self.path / METRICS, metrics.model_dump_json(indent=1) + "\n")
        (self.path / PROGRESS).unlink(missing_ok=True)

    def note(self, sentence: str) -> None:
        """Add a sentence to `notes` of the current session in environment.json."""
        *earlier, current = self.sessions
        noted = current | {"notes": [*current.get("notes", ()), sentence]}
        write_atomically(self.path / ENVIRONMENT, json.dumps([*earlier, noted], indent=1) + "\n")

    def check_session(self, environment: Mapping[str, Any]) -> None:
        """Raise RecordError where earlier sessions ran in another dtype or with other weights than this one would."""
        self.check_dtype(environment["dtype"])
        for begun in self.sessions:
            if begun.get("checkpoint") != environment.get("checkpoint"):
                raise RecordError(
                    f"run {self.path}: was begun with other weights under the same name (digest"
                    f" {begun.get('checkpoint')}, now {environment.get('checkpoint')}). Pass --fresh to begin again."
                )

    def check_dtype(self, dtype: str) -> None:
        """Raise RecordError where earlier sessions ran in another dtype.

        The run's name does not depend on the dtype, but answers of two dtypes do not belong to one run.
        """
        for begun in self.sessions:
            if begun["dtype"] != dtype:
                raise RecordError(
                    f"run {self.path}: was begun in {begun['dtype']}, but would continue in {dtype}."
                    f" Pass hardware.dtype={begun['dtype']}, or --fresh to begin again."
                )

    def set_aside(self) -> Path | None:
        """Move the files of an earlier run to a numbered folder next to it; its path, None where there are none."""
        # Metrics first: if this process is killed here, what is left is an unfinished run, not part of a finished one.
        names = (METRICS, SAMPLES, SHARDS, TIMING, LENGTHS, PROGRESS, LOG, TENSORBOARD, ENVIRONMENT, CONFIG)
        kept = [file for name in names if (file := self.path / name).exists()]
        if not kept:
            return None
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.old{number}")).exists():
            number += 1
        with writing(aside):
            aside.mkdir()
            for file in kept:
                file.rename(aside / file.name)
        return aside

    def _write_sessions(self, sessions: Sequence[Mapping[str, Any]]) -> None:
        write_atomically(self.path / ENVIRONMENT, json.dumps(sessions, indent=1) + "\n")

    def cut_torn_line(self) -> None:
        """Remove an incomplete last line, left by a killed process."""
        file = self.path / SAMPLES
        if not file.exists():
            return
        with reading(file):
            content = file.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with writing(file), file.open("r+b") as samples:
                samples.truncate(whole)


def _line(record: SampleRecord) -> str:
    return record.model_dump_json() + "\n"


def read_samples(run: Path, *, limit: int | None = None, only: Collection[str] | None = None) -> list[SampleRecord]:
    """Every complete line of a run's samples.jsonl, in the order written; an incomplete last line is skipped.

    `limit`: read at most this many samples. `only`: read the samples with these ids.
    Raises RecordError, naming the line, for one that is not a sample or repeats another's id.
    """
    return _read_lines(run, SampleRecord, limit, only)


def read_summaries(run: Path, *, only: Collection[str] | None = None) -> list[SampleSummary]:
    """As `read_samples`, but without texts and tokens, which takes a twentieth of the memory."""
    return _read_lines(run, SampleSummary, None, only)


def read_lost_ids(run: Path) -> list[str]:
    """The ids of the samples that failed because their workers died: another try of the same command may succeed."""
    return [summary.id for summary in read_summaries(run) if summary.lost_its_workers]


def _read_lines(run: Path, kind: type[Sample], limit: int | None, only: Collection[str] | None) -> list[Sample]:
    file = run / SAMPLES
    if not file.exists():
        return []
    ids = None if only is None else frozenset(only)
    seen: set[str] = set()
    records: list[Sample] = []
    with reading(file), file.open("rb") as lines:  # bytes: an incomplete line may end within a character
        for number, line in enumerate(lines, start=1):
            if len(records) == limit or not line.endswith(b"\n"):
                break
            try:
                record = kind.model_validate_json(line)
            except ValidationError as error:
                raise RecordError(f"run {file}, line {number}: {first_fault(error)}.") from error
            if record.id in seen:
                raise RecordError(f"run {file}, line {number}: sample {record.id!r} is recorded twice.")
            seen.add(record.id)
            if ids is None or record.id in ids:
                records.append(record)
    return records


def read_metrics(run: Path) -> RunMetrics:
    """A finished run's metrics. Raises RecordError where the folder is not a finished run."""
    file = run / METRICS
    if not file.exists():
        state = "not finished; run it again to continue" if (run / SAMPLES).exists() else "no run"
        raise RecordError(f"run {run}: {explain_missing(run) or f'{state} (no {METRICS} there).'}")
    return read_json(file, _METRICS, "the metrics of a run")


def check_whole(run: Path, metrics: RunMetrics, recorded: int) -> None:
    """Raise RecordError where a finished run's folder does not have as many samples as its metrics count.

    `recorded`: number of those samples in samples.jsonl.
    """
    if recorded != metrics.samples:
        raise RecordError(
            f"run {run}: {METRICS} is of {counted(metrics.samples, 'sample')}, but {SAMPLES} has"
            f" {recorded:,} of them; was it"
            " cut, or copied in part? `dlmlen run` with its config completes it."
        )


def read_sample_ids(run: Path) -> frozenset[str]:
    """Ids of the samples that a finished run's metrics count; its folder may have others.

    Raises RecordError where the folder is not a finished run.
    """
    ids = read_metrics(run).sample_ids
    return frozenset(sample.id for sample in read_summaries(run)) if ids is None else frozenset(ids)
