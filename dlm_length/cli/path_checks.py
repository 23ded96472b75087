"""Paths on the command line: checked before anything slow is imported or computed, and refused as the command line's.

Each check raises ConfigError with what was found, where, and the nearest choice. `what` begins the message: an option,
or "run" for an argument. A path of None, an option that was not given, passes.
"""

from pathlib import Path

from dlm_length.common import ConfigError, suggestion


def check_folders(what: str, *given: Path | None) -> None:
    """The paths are folders."""
    from dlm_length.records.missing import explain_missing

    for path in given:
        if path is not None and (reason := explain_missing(path)) is not None:
            raise ConfigError(f"{what} {path}: {reason}")


def check_runs(what: str, *given: Path | None) -> None:
    """The paths are folders with at least one run, finished or not, at or below them."""
    from dlm_length.records.files import files_named
    from dlm_length.records.run_folder import CONFIG, METRICS

    check_folders(what, *given)
    for path in given:
        if path is not None and not any(next(files_named(name, path), None) for name in (METRICS, CONFIG)):
            raise ConfigError(f"{what} {path}: no finished run is there (looked for {METRICS} at and below it).")


def check_file(what: str, path: Path | None) -> None:
    """There is such a file to read; it may be a pipe."""
    if path is None or (path.exists() and not path.is_dir()):
        return
    if path.is_dir():
        raise ConfigError(f"{what} {path}: is a folder, expected a file.")
    others = [str(each) for each in path.parent.glob("*") if each.is_file()] if path.parent.is_dir() else []
    raise ConfigError(f"{what} {path}: there is no such file.{suggestion(path, others)}")


def check_target(what: str, path: Path | None, example: str) -> None:
    """A file can be written there, whose folder exists; `example` is a name for one. Raises RecordError otherwise."""
    from dlm_length.records import check_writable, writing

    if path is None:
        return
    with writing(path):
        if path.is_dir():
            raise ConfigError(f"{what} {path}: is a folder; name a file in it, such as {path / example}.")
        if not path.parent.is_dir():
            raise ConfigError(f"{what} {path}: there is no folder {path.parent}; make it first, or name another.")
    check_writable(path)
