"""Names of figures' files."""

import hashlib
import re

_LONGEST = 100
"""Characters of a section's part: titles may name many fields, and file systems end at 255 bytes."""


def file_stem(kind: str, title: str, *parts: str) -> str:
    """`kind`, then the section's title, then what else tells the figure from others of its kind."""
    return "-".join(word for word in (kind, _bounded(slug(title)), *map(slug, parts)) if word)


def slug(text: str) -> str:
    """Lower case, with hyphens for all but ASCII letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
