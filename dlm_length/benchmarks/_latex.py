r"""LaTeX as models write it: boxes, blanks inside numbers, punctuation after an expression."""

import re

MINUS_SIGNS = "\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d"
"""Characters that are read as a minus sign, in addition to the ASCII hyphen. An em dash is not one."""

_BOX = re.compile(r"\\boxed(?![A-Za-z])\s*+(\{)?")
# `\boxed` in a sentence is a mention, unless mathematics follows: a number, a command, a single letter.
_BARE = re.compile(
    r"\\boxed(?![A-Za-z])[ ]*+([-+$\u2212]?(?:[.(]*+[0-9]|\\[A-Za-z({])[^\s$]*+|[A-Za-z](?=\$|\\[])]|\Z))"
)
_NOTHING = re.compile(
    r"""\\(?:text(?:bf|it|rm|normal)?|mbox|mathrm|mathbf|boxed|[hv]?phantom|[hv]space\*?)\s*(?:\{[\s~.?_]*\}|(?=[\s}]|\Z))
    |\\(?:[dt]?frac|sqrt|binom|bm|boldsymbol|cancel|fbox|hat|bar|vec|over(?:line|rightarrow)|operatorname|text[a-z]*|math[a-z]+)\s*\{\s*\}
    |\\(?:[lc]?dots|q?quad|[sS]quare|Box|underline|displaystyle|left|right|[ ,;:!>_])(?![A-Za-z])
    |[\s~$.,;:?_{}()\u2026\u25a1]""",
    re.VERBOSE,
)
_PLACEHOLDER = re.compile(
    r"(?:\\text\s*\{\s*+)?(?:(?:your|the|my|final)\s+)*(?:answer|result|solution)(?:\s+here)?[\s}.]*", re.IGNORECASE
)
LONGEST_PLACEHOLDER = 100
LONGEST_EMPTY = 1_000
"""Longest content of a box, in characters, that is searched for more than blanks; so that many boxes stay fast."""
_HIDDEN = re.compile(r"\\[hv]?phantom\s*\{[^{}]*\}|\\[hv]space\*?\s*\{[^{}]*\}")

_ONE_BLANK = r"(?:[ ~\xa0\u2009\u202f]|\\[ ,;:!>]|\\thinspace\s?|\\text\s?\{[ ~]\}|\{(?:[ ~]|\\[ ,;:!>])?\})"
BLANK = rf"{_ONE_BLANK}{{1,4}}+"
"""A regular expression for a blank as LaTeX has it, or a few."""
_BLANK_THOUSANDS = re.compile(rf"(?<![0-9.])([0-9]{{1,3}})((?:{BLANK}[0-9]{{3}}(?![0-9]))+)")
_BLANK_DECIMALS = re.compile(r"(\.[0-9]{3})((?:(?:[~\u2009\u202f]|\\[ ,;:!])[0-9]{1,3}(?![0-9]))+)")
_BRACED_COMMA = re.compile(
    r"(?<=[0-9])(?:\\(?:text|math(?:ord|punct))\s?)?\{,\}(?:\s|\\!)?(?=([0-9]{3}(?![0-9]))|[0-9])"
)
_NARROW_COMMA = re.compile(r"(?<=[0-9])\s?,\s?\\!\s?(?=[0-9]{3}(?![0-9]))")
_NUMBER_IN_TEXT = re.compile(r"\\(?:text(?:bf|it|rm|normal)?|mbox)\s?\{\s?([-+$]?[0-9][0-9,]*+(?:\.[0-9]++)?)\s?\}")
MOST_BOXES = 20
"""Most boxes, counted from the end, that are searched for one that is not empty."""
_NO_DIGIT = re.compile(r"[^0-9]")
_TRAILING = re.compile(rf"(?<![.\\])(?:{BLANK})?[.,;:](?:{BLANK}|\s|\\\Z)?+((?:\}}|\$|\\\)|\\[,;:!]|\s)*)\Z")
FORMULA = re.compile(
    r"(\$\$?)(?=[^\s$])((?:\\[$]|[^$])+?)(?<=[^\s\\])\1|(\\\[)((?:(?!\\\[).)+?)(\\\])|(\\\()((?:(?!\\\().)+?)(\\\))",
    re.DOTALL,
)


_ENVIRONMENT = re.compile(
    r"\\begin\s?\{((?:align(?:ed|at)?|equation|gather(?:ed)?|split|multline|eqnarray|flalign)\*?)\}(.*?)\\end\s?\{\1\}",
    re.DOTALL,
)
_LINE_ENDS = re.compile(r"\\\\(?:\s?\[[^\[\]]*\])?|\\(?:begin|end)(?=\s?\{)")
_ALIGNMENT = re.compile(
    r"\A(?:\s|&|=|\\(?:Rightarrow|implies|therefore|Longrightarrow)(?![A-Za-z]))+"
    r"|\\(?:nonumber|notag)(?![A-Za-z])|\\(?:tag|label)\*?\s?\{[^{}]*\}"
    r"|(?P<matrix>\\begin\s?\{.*?\\end\s?\{[^{}]*\})|(?<!\\)&",
    re.DOTALL,
)


def last_boxed(text: str) -> str | None:
    r"""The content of the last `\boxed{}` that is not empty; up to the end of the text if it is not closed.

    If there is none, what follows the last `\boxed` without braces, as in `$\boxed 5$`; None if there is none either.
    """
    for box in list(_BOX.finditer(text))[: -MOST_BOXES - 1 : -1]:
        if box[1] and not _says_nothing(content := _up_to_closing_brace(text[box.end() :])):
            return content
    bare = _BARE.findall(text)
    return bare[-1] if bare else None


def without_boxes(text: str) -> str:
    r"""The text without empty boxes, and without the command `\boxed` itself elsewhere."""
    kept, at = [], 0
    for box in _BOX.finditer(text):
        if box.start() < at:
            continue  # inside the previous box
        kept.append(text[at : box.start()])
        at = box.end()
        content = _up_to_closing_brace(text[at:]) if box[1] else ""
        if box[1] and _says_nothing(content):
            at += len(content) + 1
    return "".join([*kept, text[at:]])


def tidied(latex: str) -> str:
    r"""An expression without blanks in its numbers (`10\,080`) and final punctuation, with ASCII minus signs."""
    return joined_numbers(without_full_stop(latex))


def tidied_formulas(text: str) -> str:
    r"""A text with `tidied` applied to each formula (`$..$`, `\[..\]`, `\(..\)`), of aligned ones to the last line.

    Environments such as `align*` become `\[..\]`.
    """

    def tidy(formula: re.Match[str]) -> str:
        opening, inside, closing = (part for part in (*formula.groups(), formula[1]) if part is not None)
        return f"{opening}{tidied(_ENVIRONMENT.sub(_last_line, inside))}{closing}"

    text = FORMULA.sub(tidy, text)
    return _ENVIRONMENT.sub(lambda lines: f"\\[{tidied(_last_line(lines))}\\]", text)


def _last_line(environment: re.Match[str]) -> str:
    """The last line that is not empty, without alignment and the equals sign at its beginning."""
    depth, start, lines = 0, 0, []
    for mark in _LINE_ENDS.finditer(environment[2]):
        depth += {"b": 1, "e": -1}.get(mark[0][1], 0)
        if mark[0].startswith("\\\\") and depth == 0:  # not in a matrix
            lines.append(environment[2][start : mark.start()])
            start = mark.end()
    lines = [line for line in (*lines, environment[2][start:]) if line.strip()]
    return _ALIGNMENT.sub(lambda mark: mark["matrix"] or "", lines[-1]) if lines else ""


def joined_numbers(latex: str) -> str:
    """The expression with groups of digits joined; a comma in braces is decimal unless a group of three follows."""
    latex = re.sub(f"[{MINUS_SIGNS}]", "-", latex)
    latex = hidden_removed(latex)
    latex = _NARROW_COMMA.sub("", _NUMBER_IN_TEXT.sub(r"\1", latex))
    latex = _BRACED_COMMA.sub(lambda comma: "" if comma[1] else ".", latex)
    for grouped in (_BLANK_THOUSANDS, _BLANK_DECIMALS):
        latex = grouped.sub(lambda found: found[1] + _NO_DIGIT.sub("", found[2]), latex)
    return latex


def without_full_stop(latex: str) -> str:
    """The expression without a final full stop, comma, colon or semicolon, also inside braces; an ellipsis stays."""
    return _TRAILING.sub(r"\1", latex.rstrip())


def hidden_removed(latex: str) -> str:
    r"""The expression without what is not printed: `\phantom{0}`, `\hspace{1em}`."""
    return _HIDDEN.sub("", latex)


def _says_nothing(content: str) -> bool:
    """Whether a box's content is empty: only blanks, invisible commands, or a placeholder such as `your answer`."""
    if len(content) <= LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(content.strip()):
        return True
    before = None
    if len(content) > LONGEST_EMPTY:
        return False
    content = hidden_removed(content)
    while content != before:
        before, content = content, _NOTHING.sub("", content)
    return not content


def _up_to_closing_brace(text: str) -> str:
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[: brace.start()]
    return text
