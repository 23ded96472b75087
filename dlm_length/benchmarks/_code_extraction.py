"""Extracting code from an answer, and joining it to the prompt.

Python's parser decides what is Python, and a CommonMark parser what is a fence; nothing is executed.
"""

import ast
import keyword
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, takewhile

from dlm_length.benchmarks import _python
from dlm_length.benchmarks._fences import fences
from dlm_length.benchmarks._python import Parser

MOST_STARTS = 200
"""Most lines of an answer that are tried as the beginning of code without a fence."""
MOST_CUTS = 20
"""Most times that one such try is cut at a line of prose."""


def completion(text: str, prompt: str) -> str | None:
    """The prompt continued by `text`, verbatim, indentation included; None for a blank text."""
    return prompt + text if text.strip() else None


def completion_or_whole(text: str, uncut: str, prompt: str, entry_point: str) -> str | None:
    """The prompt continued by `text`; where that is not a program, one made from a fence or function of the answer.

    `uncut`: the answer before it was cut at stop strings, which fences and whole functions contain.
    """
    verbatim = completion(text, prompt)
    reader = _Reader(prompt, entry_point)
    if verbatim is not None and reader.is_complete(verbatim):
        return verbatim
    return reader.whole_program(uncut) or verbatim


def first_fence(text: str, prompt: str, entry_point: str) -> str | None:
    """The program from the first code fence, closed or not, that defines the function; else see `_Reader.program`."""
    return _Reader(prompt, entry_point).program(text, last=False)


def answer_fence(text: str, prompt: str, entry_point: str) -> str | None:
    """The program between `<answer>` tags; without tags that of the last fence, as reasoning precedes the solution."""
    _, tag, inside = text.rpartition("<answer>")
    if tag:
        return first_fence(inside.partition("</answer>")[0], prompt, entry_point)
    return _Reader(prompt, entry_point).program(text, last=True)


def preamble(prompt: str, entry_point: str) -> str:
    """The part of a prompt before its function: imports and helper functions."""
    return re.split(rf"^(?:async\s+)?def\s+{re.escape(entry_point)}\b", prompt, maxsplit=1, flags=re.MULTILINE)[0]


@dataclass
class _Reader:
    """Extracts the program from one answer."""

    prompt: str
    """The beginning of the function that the answer completes; empty where the answer is a whole function."""
    entry_point: str
    """Name of the function."""
    parser: Parser = field(default_factory=Parser)

    def program(self, text: str, *, last: bool) -> str | None:
        """The program of the answer; None where it has no code.

        In order of preference: a fence that binds the function's name; code without a fence that does; a truncated
        fence that begins to define it; a function's body, in a fence or without; any other code in a fence. Of several
        fences the first, or with `last` the last.
        """
        text = _with_plain_newlines(text)
        fenced = fences(text, self.parser)
        if last:
            fenced.sort(key=lambda fence: -fence.line)
        python = [fence.code for fence in fenced if fence.may_be_python]
        codes = [fence.code for fence in fenced]
        lines = text.split("\n")
        preferences = (
            map(self.whole, codes),
            map(self.whole, self._bare_wholes(lines)),
            map(self._broken, codes),
            (self.body(code, exits=True) for code in python),
            map(self._broken, filter(None, [_from_definition(text, self.entry_point)])),
            (self.body(code, exits=False) for code in python),
            (self._as_it_stands(code) for code in python),
            map(self._as_it_stands, codes),
            self._bare_bodies(lines, exits=True),
            self._bare_bodies(lines, exits=False),
            self._broken_bodies(lines),
        )
        return next((program for programs in preferences for program in programs if program), None)

    def whole_program(self, text: str) -> str | None:
        """The program of an answer that has a fence or a whole function instead of continuing the prompt; else None."""
        text = _with_plain_newlines(text)
        if _indentation(text.lstrip("\n")):
            return None
        codes = [fence.code for fence in fences(text, self.parser) if fence.may_be_python]
        programs = chain(
            map(self.whole, codes),
            map(self.whole, self._bare_wholes(text.split("\n"))),
            (self.body(code, exits=False) for code in codes),
        )
        return next(filter(None, programs), None)

    def is_complete(self, program: str) -> bool:
        """Whether a program is Python and binds the function's name to more than the docstring that ends the prompt."""
        tree = self.parser.tree(program)
        if tree is None or not _python.binds(tree, self.entry_point):
            return False
        functions = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == self.entry_point]
        return not functions or any(map(_python.has_body, functions))

    def whole(self, code: str) -> str | None:
        """The program of code that binds the function's name, after the prompt's preamble; None for other code."""
        code = _dedented(code)
        tree = self.parser.tree(code) if self.entry_point in code else None
        if tree is None:
            return None
        if _python.binds(tree, self.entry_point):
            # With a `return` outside functions, it is a body that contains a function of the same name.
            return None if self.prompt and _python.has_exits(tree) else self._behind_preamble(code, tree)
        method = _python.method_in(tree, self.entry_point, self._parameters())
        return self._behind_preamble(f"{code}\n{self.entry_point} = {method}\n", tree) if method else None

    def body(self, code: str, *, exits: bool) -> str | None:
        """The prompt continued by code that is a function's body; None for other code.

        `exits`: accept only code with a `return` or `yield` outside inner functions.
        """
        for joined in self._continued(code):
            tree = self.parser.tree(joined)
            function = _python.function_in(tree, self.entry_point) if tree else None
            if function is None or not _python.has_body(function):
                continue
            if not exits or _python.has_exits(ast.Module(body=function.body, type_ignores=[])):
                return joined
        return None

    def _continued(self, code: str) -> Iterator[str]:
        """The prompt followed by a body: unchanged, indented, and indented with the first line aligned to the rest."""
        if not self.prompt or not code.strip():
            return
        prompt = self.prompt if self.prompt.endswith("\n") else self.prompt + "\n"
        if _indentation(code.lstrip("\n").split("\n")[0]):
            yield prompt + code
        dedented = _dedented(code)
        yield prompt + textwrap.indent(dedented, "    ")
        yield prompt + textwrap.indent(_evenly_indented(dedented), "    ")

    def _broken(self, code: str) -> str | None:
        """Code that begins to define the function but is not Python, mostly as it is truncated; None for other code."""
        code = _dedented(code)
        defines = _from_definition(code, self.entry_point)
        return self._behind_preamble(code, None) if defines and self.parser.tree(code) is None else None

    def _as_it_stands(self, code: str) -> str | None:
        if not code.strip() or _is_prose(code.strip().split("\n")[0]):
            return None
        dedented = _dedented(code)
        if not self.prompt or (self.parser.tree(dedented) is None and re.search(r"^(?:def|class)\b", dedented, re.M)):
            return self._behind_preamble(dedented, self.parser.tree(dedented))
        return next(self._continued(code), None)

    def _behind_preamble(self, code: str, tree: ast.Module | None) -> str:
        """The prompt's preamble followed by `code`."""
        before = preamble(self.prompt, self.entry_point)
        # Imports from __future__ are valid only at the top.
        future = _python.future_imports(tree) if tree else []
        top = [ast.unparse(node) for node in future]
        return "\n".join([*top, before, *_without(code, future)])

    def _parameters(self) -> int | None:
        """Number of positional parameters of the prompt's function; None where the prompt has none."""
        tree = self.parser.tree(f"{self.prompt}\n    pass\n") if self.prompt else None
        function = _python.function_in(tree, self.entry_point) if tree else None
        return len(function.args.posonlyargs) + len(function.args.args) if function else None

    def _bare_wholes(self, lines: list[str]) -> Iterator[str]:
        """Python code without a fence, from each line at which code may begin up to the first line of prose."""
        if not any(self.entry_point in line for line in lines):
            return
        for start in self._starts(lines):
            code = _first_block(self.parser, lines[start:])
            if code and self.entry_point in code:
                yield code

    def _bare_bodies(self, lines: list[str], *, exits: bool) -> Iterator[str]:
        for start in self._starts(lines):
            if self.prompt and _is_inside_definition(lines, start):
                continue
            for code in _body_blocks(self.parser, lines[start:]):
                if program := self.body(code, exits=exits):
                    yield program
                elif not self.prompt:
                    yield from filter(None, [self._as_it_stands(code)])

    def _broken_bodies(self, lines: list[str]) -> Iterator[str]:
        """Programs from each line that is a statement by itself to the end of the answer, valid or not."""
        for start in self._starts(lines):
            line = lines[start].strip()
            tree = self.parser.tree(line) or self.parser.tree(f"{line}\n    pass")
            if tree is not None and tree.body and _python.does_something(tree.body[0]):
                yield from filter(None, [self._as_it_stands("\n".join(lines[start:]))])

    def _starts(self, lines: list[str]) -> Iterator[int]:
        """Indices of lines at which code may begin, until the parser's budget is exhausted."""
        likely = [at for at, line in enumerate(lines) if line.strip() and not _is_prose(line)]
        return takewhile(lambda _: not self.parser.is_exhausted, likely[:MOST_STARTS])


def _with_plain_newlines(text: str) -> str:
    text = text.replace("\ufeff", "")  # a byte order mark, which Python refuses inside a text
    return text.replace("\r\n", "\n").replace("\r", "\n")[: _python.LONGEST]


def _is_inside_definition(lines: list[str], at: int) -> bool:
    """Whether the line follows the header of a function or a class, to which it belongs by its indentation."""
    depth = _indentation(lines[at])
    outer = (line for line in reversed(lines[:at]) if line.strip() and _indentation(line) < depth)
    return re.match(r"\s*(?:async\s+def|def|class)\s+\w", next(outer, "")) is not None


def _first_block(parser: Parser, lines: list[str]) -> str | None:
    """The longest Python code that begins at the first line; None where there is none."""
    base = _indentation(lines[0])
    end = next((at for at, line in enumerate(lines) if line.strip() and _indentation(line) < base), len(lines))
    return _up_to_prose(parser, "", _dedented("\n".join(lines[:end])).split("\n"))


def _body_blocks(parser: Parser, lines: list[str]) -> Iterator[str]:
    """As `_first_block`, for a function's body: indented, or with a first line that lost its indentation."""
    header = "def _():\n"
    if _indentation(lines[0]):
        block = _up_to_prose(parser, header, lines)
        if block:
            yield block
        return
    if block := _first_block(parser, lines):
        yield block
    end = next((at for at, line in enumerate(lines) if at and line.strip() and not _indentation(line)), len(lines))
    shifted = textwrap.indent(_evenly_indented("\n".join(lines[:end])), "    ").split("\n")
    if end > 1 and (block := _up_to_prose(parser, header, shifted)):
        yield block


def _up_to_prose(parser: Parser, header: str, lines: list[str]) -> str | None:
    """The lines up to the first line of prose, if they are Python as a module or after `header`; else None."""
    for _ in range(MOST_CUTS):
        code = header + "\n".join(lines)
        offset = header.count("\n")
        tree = parser.tree(code)
        if tree is not None:
            body = _body_of(tree) if header else tree
            prose = _python.words_from(tree)
            if not body.body or not (_python.does_something(body.body[0]) or _is_docstring(body.body[0])):
                return None
            if prose is None:
                return "\n".join(lines)
            at = prose - 1 - offset
        else:
            at = (parser.fault_line(code) or 0) - 1 - offset
            if not 0 < at < len(lines) or not _is_prose(lines[at]):
                return None
        if at <= 0:
            return None
        lines = lines[:at]
    return None


def _body_of(tree: ast.Module) -> ast.Module:
    first = tree.body[0]
    return ast.Module(body=first.body if isinstance(first, ast.FunctionDef) else [], type_ignores=[])


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


_WORD = r"[A-Za-z][A-Za-z0-9'\u2019-]*"
_KEYWORDS = "|".join([*keyword.kwlist, "match", "case", "type"])
_TWO_WORDS = re.compile(rf"(?<![\w.'\"])(?!(?:{_KEYWORDS})\b){_WORD}[ ]+(?!(?:{_KEYWORDS})\b){_WORD}\b")
_MARKUP = re.compile(r"\s*(?:`{3,}|~{3,}|</?\w+>|#{2,} |[*-] |\*\*|\d+[.)] |>(?!>)|>>> |<\||\[/?[A-Z]+\]\s*\Z)")
_OWN = re.compile(rf"\s*{_WORD}(?:n't|'(?:s|ll|re|ve|d|m|t))\b")


def _is_prose(line: str) -> bool:
    """Whether a line looks like a sentence or Markdown rather than like code, truncated code included.

    Python never has two names next to each other; texts in quotes are ignored.
    """
    if _MARKUP.match(line) or _OWN.match(line):
        return True
    if _TWO_WORDS.search(re.split(r"[\"'#]", line)[0]):
        return True
    words = line.rstrip()
    return not _indentation(line) and words[-1:] in ".!?" and not re.search(r"[=(\[{#\"']", words)


def _from_definition(text: str, entry_point: str) -> str | None:
    """The text from the beginning of the function's definition on; None where there is none."""
    name = re.escape(entry_point)
    definition = re.search(rf"^[ \t]*(?:(?:async\s+)?def\s+{name}\b|{name}\s*=(?!=))", text, re.MULTILINE)
    return text[definition.start() :] if definition else None


def _evenly_indented(body: str) -> str:
    """A body whose first line lost its indentation, as in a stripped text, dedented as a whole; others unchanged."""
    first, _, rest = body.lstrip("\n").partition("\n")
    depths = [_indentation(line) for line in rest.split("\n") if line.strip()]
    if not depths or not min(depths) or (first.rstrip().endswith(":") and depths[0] == min(depths)):
        return body
    return f"{first}\n{_dedented(rest)}"


def _without(code: str, statements: list[ast.ImportFrom]) -> list[str]:
    """The code's lines, with the lines of the statements emptied."""
    lines = code.split("\n")
    for node in statements:
        for at in range(node.lineno - 1, node.end_lineno or node.lineno):
            lines[at] = ""
    return lines


def _dedented(code: str) -> str:
    """The code without common indentation. If it has none it is unchanged, as blank lines may be part of a string."""
    flush = any(line[:1].strip() for line in code.split("\n"))
    return code if flush else textwrap.dedent(code)


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())
