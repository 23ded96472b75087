"""A figure of a report: what it shows in words, its picture in any format, and the name of its files."""

import hashlib
import io
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain, count
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure as Picture

from dlm_length.reports.figures.style import settle, styled

Format = Literal["pdf", "png", "svg"]

_PNG_DPI = 200
_LONGEST = 100
"""Characters of a section's part: titles may name many fields, and file systems end at 255 bytes."""
_DATED_BY = {"pdf": "CreationDate", "svg": "Date"}
"""What a format calls the time of writing, left out so that equal records give equal bytes."""


@dataclass(frozen=True)
class Figure:
    """A figure with its caption, drawn when asked for."""

    name: str
    """Of its files: the kind, then the section; lower case, words joined by hyphens."""
    title: str
    caption: str
    """What is shown, over how many samples, and where intervals come from."""
    sources: tuple[Path, ...]
    """Folders of the runs behind it."""
    picture: Callable[[], Picture] = field(repr=False, compare=False)
    """Draws it; called within the figures' style."""

    def draw(self) -> Picture:
        """The picture, to be looked into or changed."""
        with styled():
            return self.picture()

    def render(self, format: Format) -> bytes:  # noqa: A002 (as matplotlib calls it)
        """The picture as a file; the same bytes for the same records and version of matplotlib."""
        return self.rendered([format])[format]

    def rendered(self, formats: Iterable[Format]) -> dict[Format, bytes]:
        """As `render` does each, in less time: it is drawn and arranged once."""
        # What a format asks of the settings, it asks while writing. The name tells the ids of several SVGs apart that
        # stand in one page.
        with styled(salt=self.name):
            picture = self.picture()
            settle(picture)
            return {each: _written(picture, each) for each in formats}


def _written(picture: Picture, format: Format) -> bytes:  # noqa: A002 (as matplotlib calls it)
    written = io.BytesIO()
    metadata = {_DATED_BY[format]: None} if format in _DATED_BY else None
    picture.savefig(written, format=format, dpi=_PNG_DPI, metadata=metadata)
    return written.getvalue()


def numbered(figures: Iterable[Figure]) -> list[Figure]:
    """The same figures, the second of a name with a 2 behind it, and so on; no two have the same name."""
    taken: set[str] = set()
    told = []
    for figure in figures:
        names = chain([figure.name], (f"{figure.name}-{place}" for place in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        told.append(replace(figure, name=name))
    return told


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
