"""Finding code in an answer, and joining it to the prompt.

All by the look of the text: parsing what a model wrote can exhaust the parser's stack, so that is left to the sandbox.
"""

import re
import textwrap
from collections.abc import Iterator

# Possessive, so that long runs of blanks stay linear.
_FENCE = re.compile(r"```(?:[ \t]*+[\w+.-]*+[ \t\r]*+\n)?(.*?)(?:```|\Z)", re.DOTALL)
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
    """The first code fence, closed or not; without one, the first lines that look like code."""
    return _joined(next(_fences(text), None) or _code_in_prose(text), prompt, entry_point)


def answer_fence(text: str, prompt: str, entry_point: str) -> str | None:
    """The code between `<answer>` tags; without them the last fence, as reasoning comes before the solution."""
    _, tag, inside = text.rpartition("<answer>")
    if tag:
        return first_fence(inside.partition("</answer>")[0], prompt, entry_point)
    *_, last = ("", *_fences(text))
    return _joined(last or _code_in_prose(text), prompt, entry_point)


def _fences(text: str) -> Iterator[str]:
    return (fence[1] for fence in _FENCE.finditer(text) if fence[1].strip())


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
        return prompt + textwrap.indent(code, "    ")
    preamble = re.split(rf"^def\s+{re.escape(entry_point)}\b", prompt, maxsplit=1, flags=re.MULTILINE)[0]
    # Imports from the future are valid at the very top only.
    lines = code.split("\n")
    future = [line for line in lines if line.startswith("from __future__ import ")]
    return "\n".join([*future, preamble, *(line for line in lines if line not in future)])


def _is_body(code: str, entry_point: str) -> bool:
    """Whether this makes sense only inside a function: it defines nothing, or returns outside its definitions."""
    name = re.escape(entry_point)
    if re.search(rf"^(?:(?:async\s+)?def\s+{name}\b|{name}\s*=)", code, re.MULTILINE):
        return False
    defines = inside = False
    for line in code.split("\n"):
        if line[:1].strip():
            inside = bool(re.match(r"(?:async\s+def|def|class)\b", line))
            defines = defines or inside
        if not inside and re.match(r"\s*(?:return|yield)\b", line):
            return True
    return not defines
