"""A figure of a report: its title and caption, its drawing as PDF, PNG and SVG, and the name of its files.

matplotlib is loaded when a figure is drawn, so that tables do not need it.
"""

import hashlib
import html
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
_WIDE = 320
"""Width of an SVG in points from which it is wider than a column."""
_LONGEST = 100
"""Characters of the section's part of a name: titles can name many fields, and file systems allow 255 bytes."""
_DATED_BY: Mapping[FigureFormat, str] = {"pdf": "CreationDate", "svg": "Date"}
"""The metadata key of the time of writing, left out so that equal records give equal bytes."""


@dataclass(frozen=True)
class Figure:
    """A figure with its caption; drawn once, when one of its files is first needed."""

    name: str
    """Name of its files: the kind, then the section; lower case, words joined by hyphens."""
    title: str
    caption: str
    """What is shown, over how many samples, and where intervals come from."""
    sources: tuple[Path, ...]
    """Folders of the runs behind it."""
    plot: Callable[[], "MplFigure"] = field(repr=False, compare=False)
    """Draws it; called within `styled`."""

    def draw(self) -> "MplFigure":
        """The matplotlib figure, for inspection or changes."""
        with styled():
            return self.plot()

    def render(self, format: FigureFormat, /) -> bytes:  # noqa: A002 (as matplotlib calls it)
        """The content of its file: the same bytes for the same records and version of matplotlib."""
        return self._files[format]

    @property
    def is_wide(self) -> bool:
        """Whether it is wider than a column of a paper."""
        width = re.search(rb'<svg[^>]*\swidth="([\d.]+)pt"', self.render("svg")[:4000])
        return width is not None and float(width[1]) > _WIDE

    @cached_property
    def _files(self) -> Mapping[FigureFormat, bytes]:
        # matplotlib reads settings while it writes, too. The name makes the ids of several SVGs in one page differ.
        with styled(salt=self.name):
            drawn = self.plot()
            settle(drawn)
            return {each: _written(drawn, each) for each in FIGURE_FORMATS}


@contextmanager
def styled(salt: str = "") -> Iterator[None]:
    """Draw with the settings of all figures; the user's are restored afterwards.

    matplotlib's settings belong to the whole process, so no other thread should draw meanwhile. `salt`: of the
    ids in an SVG.
    """
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        mpl.rcParams["svg.hashsalt"] = salt
        yield


def settle(drawn: "MplFigure") -> None:
    """Lay the figure out once, so that all formats agree and writing is faster."""
    engine = drawn.get_layout_engine()
    if engine is not None:
        engine.execute(drawn)
        drawn.set_layout_engine(None)


def _written(drawn: "MplFigure", format: FigureFormat) -> bytes:  # noqa: A002 (as matplotlib calls it)
    written = io.BytesIO()
    metadata = {_DATED_BY[format]: None} if format in _DATED_BY else None
    background = "white" if format == "png" else "none"
    drawn.savefig(written, format=format, dpi=_PNG_DPI, metadata=metadata, facecolor=background)
    return _fit_for_pages(written.getvalue().decode()).encode() if format == "svg" else written.getvalue()


def _fit_for_pages(svg: str) -> str:
    """An SVG that can be put in a page with others.

    Black becomes the colour of the surrounding text. Text stays text and keeps the width that it was laid out with,
    whatever fonts the reader has. No style rule of it applies to the page, and it shares no id with another figure.
    """
    svg = re.sub(r"<defs>\s*<style[^>]*>[^<]*</style>\s*</defs>", "", svg)
    svg = re.sub(r' id="[A-Za-z0-9.]+_\d+"', "", svg)
    svg = svg.replace("stroke: #000000", "stroke: currentColor")
    svg = re.sub(r"<text style=\"([^>]*?)font-size: ([\d.]+)px;([^>]*)>([^<]*)</text>", _with_its_width, svg)
    own = 'fill="currentColor" stroke-linejoin="round" stroke-linecap="butt"'
    return svg.replace("<svg ", f"<svg {own} ", 1)


def _with_its_width(text: "re.Match[str]") -> str:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    before, size, rest, content = text.groups()
    weight = "bold" if "font-weight: 700" in before else "normal"
    font = FontProperties(family=list(FONTS), size=float(size), weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(html.unescape(content), font, ismath=False)
    rest = re.sub(r"font-family: [^;\"]*", f"font-family: {_SVG_FONTS}", rest)
    fitted = f' textLength="{width:.2f}" lengthAdjust="spacingAndGlyphs"' if content.strip() else ""
    return f'<text{fitted} style="{before}font-size: {size}px;{rest}>{content}</text>'


def numbered(figures: Iterable[Figure]) -> list[Figure]:
    """The same figures with different names: the second figure of a name gets `-2`, and so on."""
    taken: set[str] = set()
    renamed = []
    for figure in figures:
        names = chain([figure.name], (f"{figure.name}-{place}" for place in count(2)))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        renamed.append(replace(figure, name=name))
    return renamed


def file_stem(kind: str, title: str, *parts: str) -> str:
    """The kind of figure, the section's title, and what else distinguishes it from others of its kind."""
    return "-".join(word for word in (kind, _bounded(_slug(title)), *map(_slug, parts)) if word)


def _slug(text: str) -> str:
    """Lower case, with hyphens for all but ASCII letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _bounded(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST - 9].rstrip('-')}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


FONTS = ("STIXGeneral", "DejaVu Sans")
"""A font as wide as Times, in which papers are set, and one with more characters; both come with matplotlib."""
_SVG_FONTS = f"{FONTS[0]}, 'Times New Roman', Times, serif"
"""A reader's machine rarely has the first; a browser takes missing characters from other fonts."""
SETTINGS: Any = {  # matplotlib checks keys and values
    "font.family": list(FONTS),
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titley": 1.0,  # fixed, as there are no ticks above; otherwise each drawing computes it again
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "legend.columnspacing": 0.8,
    "legend.handletextpad": 0.4,
    "legend.handlelength": 1.6,
    "legend.borderaxespad": 0.2,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Black that lets the page through, not grey: in an SVG it follows the page's colour of text.
    "grid.linewidth": 0.4,
    "grid.color": "black",
    "grid.alpha": 0.15,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "lines.linewidth": 1.0,
    "lines.markersize": 4.5,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,  # embedded as TrueType outlines, which publishers accept and editors can change
    "svg.fonttype": "none",
    "text.parse_math": False,  # labels are names, in which $ and _ mean themselves
    "axes.formatter.use_mathtext": False,
}
"""matplotlib's settings for all figures."""
