"""Code fences in an answer: those of CommonMark, and those that models write in violation of it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

from dlm_length.benchmarks._python import Parser

DEEPEST = 4
"""Deepest nesting of fences that is searched."""

# Possessive, so that long runs of blanks stay linear.
_MARK = re.compile(r"`{3,}+|^[ \t]*+(~{3,}+)", re.MULTILINE)
_INFO = re.compile(r"[ \t]*+\{?\.?([\w+.#-]*+)(?:[ \t]++[\w-]++=[^\s`]++)*+\}?[ \t]*+(?:\n|\Z)")
_QUOTES = ('"""', "'''")


@dataclass(frozen=True)
class Fence:
    """A code fence that is not empty."""

    line: int
    """Line at which it begins, from 0."""
    language: str
    """In lower case; empty where the fence names none."""
    code: str

    @property
    def may_be_python(self) -> bool:
        """Whether it is marked as Python, or not marked."""
        return not self.language or self.language.startswith("py")


def fences(text: str, parser: Parser) -> list[Fence]:
    """All fences in order, each followed by the fences inside it if it is not Python, such as fenced Markdown."""
    found = [*_commonmark(text, parser, 0, DEEPEST), *_lenient(text)]
    return sorted(found, key=lambda fence: fence.line)  # stable: of two at the same line CommonMark's comes first


def _commonmark(text: str, parser: Parser, line: int, depth: int) -> Iterator[Fence]:
    for token in _markdown().parse(text):
        if token.type != "fence" or not token.content.strip() or not token.map:
            continue
        at = line + token.map[0]
        info = _INFO.match(token.info)
        yield Fence(at, info[1].lower() if info else "", token.content)
        if depth and _MARK.search(token.content) and parser.tree(token.content) is None:
            yield from _commonmark(token.content, parser, at + 1, depth - 1)


@cache
def _markdown() -> MarkdownIt:
    """A parser of blocks only. HTML blocks are disabled, as answers have tags around fences that are not HTML."""
    reader = MarkdownIt("commonmark").disable("html_block")
    reader.core.ruler.enableOnly(["normalize", "block"])
    return reader


def _lenient(text: str) -> Iterator[Fence]:
    """Fences that may begin within a line or at any depth, and end at the end of a line.

    A fence that is not closed extends to the next one, or to the end.
    """
    marks = list(_MARK.finditer(text))
    lines = 0
    counted = at = 0
    while at < len(marks):
        info = _INFO.match(text, marks[at].end())
        start = info.end() if info else marks[at].end()
        closing = _closing(text, marks, at, start)
        end = marks[closing].start() if closing < len(marks) else len(text)
        lines, counted = lines + text.count("\n", counted, marks[at].start()), marks[at].start()
        if text[start:end].strip():
            yield Fence(lines, info[1].lower() if info else "", text[start:end])
        # A mark with a language closes this fence and begins another.
        reopens = closing < len(marks) and (info := _INFO.match(text, marks[closing].end())) and info[1]
        at = closing if reopens else closing + 1


def _closing(text: str, marks: list[re.Match[str]], opening: int, start: int) -> int:
    """Index of the mark that closes the fence: the first outside docstrings, which may have fences, else the first."""
    mark = marks[opening][0].strip()
    open_quotes = dict.fromkeys(_QUOTES, False)
    first = None
    for at in range(opening + 1, len(marks)):
        for quote in _QUOTES:
            open_quotes[quote] ^= bool(text.count(quote, start, marks[at].start()) % 2)
        start = marks[at].end()
        if not marks[at][0].strip().startswith(mark):
            continue  # another character, or shorter
        first = at if first is None else first
        if not any(open_quotes.values()):
            return at
    return len(marks) if first is None else first
