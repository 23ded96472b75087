"""The folder that a report goes to: which files there an earlier report made, and which are not ours to touch."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from dlm_length.common import UserError
from dlm_length.records import is_run_folder

SOURCES = "sources.json"
"""Names the runs behind a report, and its files."""


def refuse_run_folder(folder: Path) -> None:
    """Raises UserError for a run's folder and what is below it; the folder that holds runs is none."""
    absolute = folder.resolve()
    run = next((each for each in (absolute, *absolute.parents) if is_run_folder(each)), None)
    if run is not None:
        raise UserError(f"report {folder}: is in the folder of a run, {run}; choose another --out.")


def refuse_others_files(folder: Path, files: Iterable[Path]) -> None:
    """Raises UserError where one of `files`, which are relative to `folder`, is there and no earlier report's."""
    ours = set(_made(folder))
    other = next((each for each in sorted(files) if (folder / each).exists() and each.as_posix() not in ours), None)
    if other is not None:
        raise UserError(
            f"report {folder}: {other.as_posix()} there was not made by an earlier report and would be overwritten;"
            " choose another --out."
        )


def clear(folder: Path) -> None:
    """Remove what an earlier report left there, and nothing else: the folder may be a paper's."""
    for name in _made(folder):
        if "\0" in name or name == SOURCES:  # the former is no name of a file
            continue
        file = (folder / name).resolve()
        if file.is_relative_to(folder.resolve()) and os.path.isfile(file):  # noqa: PTH113 - of any name
            file.unlink()


def _made(folder: Path) -> Iterator[str]:
    """The files of an earlier report; none where SOURCES is not a report's."""
    try:
        made = json.loads((folder / SOURCES).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if isinstance(made, list):
        yield SOURCES
        yield from map(str, made)
