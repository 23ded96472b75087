"""Writing files atomically, with file system errors reported as a `RecordError`."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dlm_length.records.errors import RecordError

TEMPORARY = ".tmp"
"""Suffix of files that are being written."""
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
_NAME_BYTES = 100
"""Bytes of a file's name that its temporary file's name keeps: the name may be as long as the file system allows."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` by a file with that content, text as UTF-8.

    A reader sees the old file or the new one, never a part. Raises RecordError where it cannot be written, or is a
    link, a device or a folder; then nothing is replaced and no temporary file is left.
    """
    with writing(path):
        _refuse_other_than_files(path)
        temporary = _temporary(path)
        try:
            with temporary.open("wb") as file:
                file.write(content.encode("utf-8") if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def check_writable(path: Path) -> None:
    """Raise RecordError where `write_atomically` would; called early for a file that is written hours later."""
    with writing(path):
        _refuse_other_than_files(path)
        temporary = _temporary(path)
        temporary.touch()
        temporary.unlink()


@contextmanager
def writing(path: Path, advice: str = "") -> Iterator[None]:
    """Raise an OSError as a RecordError that names `path`; `advice`: a sentence to append."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise RecordError(f"{path}: cannot be written ({reason}).{advice and ' '}{advice}") from error


def files_named(name: str, folder: Path) -> Iterator[Path]:
    """Every file of that name in `folder` and below it, links to folders not followed.

    Folders that other processes remove meanwhile, such as shards that are merged, and unreadable ones are passed over;
    `Path.glob` raises for the former before Python 3.13.
    """
    for place, _, names in os.walk(folder):
        if name in names:
            yield Path(place, name)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while writing into `folder`."""
    for file in folder.glob(f".*{TEMPORARY}"):
        process = file.name.removesuffix(TEMPORARY).rpartition(".")[2]
        # This process writes nothing now: a file with its id is of an earlier one.
        if process.isdecimal() and (int(process) == os.getpid() or not is_alive(int(process))):
            file.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    name = os.fsdecode(os.fsencode(path.name)[:_NAME_BYTES])
    return path.with_name(f".{name}.{os.getpid()}{TEMPORARY}")


def _refuse_other_than_files(path: Path) -> None:
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if kind != stat.S_IFREG:
        raise RecordError(f"{path}: is {_KINDS.get(kind, 'something else')}, not a file, and is left as it is.")


def is_alive(process: int) -> bool:
    """Whether a process with that id runs on this host."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
