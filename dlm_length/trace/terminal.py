"""Display of a sample while it is denoised: its canvas on a terminal, a line per forward on other outputs."""

import math
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.status import Status
from rich.text import Text

from dlm_length.common.console import show_notice, show_plain
from dlm_length.trace.record import TAIL, Frame

_SHADES = "░▒▓█"
"""Symbols of masks by the confidence of their predictions, one per quarter."""
_BAR = 40
"""Width of the progress bar, in columns."""
_ABOVE_AND_BELOW = 9
"""Lines of the live view other than the canvas, including two for wrapped lines on a narrow terminal."""
_LEGEND = (
    ("committed now", "bold reverse"),
    ("window", "underline"),
    ("new", "magenta"),
    ("expands", "bold magenta reverse"),
    ("dropped", "red strike"),
)


class TraceDisplay:
    """A `tracing.TraceListener` that shows frames on standard output, and phases and notices on standard error."""

    def __init__(self, delay: float) -> None:
        """`delay`: seconds for which a terminal shows each frame."""
        self._console = Console()
        self._errors = Console(stderr=True)
        self._delay = delay
        self._status = Status("starting", console=self._errors)
        self._live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._text: Callable[[int], str] = str
        self._longest = 0
        self._fresh: set[int] = set()

    def __enter__(self) -> Self:
        if self._errors.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._status.stop()
        self._live.stop()

    def notice(self, sentence: str) -> None:
        show_notice(self._errors, sentence)

    def phase(self, name: str) -> None:
        self._status.update(name)
        if not self._errors.is_terminal:
            show_plain(self._errors, name)

    def begin(self, text: Callable[[int], str]) -> None:
        self._text = text
        self._status.stop()
        if self._console.is_terminal:
            self._live.start()

    def frame(self, frame: Frame) -> None:
        if not self._console.is_terminal:
            show_plain(self._console, line(frame))
            return
        self._longest = max(self._longest, len(frame.before), len(frame.after))
        self._live.update(self._view(frame), refresh=True)
        self._fresh = set(frame.new.tolist())
        time.sleep(self._delay)

    def _view(self, frame: Frame) -> Group:
        rows = laid_out(self._tokens(frame), self._console.width - 1)
        height = max(3, self._console.height - _ABOVE_AND_BELOW)
        legend = Text("  ").join(Text(name, style=style) for name, style in _LEGEND)
        shades = Text(f"masks by confidence {_SHADES}", style="dim")
        events = [_window(frame), *_partial(frame), *_changes(frame), *_stops(frame)]
        return Group(
            Text.assemble((_heading(frame), "bold"), f": {', '.join(events)}"),
            self._bar(frame),
            Text(""),
            *_around(rows, frame.window, height),
            Text(""),
            Text(_signals(frame)),
            Text("  ").join((legend, shades)),
        )

    def _bar(self, frame: Frame) -> Text:
        done, rest = (round(_BAR * count / max(self._longest, 1)) for count in (frame.done, len(frame.after)))
        return Text.assemble(("━" * done, "green"), ("─" * (rest - done), "dim"), f" {_length(frame)}, {_done(frame)}")

    def _tokens(self, frame: Frame) -> list[Text]:
        """The forwarded canvas as one text per position."""
        now, dropped = set(frame.committed.tolist()), set(frame.dropped.tolist())
        expanded = {change.position for change in frame.changes if change.kind == "insert"}
        start, end = frame.window or (0, 0)
        tokens = []
        for position, token in enumerate(frame.filled.tolist()):
            masked = token == frame.tokens.mask
            shade = _SHADES[min(int(frame.confidence[position] * len(_SHADES)), len(_SHADES) - 1)]
            styles = ["bold reverse"] if position in now else ["dim"] if token in frame.tokens.ends else []
            styles += ["magenta"] if position in self._fresh else []
            styles += ["bold magenta reverse"] if position in expanded else []
            styles += ["red strike"] if position in dropped else []
            styles += ["underline"] if start <= position < end else []
            tokens.append(Text(shade if masked else self._text(token), style=" ".join(styles)))
        return tokens


def line(frame: Frame) -> str:
    """One forward as a line of text."""
    parts = [_done(frame), _window(frame), *_partial(frame), *_changes(frame), *_stops(frame), _signals(frame)]
    return ", ".join([f"{_heading(frame)}: {_length(frame)}", *parts])


def laid_out(tokens: Sequence[Text], width: int) -> list[tuple[Text, int]]:
    """The tokens in rows of at most `width` columns, each row with the position after its last one."""
    rows: list[tuple[Text, int]] = []
    row = Text()
    for position, token in enumerate(tokens):
        if row.plain and cell_len(row.plain) + cell_len(token.plain) > width:
            rows.append((row, position))
            row = Text()
        row.append_text(token)
    return [*rows, (row, len(tokens))]


def _around(rows: Sequence[tuple[Text, int]], window: tuple[int, int] | None, height: int) -> list[Text]:
    """At most `height` rows, from the one above the window's first; all rows where they fit."""
    position = window[0] if window else 0
    first = next((place for place, (_, end) in enumerate(rows) if position < end), 0)
    start = max(0, min(first - 1, len(rows) - height))
    return [row for row, _ in rows[start : start + height]]


def _heading(frame: Frame) -> str:
    return f"forward {frame.forward}{' (probe)' if frame.probe else ''}"


def _length(frame: Frame) -> str:
    before, after = len(frame.before), len(frame.after)
    return f"length {before}" if before == after else f"length {before} -> {after}"


def _done(frame: Frame) -> str:
    return f"committed {frame.done} (+{len(frame.committed)})"


def _window(frame: Frame) -> str:
    return f"window {frame.window[0]} to {frame.window[1] - 1}" if frame.window else "no window"


def _changes(frame: Frame) -> list[str]:
    return [f"{change.kind} at {change.position}" for change in frame.changes]


def _partial(frame: Frame) -> list[str]:
    """How much of the canvas a partial forward computed."""
    return [] if frame.recomputed is None else [f"computed {len(frame.recomputed)} of {len(frame.before)}"]


def _stops(frame: Frame) -> list[str]:
    return [f"ended by {name}" for name in frame.stops]


def _signals(frame: Frame) -> str:
    density = "-" if math.isnan(frame.eos_density) else f"{frame.eos_density:.0%}"
    return f"{density} of masks predict EOS, mean p(EOS) of the last {TAIL} {frame.eos_tail:.3f}"
