"""Writing the files of an export, none of which may replace another file unintentionally."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dlm_length.common import UserError
from dlm_length.records import is_run_folder, write_atomically, writing


@dataclass(frozen=True)
class ExportFile:
    """A file to be written."""

    path: Path
    content: Callable[[], bytes]
    """Returns the file's content; called only when the file may be written."""


def write_files(files: Sequence[ExportFile], *, overwrite: bool) -> list[Path]:
    """Write every file atomically and return their paths.

    Raises UserError before anything is written where two files have the same path, where a file exists and `overwrite`
    is false, and for a path inside the folder of a run; RecordError where a file cannot be written.
    """
    _check(files, overwrite=overwrite)
    for file in files:
        content = file.content()
        with writing(file.path):
            file.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file.path, content)
    return [file.path for file in files]


def _check(files: Sequence[ExportFile], *, overwrite: bool) -> None:
    paths = [file.path for file in files]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise UserError(
            f"export {twice}: several runs would be written to this file, as their folders have the same name;"
            " export them one by one, each with its own --out."
        )
    for path in paths:
        run = next((folder for folder in path.resolve().parents if is_run_folder(folder)), None)
        if run is not None:
            raise UserError(f"export {path}: is in the folder of a run, {run}; choose another --out.")
        if path.exists() and not overwrite:
            raise UserError(f"export {path}: exists already; choose another --out, or replace it with --overwrite.")
