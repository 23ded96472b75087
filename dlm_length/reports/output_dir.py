"""The folder of a report: an earlier report in it is replaced, and no other file is touched."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dlm_length.common import UserError
from dlm_length.records import RecordError, is_run_folder

SOURCES = "sources.json"
"""The file that names the runs behind a report, and the report's files."""
_STAGE = ".dlmlen-report-"
"""The beginning of the name of the temporary folder in which a report is written."""


def refuse_run_folder(folder: Path) -> None:
    """Raises UserError for a run's folder and for folders in it; a folder that contains runs is allowed."""
    absolute = folder.resolve()
    run = next((each for each in (absolute, *absolute.parents) if is_run_folder(each)), None)
    if run is not None:
        raise UserError(f"report {folder}: is in the folder of a run, {run}; choose another --out.")


def check_overwrite(folder: Path, files: Iterable[Path]) -> None:
    """Raises UserError where one of `files` (relative to `folder`) exists and was not made by an earlier report."""
    ours = set(_made(folder))
    other = next((each for each in sorted(files) if (folder / each).exists() and each.as_posix() not in ours), None)
    if other is not None:
        raise UserError(
            f"report {folder}: {other.as_posix()} there was not made by an earlier report and would be overwritten;"
            " choose another --out."
        )


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder within `folder`, into which the whole report is written before any of it is visible.

    A temporary folder that a killed process left behind is removed first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{_STAGE}*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_STAGE, dir=folder, ignore_cleanup_errors=True) as stage:
        try:
            yield Path(stage)
        except RecordError as error:  # names the file where the user looks for it
            raise RecordError(str(error).replace(stage, str(folder))) from error


def put_in_place(stage: Path, folder: Path) -> None:
    """Move all files from `stage` to `folder`, in place of those that an earlier report left, and of nothing else."""
    _clear(folder)
    # SOURCES first: if this is interrupted, the files that it names count as those of an earlier report.
    files = sorted((file for file in stage.rglob("*") if file.is_file()), key=lambda file: file.name != SOURCES)
    for place in stage.rglob("*/"):
        (folder / place.relative_to(stage)).mkdir(exist_ok=True)
    for file in files:
        file.replace(folder / file.relative_to(stage))


def _clear(folder: Path) -> None:
    """Remove the files of an earlier report and nothing else: the folder can have other files, such as a paper."""
    for name in _made(folder):
        if "\0" in name or name == SOURCES:  # no file name has a NUL
            continue
        file = (folder / name).resolve()
        if file.is_relative_to(folder.resolve()) and os.path.isfile(file):  # noqa: PTH113 - of any name
            file.unlink()


def _made(folder: Path) -> Iterator[str]:
    """The files of an earlier report; none where SOURCES was not written by one."""
    try:
        made = json.loads((folder / SOURCES).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if isinstance(made, list):
        yield SOURCES
        yield from map(str, made)
