"""A figure of a report: what it shows in words, its drawing as PDF, PNG and SVG, and the name of its files.

matplotlib is loaded when a figure is drawn, so that tables do without it.
"""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from matplotlib.figure import Figure as MplFigure

FigureFormat = Literal["pdf", "png", "svg"]
FIGURE_FORMATS: tuple[FigureFormat, ...] = get_args(FigureFormat)

_PNG_DPI = 300
_LONGEST = 100
"""Characters of a section's part: titles may name many fields, and file systems end at 255 bytes."""
_DATED_BY: Mapping[FigureFormat, str] = {"pdf": "CreationDate", "svg": "Date"}
"""What a format calls the time of writing, left out so that equal records give equal bytes."""


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; drawn once, when a file of it is first needed."""

    name: str
    """Of its files: the kind, then the section; lower case, words joined by hyphens."""
    title: str
    caption: str
    """What is shown, over how many samples, and where intervals come from."""
    sources: tuple[Path, ...]
    """Folders of the runs behind it."""
    plot: Callable[[], "MplFigure"] = field(repr=False, compare=False)
    """Draws it; called with the settings of `styled`."""

    def draw(self) -> "MplFigure":
        """The matplotlib figure, to be inspected or changed."""
        with styled():
            return self.plot()

    def render(self, format: FigureFormat, /) -> bytes:  # noqa: A002 (as matplotlib calls it)
        """The content of its file; the same bytes for the same records and version of matplotlib."""
        return self._files[format]

    @cached_property
    def _files(self) -> Mapping[FigureFormat, bytes]:
        # matplotlib reads settings while it writes, too. The name makes the ids of several SVGs in one page differ.
        with styled(salt=self.name):
            drawn = self.plot()
            settle(drawn)
            return {each: _written(drawn, each) for each in FIGURE_FORMATS}


@contextmanager
def styled(salt: str = "") -> Iterator[None]:
    """The settings of all figures in place of the user's, which are restored afterwards.

    matplotlib has them for the whole process only: no other thread should draw meanwhile. `salt`: of the ids in an SVG.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        mpl.rcParams["svg.hashsalt"] = salt
        yield


def settle(drawn: "MplFigure") -> None:
    """Lay the figure out once: the same in every format, and in less time than at each write."""
    engine = drawn.get_layout_engine()
    if engine is not None:
        engine.execute(drawn)
        drawn.set_layout_engine(None)


def _written(drawn: "MplFigure", format: FigureFormat) -> bytes:  # noqa: A002 (as matplotlib calls it)
    written = io.BytesIO()
    metadata = {_DATED_BY[format]: None} if format in _DATED_BY else None
    drawn.savefig(written, format=format, dpi=_PNG_DPI, metadata=metadata)
    return written.getvalue()


def numbered(figures: Iterable[Figure]) -> list[Figure]:
    """The same figures, the second of a name with a 2 behind it, and so on; no two have the same name."""
    taken: set[str] = set()
    renamed = []
    for figure in figures:
        names = chain([figure.name], (f"{figure.name}-{place}" for place in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        renamed.append(replace(figure, name=name))
    return renamed


def file_stem(kind: str, title: str, *parts: str) -> str:
    """`kind`, then the section's title, then what else tells the figure from others of its kind."""
    return "-".join(word for word in (kind, _bounded(_slug(title)), *map(_slug, parts)) if word)


def _slug(text: str) -> str:
    """Lower case, with hyphens for all but ASCII letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


FONT = "DejaVu Sans"  # comes with matplotlib: the same on every machine
SETTINGS: Any = {  # matplotlib checks keys and values
    "font.family": FONT,
    "font.size": 8,
    "axes.titlesize": 7,
    "axes.titley": 1.0,  # where a title is anyway without ticks above it; otherwise each drawing works it out again
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 6,
    "legend.frameon": False,
    "legend.columnspacing": 1.0,
    "legend.handletextpad": 0.5,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.linewidth": 0.4,
    "grid.color": "0.88",
    "axes.axisbelow": True,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # embedded as TrueType outlines, which publishers accept and editors can change
    "text.parse_math": False,  # labels are names, in which $ and _ mean themselves
    "axes.formatter.use_mathtext": False,
}
"""matplotlib's settings for all figures."""
