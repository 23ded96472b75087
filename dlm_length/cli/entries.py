"""Entries of a listing on a terminal: a label and text, which is wrapped between words alone: paths stay whole."""

import textwrap

from rich.console import Console
from rich.text import Text

from dlm_length.common import printable

_NARROWEST = 24
"""Characters of a line of the text, however narrow the terminal."""


def print_entry(console: Console, label: str, text: str, *, indent: int = 0) -> None:
    """Print `label` and `text` behind it, with further lines of the text below its first; below a long label, all."""
    begin = indent + len(label) + 2
    if begin > console.width // 2:
        print_lines(console, label, indent=indent, style="bold")
        print_lines(console, text, indent=indent + 4)
        return
    lines = wrapped(text, console.width - begin) or [""]
    first = Text(" " * indent).append(printable(label), style="bold").append("  ").append(lines[0])
    for line in (first, *(Text(" " * begin + line) for line in lines[1:])):
        console.print(line, soft_wrap=True, highlight=False)


def print_lines(console: Console, text: str, *, indent: int, style: str = "") -> None:
    """Print `text`, wrapped, with every line indented."""
    for line in wrapped(text, console.width - indent):
        console.print(Text(" " * indent + line, style=style), soft_wrap=True, highlight=False)


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, except where one word is longer; line feeds of the text are kept."""
    return [
        line
        for part in printable(text).splitlines()
        for line in textwrap.wrap(part, max(_NARROWEST, width), break_long_words=False, break_on_hyphens=False) or [""]
    ]
