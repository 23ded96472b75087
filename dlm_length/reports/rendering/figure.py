"""What the renderers ask of a figure."""

from pathlib import Path
from typing import Literal, Protocol

FigureFormat = Literal["pdf", "png", "svg"]


class Figure(Protocol):
    """A figure of a report, drawn when asked."""

    @property
    def name(self) -> str:
        """Of its files: lower case, words joined by hyphens."""

    @property
    def title(self) -> str: ...

    @property
    def caption(self) -> str: ...

    @property
    def sources(self) -> tuple[Path, ...]:
        """Folders of the runs behind it."""

    def render(self, format: FigureFormat, /) -> bytes:  # noqa: A002
        """The file's content."""
