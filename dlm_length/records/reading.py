"""Reading a run's files, with errors that name the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from dlm_length.records.errors import RecordError

Content = TypeVar("Content")


def read_text(file: Path) -> str:
    """A file's text. Raises RecordError where it cannot be read or is not UTF-8."""
    with reading(file):
        return file.read_text(encoding="utf-8")


def read_json(file: Path, kind: TypeAdapter[Content], expected: str, advice: str = "") -> Content:
    """A JSON file's content, validated. `expected`: what it should be, for the message; `advice`: what to do else.

    Raises RecordError where it cannot be read or has another content.
    """
    return validated(file, read_text(file), kind, expected, advice)


def validated(file: Path, text: str, kind: TypeAdapter[Content], expected: str, advice: str = "") -> Content:
    """As `read_json`, of a file's text."""
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        raise RecordError(f"run {file}: not {expected} ({first_fault(error)}).{advice and ' '}{advice}") from error


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Raise an error of the file system or the decoder as a RecordError that names `file`."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise RecordError(
            f"run {file}: not UTF-8 text (byte {error.start}); was it changed by another program?"
        ) from error
    except OSError as error:
        raise RecordError(f"run {file}: cannot be read ({error.strerror or error}).") from error


def first_fault(error: ValidationError) -> str:
    """The first invalid field, and what is wrong with it."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else str(first["msg"])
