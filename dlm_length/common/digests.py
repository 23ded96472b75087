"""Digests of files."""

import hashlib
from functools import lru_cache
from pathlib import Path


def file_digest(file: Path) -> str | None:
    """SHA-256 of a file's bytes, in hexadecimal; None where it does not exist or cannot be read."""
    try:
        stat = file.stat()
        # Called for every name of a run: the file is read again only where it may have changed.
        return _digest(file.absolute(), stat.st_ino, stat.st_size, stat.st_mtime_ns) if file.is_file() else None
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=64)
def _digest(file: Path, _inode: int, _size: int, _changed: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
