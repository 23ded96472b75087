"""Shards: parts of one run by independent processes, each in its own folder below the run's until they are merged.

<run>/shards/3-of-16/    config.yaml, environment.json and samples.jsonl, as of a run
"""

import hashlib
import json
import re
import shutil
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from dlm_length.common import SELECTION, ConfigError, counted, first_few, listing
from dlm_length.records.errors import RecordError, RunInUseError
from dlm_length.records.files import write_atomically
from dlm_length.records.reading import reading
from dlm_length.records.recorded_config import read_config
from dlm_length.records.run_folder import (
    CONFIG,
    ENVIRONMENT,
    LOG,
    SAMPLES,
    SHARDS,
    TENSORBOARD,
    RunFolder,
    read_samples,
    read_summaries,
)
from dlm_length.records.schema import SampleRecord

_FOLDER = re.compile(r"(\d+)-of-(\d+)")
_MOST = 100_000
PATIENCE = 120.0
"""Seconds that a shard waits for others, which lock the run's folder while they begin or merge."""
_ROUNDING = ("compile", "fused", "batch_invariant")
"""Fields of the hardware that answers' rounding depends on; the dtype is compared with the sessions."""
_VERSIONS = (
    *("dlmlen", "torch", "transformers", "cuda", "triton", "flash-attn", "plugins"),
    *("checkpoint", "dtype", "prompt", "data_sha256", "compile", "fused", "batch_invariant"),
)
"""Fields in which sessions must agree for their samples to belong to one run."""


@dataclass(frozen=True, order=True)
class Shard:
    """One of `count` parts of a run's samples."""

    number: int
    """From 1."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`3/16` as a shard. Raises ConfigError for another form and for a number that is not from 1 to the count."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text.strip())
        if match is None:
            raise ConfigError(f"--shard {text}: expected NUMBER/COUNT, such as 3/16; numbers begin at 1.")
        number, count = int(match[1]), int(match[2])
        if not 1 <= count <= _MOST:
            raise ConfigError(f"--shard {text}: found {count} shards, allowed are 1 to {_MOST:,}.")
        if not 1 <= number <= count:
            near = cls(min(max(number, 1), count), count)
            raise ConfigError(f"--shard {text}: shards are numbered from 1 to {count}. Did you mean '{near}'?")
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.number}-of-{self.count}"

    @classmethod
    def of_index(cls, index: int, count: int) -> Self:
        """The shard of the problem at that index, from 0."""
        return cls(index % count + 1, count)


def shards_of(run: Path) -> list[Shard]:
    """The shards of a run that have a folder and are not merged yet, sorted by count and number."""
    names = [folder.name for folder in (run / SHARDS).glob("*/")]
    shards = [Shard(int(match[1]), int(match[2])) for name in names if (match := _FOLDER.fullmatch(name))]
    return sorted(shards, key=lambda shard: (shard.count, shard.number))


def is_shard_folder(folder: Path) -> bool:
    """Whether a folder is that of a shard of any run."""
    return folder.parent.name == SHARDS and _FOLDER.fullmatch(folder.name) is not None


def shard_path(run: Path, shard: Shard) -> Path:
    """Folder of a shard's records."""
    return run / SHARDS / shard.folder


@contextmanager
def open_shard(run: Path, shard: Shard, config: Mapping[str, Any], *, fresh: bool = False) -> Iterator[RunFolder]:
    """The folder of a shard, locked by one process at a time; several shards of a run may be open at once.

    `config`: the content for config.yaml. `fresh` sets earlier records of this shard aside, and of no other. Raises
    RecordError where the run has shards of another count or config, or this one is open already.
    """
    with ExitStack() as stack:
        with RunFolder(run, patience=PATIENCE):  # so that no process merges meanwhile
            if other := [each for each in shards_of(run) if each.count != shard.count]:
                raise RecordError(
                    f"run {run}: has shards of {other[0].count} ({_names(other)}), but {shard} was given. Continue"
                    f" with --shard N/{other[0].count}; without --shard the same command merges what is recorded"
                    " and generates the rest."
                )
            for each in shards_of(run):
                if each != shard and (shard_path(run, each) / CONFIG).exists():
                    _check_config(run, {each: read_config(shard_path(run, each)), shard: config})
                    break
            folder = RunFolder(shard_path(run, shard))
            try:
                stack.enter_context(folder)
            except RunInUseError as error:
                raise RecordError(
                    f"run {run}: shard {shard} is being executed by another process, which has locked {folder.path};"
                    " wait for it, or stop it."
                ) from error
            if fresh:
                if read_summaries(run):
                    raise RecordError(
                        f"run {run}: has merged samples already, so that a single shard cannot begin again. Without"
                        " --shard, --fresh sets the whole run aside."
                    )
                folder.set_aside()
        yield folder


@contextmanager
def open_whole(run: Path, *, patience: float = 0.0) -> Iterator[RunFolder]:
    """The folder of a run while none of its shards is open. Raises RunInUseError, by shard, where one is.

    `patience`: seconds to wait for another process that has locked the run itself.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(RunFolder(run, patience=patience))
        for shard in shards_of(run):
            try:
                stack.enter_context(RunFolder(shard_path(run, shard)))
            except RunInUseError as error:
                raise RunInUseError(
                    f"run {run}: shard {shard} is being executed by another process; wait for it, or stop it."
                ) from error
        yield folder


def recorded_ids(run: Path) -> dict[str, Shard | None]:
    """The shard of each recorded sample of a run; None for merged samples.

    Raises RecordError where two shards generated the same sample.
    """
    return {record.id: shard for record, shard in _once(run)}


def check_alike(run: Path, session: Mapping[str, Any] | None = None, of: Shard | None = None) -> None:
    """Raise RecordError where a run's shards have different configs or were executed by different versions.

    `session`: a further one that is about to begin, of shard `of`.
    """
    shards = shards_of(run)
    _check_config(run, {shard: read_config(path) for shard in shards if _has_config(path := shard_path(run, shard))})
    sessions = [(shard, each) for shard in shards for each in _sessions_with_samples(shard_path(run, shard))]
    if session is not None and of is not None:
        sessions.append((of, dict(session)))
    for field in _VERSIONS:
        by_value: dict[str, Shard] = {}
        for shard, each in sessions:
            by_value.setdefault(json.dumps(each.get(field), sort_keys=True), shard)
        if len(by_value) > 1:
            (one, first), (other, second) = list(by_value.items())[:2]
            raise RecordError(
                f"run {run}: shards {first} and {second} do not belong to one run: {field} is {one} in the first,"
                f" {other} in the second. Make one of them again as the other was, with --shard {second} --fresh."
            )


def absorb_shards(folder: RunFolder) -> None:
    """Add the samples and sessions of a run's shards to its own; the shards' folders are kept.

    `folder` was opened by `open_whole`. May be repeated, also after the process was killed at any moment.
    """
    run = folder.path
    shards = shards_of(run)
    check_alike(run)
    folder.cut_torn_line()
    sessions = folder.sessions
    added: list[SampleRecord] = []
    firsts: dict[Shard, int] = {}
    for shard in shards:
        begun = [{"shard": str(shard), **session} for session in RunFolder(shard_path(run, shard)).sessions]
        known = (at for at in range(len(sessions)) if sessions[at : at + len(begun)] == begun)
        firsts[shard] = next(known, len(sessions))  # recorded already where a merge was killed
        if firsts[shard] == len(sessions):
            sessions += begun
    for record, place in _once(run):
        if place is not None:
            added.append(record.model_copy(update={"session": firsts[place] + record.session}))
    if shards:
        config = next((text for shard in shards if (text := _config_text(shard_path(run, shard)))), None)
        if config is not None:
            folder.write_config(config, replacing=not folder.finished)
        folder.add_samples(sessions, added)


def remove_shards(folder: RunFolder) -> None:
    """Remove the folders of shards after `absorb_shards`, under the same lock; the run keeps their logs and events.

    May be repeated, as `absorb_shards` may.
    """
    run = folder.path
    for shard in shards_of(run):
        if (log := shard_path(run, shard) / LOG).is_file():
            _add_log(run / LOG, log)
        if (events := shard_path(run, shard) / TENSORBOARD).is_dir():
            shutil.copytree(events, run / TENSORBOARD / shard.folder, dirs_exist_ok=True)
        # First, so that what a kill leaves has no samples of sessions that are gone.
        with suppress(OSError):
            (shard_path(run, shard) / SAMPLES).unlink(missing_ok=True)
        shutil.rmtree(shard_path(run, shard), ignore_errors=True)
    if (run / SHARDS).is_dir() and not any((run / SHARDS).iterdir()):
        (run / SHARDS).rmdir()


def _add_log(whole: Path, log: Path) -> None:
    """Add a shard's log to the run's, less the lines that a merge added before it was killed."""
    with reading(log):
        lines = log.read_bytes().splitlines(keepends=True)
    with reading(whole):
        recorded = whole.read_bytes() if whole.is_file() else b""
    known = bisect_left(range(len(lines)), True, key=lambda last: b"".join(lines[: last + 1]) not in recorded)
    if known < len(lines):
        # All at once, so that no part of a line is left behind; through a link, which a run.log may be.
        write_atomically(whole.resolve(), recorded + b"".join(lines[known:]))


def _once(run: Path) -> Iterator[tuple[SampleRecord, Shard | None]]:
    """Every sample of a run and its shards once, with its shard; None: merged.

    A merge that was killed leaves the same record in both places.
    """
    seen: dict[str, tuple[Shard | None, bytes]] = {}
    duplicates: dict[tuple[Shard | None, Shard | None], list[str]] = defaultdict(list)
    for shard in (None, *shards_of(run)):
        for record in read_samples(run if shard is None else shard_path(run, shard)):
            digest = hashlib.sha256(record.model_dump_json(exclude={"session"}).encode()).digest()
            where, earlier = seen.setdefault(record.id, (shard, digest))
            if where == shard:
                yield record, shard
            elif earlier != digest:
                duplicates[where, shard].append(record.id)
    if duplicates:
        ((first, second), ids) = next(iter(duplicates.items()))
        at = "the merged samples" if first is None else f"shard {first}"
        raise RecordError(
            f"run {run}: {counted(len(ids), 'sample was', 'samples were')} generated twice, in {at} and"
            f" in shard {second}: {first_few(ids)}. Move"
            f" {shard_path(run, second) if second else run} away, and merge again."
        )


def _names(shards: Sequence[Shard]) -> str:
    return first_few(list(map(str, shards)))


def _has_config(path: Path) -> bool:
    return (path / CONFIG).exists()


def _config_text(path: Path) -> str | None:
    return (path / CONFIG).read_text(encoding="utf-8") if _has_config(path) else None


def _sessions_with_samples(path: Path) -> list[dict[str, Any]]:
    """The sessions that recorded a sample; only these are compared."""
    sessions = RunFolder(path).sessions
    numbers = sorted({record.session for record in read_summaries(path)})
    if numbers and numbers[-1] >= len(sessions):
        raise RecordError(f"run {path}: has samples of session {numbers[-1]}, which {ENVIRONMENT} does not have.")
    return [sessions[number] for number in numbers]


def _check_config(run: Path, configs: Mapping[Shard, Mapping[str, Any]]) -> None:
    """Raise RecordError where two configs choose different samples or different rounding."""
    decisive = {shard: _decisive(config) for shard, config in configs.items()}
    for shard, config in decisive.items():
        first, expected = next(iter(decisive.items()))
        if differing := [field for field in config | expected if config.get(field) != expected.get(field)]:
            field = differing[0]
            raise RecordError(
                f"run {run}: shards {first} and {shard} were given different configs: {listing(differing)} differ"
                f" ({field}: {expected.get(field)!r} and {config.get(field)!r}). All shards of a run take the same"
                f" command; make shard {shard} again with that of {first}, and --fresh."
            )


def _decisive(config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are not in a run's name but decide which samples it has or how it rounds."""
    benchmark, hardware = config.get("benchmark") or {}, config.get("hardware") or {}
    return {f"benchmark.{field}": benchmark.get(field) for field in SELECTION} | {
        f"hardware.{field}": hardware.get(field) for field in _ROUNDING
    }
