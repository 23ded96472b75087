"""Finding runs below a folder: finished, unfinished, sharded, or usable as a baseline."""

import re
from collections.abc import Collection, Sequence, Set
from pathlib import Path

from dlm_length.common import counted, first_few, listing
from dlm_length.records.errors import RecordError
from dlm_length.records.files import files_named
from dlm_length.records.missing import explain_missing
from dlm_length.records.recorded_config import read_config
from dlm_length.records.repeats import are_distinct, key_of_repeats, seed_of
from dlm_length.records.run_folder import (
    CONFIG,
    METRICS,
    SAMPLES,
    SHARDS,
    check_whole,
    read_lost_ids,
    read_metrics,
    read_sample_ids,
    read_summaries,
)
from dlm_length.records.shards import is_shard_folder, shards_of

_SET_ASIDE = re.compile(r"\.old\d+$")
"""Suffix of the folders that --fresh sets aside."""


def find_baseline(path: Path, sample_ids: Collection[str], *, apart_from: Collection[Path] = ()) -> tuple[Path, ...]:
    """The finished run at `path`, or the only one below it with exactly the samples `sample_ids`, with its repeats.

    `apart_from`: the runs to be compared, which are not their own baseline if they lie below `path` themselves.
    Raises RecordError where there is none, or several, where its samples differ, as a comparison is paired, and where
    samples of it are missing from its folder.
    """
    if (path / SAMPLES).exists() and not (path / METRICS).exists():
        raise RecordError(f"baseline {path}: is not finished; run it again to continue it.")
    own = {run.resolve() for run in apart_from}
    others = [run for run in _finished_below(path) if run.resolve() not in own]
    runs = [path] if (path / METRICS).exists() else others
    if not runs:
        raise RecordError(f"baseline {path}: {_no_run(path)}")
    ids = set(sample_ids)
    differences = {run: _difference(ids, read_sample_ids(run)) for run in runs}
    covering = [run for run, difference in differences.items() if not difference]
    if len(covering) == 1 or (covering and _are_repeats(covering)):
        for run in covering:
            _check_whole(run)
        return tuple(covering)
    if covering:
        raise RecordError(f"baseline {path}: {len(covering)} runs cover these samples; name one: {listing(covering)}.")
    nearest = min(runs, key=lambda run: len(differences[run]))
    raise RecordError(
        f"baseline {nearest}: does not cover the same samples, and a comparison is paired:"
        f" {differences[nearest]}. Use the same benchmark.limit, subset_seed and sample_ids for both."
    )


def _are_repeats(runs: Sequence[Path]) -> bool:
    """Whether runs differ in their seed and in nothing else; False where one of them has no readable config."""
    try:
        configs = [read_config(run) for run in runs]
        keys = {key_of_repeats(run, config, read_metrics(run)) for run, config in zip(runs, configs, strict=True)}
    except RecordError:
        return False
    return len(keys) == 1 and are_distinct([seed_of(config) for config in configs])


def _check_whole(run: Path) -> None:
    """Raise RecordError where the folder lacks samples that its metrics count."""
    metrics = read_metrics(run)
    check_whole(run, metrics, len(read_summaries(run, only=metrics.sample_ids)))


def _is_whole(run: Path) -> bool:
    try:
        _check_whole(run)
    except RecordError:
        return False
    return True


def the_run(path: Path) -> Path:
    """The run folder that `path` means: itself, or that of the only finished run below it.

    Where there is neither, `path` itself; reading it reports what is missing. Raises RecordError where there are
    several below.
    """
    if (path / CONFIG).is_file():
        return path
    below = _finished_below(path)
    if len(below) > 1:
        raise RecordError(f"{path}: {len(below)} runs are there; name one: {listing(below)}.")
    return below[0] if below else path


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """The finished runs at or below `paths`, sorted; those that --fresh set aside are left out.

    Raises RecordError for a path without any.
    """
    runs: dict[Path, Path] = {}
    for path in paths:
        below = _finished_below(path)
        if not below:
            raise RecordError(f"{path}: {_no_run(path)}")
        runs |= {run.resolve(): run for run in below}
    return sorted(runs.values())


def find_unfinished(paths: Sequence[Path]) -> list[Path]:
    """The unfinished runs at or below `paths`, sorted; without those that are finished in another experiment."""
    begun = (_run_of(file.parent) for path in paths for file in files_named(SAMPLES, path))
    runs = {run.resolve(): run for run in begun}
    ended = {run.name for run in find_runs(paths)}
    return sorted(
        run
        for run in runs.values()
        if is_run_folder(run)
        and not (run / METRICS).exists()
        and not _SET_ASIDE.search(run.name)
        and run.name not in ended
    )


def was_set_aside(run: Path) -> bool:
    """Whether --fresh set this folder, or one that it lies in, aside."""
    return any(_SET_ASIDE.search(name) for name in run.parts)


def find_sharded(paths: Sequence[Path]) -> list[Path]:
    """The runs at or below `paths` that have shards to merge, sorted; those that --fresh set aside are left out."""
    runs = {
        folder.parent.parent for path in paths for folder in path.glob(f"**/{SHARDS}/*/") if is_shard_folder(folder)
    }
    return sorted(run for run in runs if not _SET_ASIDE.search(run.name))


def is_run_folder(folder: Path) -> bool:
    """Whether a folder is that of a run, which has more than one of its files."""
    whole = (folder / CONFIG).is_file() and any((folder / name).is_file() for name in (SAMPLES, METRICS))
    return whole or bool(shards_of(folder))


def _run_of(folder: Path) -> Path:
    """The run's folder of a run or shard folder."""
    return folder.parent.parent if is_shard_folder(folder) else folder


def _no_run(path: Path) -> str:
    return explain_missing(path) or f"no finished run is there (looked for {METRICS})."


def _finished_below(path: Path) -> list[Path]:
    runs = {file.parent for file in files_named(METRICS, path)}
    return sorted(run for run in runs if run == path or not _SET_ASIDE.search(run.name))


def find_finished(directory: Path, run_name: str, sample_ids: Collection[str] | None = None) -> Path | None:
    """A finished run of that name in any experiment below `directory`; with `sample_ids`, one of exactly these.

    In that case a run whose folder lacks some of its samples is skipped, as is one with samples whose workers died,
    which its own command generates again.
    """
    for file in sorted(directory.glob(f"*/{run_name}/{METRICS}")):
        run = file.parent
        if sample_ids is None or (
            read_sample_ids(run) == set(sample_ids) and _is_whole(run) and not read_lost_ids(run)
        ):
            return run
    return None


def find_holding(directory: Path, run_name: str, sample_ids: Collection[str]) -> Path | None:
    """A finished run of that name in any experiment below `directory` that has at least these samples."""
    for file in sorted(directory.glob(f"*/{run_name}/{METRICS}")):
        if {sample.id for sample in read_summaries(file.parent)} >= set(sample_ids):
            return file.parent
    return None


def _difference(own: Set[str], baseline: Set[str]) -> str:
    parts = [
        f"{counted(len(ids), 'sample')} only in {where} ({first_few(sorted(ids))})"
        for where, ids in (("this run", own - baseline), ("the baseline", baseline - own))
        if ids
    ]
    return "; ".join(parts)
