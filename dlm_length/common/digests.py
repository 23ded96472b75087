"""What a file holds, as a digest."""

import hashlib
from functools import lru_cache
from pathlib import Path


def file_digest(file: Path) -> str | None:
    """SHA-256 of a file's bytes, in hexadecimal; None where there is no such file that can be read."""
    try:
        stat = file.stat()
        # Asked for again with every name of a run: read again only where the file may have changed.
        return _digest(file.absolute(), stat.st_ino, stat.st_size, stat.st_mtime_ns) if file.is_file() else None
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=64)
def _digest(file: Path, _inode: int, _size: int, _changed: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
