"""Finding code in an answer, and joining it to the prompt.

All by the look of the text: parsing what a model wrote can exhaust the parser's stack, so that is left to the sandbox.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

# Possessive, so that long runs of blanks stay linear.
_MARK = re.compile(r"`{3,}+|^[ \t]*+(~{3,}+)", re.MULTILINE)
_INFO = re.compile(r"[ \t]*+\{?\.?([\w+.#-]*+)(?:[ \t]++[\w-]++=[^\s`]++)*+\}?[ \t]*+(?:\n|\Z)")
_QUOTES = ('"""', "'''")
_DEFINITION = re.compile(r"(?:async\s+def|def|class)\s+\w|@\w|import\s+\w|from\s+[\w.]+\s+import\b")
_STATEMENT = re.compile(
    rf"""{_DEFINITION.pattern}
    |\#
    |(?:return|yield|assert|raise|pass|break|continue)\b
    |(?:if|elif|for|while|with)\s.*:
    |(?:else|try|finally|except)\b.*:
    |[\w.\[\]]++(?:,\s?[\w.\[\]]++)*+\s?(?:[-+*/%|&]|//|\*\*)?=(?!=)   # an assignment
    |\w[\w.]*+\(.*\)\s*$                                               # a call
    |[)\]}}]|\"\"\"|'''                                                # the end of something longer
    """,
    re.VERBOSE,
)


def completion(text: str, prompt: str) -> str | None:
    """The prompt continued, verbatim: the indentation is the model's business."""
    return prompt + text if text.strip() else None


def first_fence(text: str, prompt: str, entry_point: str) -> str | None:
    """The first code fence, closed or not, that defines the function; see `_best` where none does."""
    return _joined(_best(text, entry_point, last=False), prompt, entry_point)


def answer_fence(text: str, prompt: str, entry_point: str) -> str | None:
    """The code between `<answer>` tags; without them the last fence, as reasoning comes before the solution."""
    _, tag, inside = text.rpartition("<answer>")
    if tag:
        return first_fence(inside.partition("</answer>")[0], prompt, entry_point)
    return _joined(_best(text, entry_point, last=True), prompt, entry_point)


def _best(text: str, entry_point: str, *, last: bool) -> str:
    """A fence that defines the function, else bare code that does, else a fence of Python, of anything, bare code."""
    text = text.replace("\r\n", "\n")
    fences = list(_fences(text))
    if last:
        fences.reverse()
    bare = _code_in_prose(text)
    preferences = (
        (fence.code for fence in fences if _defines(textwrap.dedent(fence.code), entry_point)),
        (code for code in (bare,) if _defines(textwrap.dedent(code), entry_point)),
        (fence.code for fence in fences if not fence.language or fence.language.startswith("py")),
        (fence.code for fence in fences),
    )
    return next((code for codes in preferences for code in codes), bare)


@dataclass(frozen=True)
class _Fence:
    language: str
    code: str


def _fences(text: str) -> Iterator[_Fence]:
    """Those with something in them, in order. A fence that is not closed goes on to the next one, or to the end."""
    marks = list(_MARK.finditer(text))
    at = 0
    while at < len(marks):
        info = _INFO.match(text, marks[at].end())
        start = info.end() if info else marks[at].end()
        closing = _closing(text, marks, at, start)
        end = marks[closing].start() if closing < len(marks) else len(text)
        if text[start:end].strip():
            yield _Fence(info[1].lower() if info else "", text[start:end])
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


def _code_in_prose(text: str) -> str:
    """From the first line that begins a definition (where there is none, any statement) to the next line of prose."""
    lines = text.split("\n")
    for opening in (_DEFINITION, _STATEMENT):
        start = next((at for at, line in enumerate(lines) if opening.match(line.lstrip())), None)
        if start is not None:
            break
    else:
        return ""
    base = _indentation(lines[start])
    end = start + 1
    while end < len(lines) and _goes_on(lines[end], base):
        end += 1
    return "\n".join(lines[start:end])


def _goes_on(line: str, base: int) -> bool:
    return not line.strip() or _indentation(line) > base or bool(_STATEMENT.match(line.lstrip()))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(snippet: str, prompt: str, entry_point: str) -> str | None:
    """A whole function goes behind what the prompt has before its own; a function's body, behind the prompt."""
    code = textwrap.dedent(snippet)
    if not code.strip():
        return None
    if _is_body(code, entry_point):
        return prompt + textwrap.indent(_evenly_indented(code), "    ")
    if method := _method(code, entry_point):
        code = f"{code}\n{entry_point} = {method}\n"
    # Imports from the future are valid at the very top only.
    lines = code.split("\n")
    future = [line for line in lines if line.startswith("from __future__ import ")]
    before = preamble(prompt, entry_point)
    return "\n".join([*future, before, *(line for line in lines if line not in future)])


def preamble(prompt: str, entry_point: str) -> str:
    """What a prompt has before its function: imports, and helpers that are given."""
    return re.split(rf"^(?:async\s+)?def\s+{re.escape(entry_point)}\b", prompt, maxsplit=1, flags=re.MULTILINE)[0]


def _evenly_indented(body: str) -> str:
    """A body whose first line alone has lost its indentation, as that of a stripped text has."""
    first, _, rest = body.lstrip("\n").partition("\n")
    depths = [_indentation(line) for line in rest.split("\n") if line.strip()]
    if not depths or not min(depths) or (first.rstrip().endswith(":") and depths[0] == min(depths)):
        return body
    return f"{first}\n{textwrap.dedent(rest)}"


def _defines(code: str, entry_point: str) -> bool:
    return _has_function(code, entry_point) or _method(code, entry_point) is not None


def _has_function(code: str, name: str) -> bool:
    name = re.escape(name)
    return bool(re.search(rf"^(?:(?:async\s+)?def\s+{name}\b|{name}\s*=(?!=))", code, re.MULTILINE))


def _method(code: str, name: str) -> str | None:
    """How to get at a function that was written as a method, as LeetCode has it; None where it is a function too."""
    if _has_function(code, name):
        return None
    definition = re.compile(rf"[ \t]++(?:async\s+)?def\s+{re.escape(name)}\s*\(\s*(self\b)?")
    owner = None
    for line in code.split("\n"):
        if line[:1].strip():
            opening = re.match(r"class\s+(\w+)", line)
            owner = opening[1] if opening else None
        elif owner and (found := definition.match(line)):
            return f"{owner}().{name}" if found[1] else f"{owner}.{name}"
    return None


def _is_body(code: str, entry_point: str) -> bool:
    """Whether this makes sense only inside a function: it defines nothing, or returns outside its definitions."""
    if _has_function(code, entry_point):
        return False
    defines = inside = False
    for line in code.split("\n"):
        if line[:1].strip():
            inside = bool(re.match(r"(?:async\s+def|def|class)\b", line))
            defines = defines or inside
        if not inside and re.match(r"\s*(?:return|yield)\b", line):
            return True
    return not defines
