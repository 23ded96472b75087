"""Code fences in an answer: as CommonMark has them, and as models write them beyond it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from markdown_it import MarkdownIt

from dlm_length.benchmarks._python import Parser

DEEPEST = 4
"""Fences within fences within fences that are looked into."""

# Possessive, so that long runs of blanks stay linear.
_MARK = re.compile(r"`{3,}+|^[ \t]*+(~{3,}+)", re.MULTILINE)
_INFO = re.compile(r"[ \t]*+\{?\.?([\w+.#-]*+)(?:[ \t]++[\w-]++=[^\s`]++)*+\}?[ \t]*+(?:\n|\Z)")
_QUOTES = ('"""', "'''")


@dataclass(frozen=True)
class Fence:
    """A fence with something in it."""

    line: int
    """Where it begins in the text."""
    language: str
    """In lower case; empty where it names none."""
    code: str

    @property
    def may_be_python(self) -> bool:
        return not self.language or self.language.startswith("py")


def fences(text: str, parser: Parser) -> list[Fence]:
    """All fences in order; those inside one that is no Python, such as an answer fenced as Markdown, behind it."""
    found = [*_commonmark(text, parser, 0, DEEPEST), *_lenient(text)]
    return sorted(found, key=lambda fence: fence.line)  # where both begin at a line, CommonMark's comes first


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
    """Blocks alone. Answers have tags of their own around fences, which are no HTML."""
    reader = MarkdownIt("commonmark").disable("html_block")
    reader.core.ruler.enableOnly(["normalize", "block"])
    return reader


def _lenient(text: str) -> Iterator[Fence]:
    """Those that begin in the middle of a line or at any depth, too, and end at the end of one.

    A fence that is not closed goes on to the next one, or to the end.
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
        # With a language behind it, what closes this fence is the beginning of another.
        reopens = closing < len(marks) and (info := _INFO.match(text, marks[closing].end())) and info[1]
        at = closing if reopens else closing + 1


def _closing(text: str, marks: list[re.Match[str]], opening: int, start: int) -> int:
    """Index of the mark that ends the fence: the first outside docstrings, as those have fences too, else the first."""
    mark = marks[opening][0].strip()
    open_quotes = dict.fromkeys(_QUOTES, False)
    first = None
    for at in range(opening + 1, len(marks)):
        for quote in _QUOTES:
            open_quotes[quote] ^= bool(text.count(quote, start, marks[at].start()) % 2)
        start = marks[at].end()
        if not marks[at][0].strip().startswith(mark):
            continue  # of the other kind, or shorter
        first = at if first is None else first
        if not any(open_quotes.values()):
            return at
    return len(marks) if first is None else first
