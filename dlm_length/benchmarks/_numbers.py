"""Numbers in an answer: where they stand in a text, and what they are worth."""

import re
from collections.abc import Callable
from fractions import Fraction

# A minus behind a letter, a digit or a bracket is a dash or a subtraction (`10-3`, `x-1`), not a sign. Thousands need
# their three digits, so that `1,2,3` stays a list. Possessive quantifiers keep long runs of digits linear.
_PLAIN = r"(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]++)(?:\.[0-9]++)?|(?<![0-9.])\.[0-9]++)(?:[eE][-+]?[0-9]++)?"
_SIGN = r"(?:(?<![\w)\]}%])[-\u2212])?"
_OVER = r"/(?:0*[1-9][0-9]*+(?:\.[0-9]++)?|0*+\.0*[1-9][0-9]*+)"
NUMBER = re.compile(rf"{_SIGN}[$€£¥₹]?{_SIGN}{_PLAIN}(?:(?:[ ][0-9]{{1,3}})?{_OVER})?%?")
_STRICT = re.compile(rf"####[ \t]*+({NUMBER.pattern})")

_ARGUMENT = r"\s?(?:\{{\s?({0}[0-9][0-9,]{{0,99}}(?:\.[0-9]{{1,99}})?)\s?\}}|([0-9]))"
_LATEX_FRACTION = re.compile(
    r"((?<=[0-9])(?:[ ~]|\\[ ,;:!])*+)?\\[cdt]?frac" + _ARGUMENT.format("-?") + _ARGUMENT.format("")
)
_LATEX_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|\\!|,\\!|[\xa0\u2009\u202f])(?=[0-9]{3}(?![0-9]))")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3}(?![0-9]))++")
_BOXED = re.compile(r"\\boxed\s*+\{")
_BOXED_WITHOUT_BRACES = re.compile(r"\\boxed(?![A-Za-z])[ ]*+([^\s$]++)")
_IGNORED = {ord(sign): None for sign in "$€£¥₹%,"} | {0x2212: "-"}

MOST_CHARACTERS = 200
"""A longer run of digits is noise, and Python refuses to convert the longest."""
_HUGE = re.compile(r"[eE][-+]?[0-9]{4}")
"""An exponent that is noise, too."""


def value(number: str) -> Fraction | None:
    """What the text is worth, exactly; None where it is no number. Currency and percent signs count for nothing."""
    plain = number.strip().translate(_IGNORED)
    if len(plain) > MOST_CHARACTERS or _HUGE.search(plain):
        return None
    try:
        whole, _, part = plain.rpartition(" ")
        numerator, _, denominator = part.partition("/")
        fraction = Fraction(numerator) / Fraction(denominator or 1)
        return _mixed(Fraction(whole), fraction, negative=whole.startswith("-")) if whole else fraction
    except (ValueError, ZeroDivisionError):
        return None


def _mixed(whole: Fraction, part: Fraction, *, negative: bool) -> Fraction | None:
    """The worth of `1 1/2`; None for what is none, such as `2 10/5`."""
    if whole.denominator != 1 or not 0 < part < 1:
        return None
    return whole - part if negative else whole + part


def strict(text: str) -> str | None:
    """The number behind the first `####`, as GSM8K's own answers write it."""
    found = _STRICT.search(_plainly_written(text))
    return found[1] if found else None


def flexible(text: str) -> str | None:
    """The last number of the text."""
    numbers = NUMBER.findall(_plainly_written(text))
    return numbers[-1] if numbers else None


def boxed(text: str) -> str | None:
    r"""The number in the last `\boxed{}`: what follows its last equals sign, units left aside."""
    content = last_boxed(text)
    found = NUMBER.search(_plainly_written(content).rpartition("=")[2]) if content is not None else None
    return found[0] if found else None


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{}`, braces of its own included; to the text's end where it is not closed.

    Without any such box, the word behind the last `\boxed`, as some write it.
    """
    if braced := list(_BOXED.finditer(text)):
        return _up_to_closing_brace(text[braced[-1].end() :])
    bare = _BOXED_WITHOUT_BRACES.findall(text)
    return bare[-1] if bare else None


EXTRACTIONS: dict[str, Callable[[str], str | None]] = {"strict": strict, "flexible": flexible, "boxed": boxed}


def _up_to_closing_brace(text: str) -> str:
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[: brace.start()]
    return text


def _plainly_written(text: str) -> str:
    """Without LaTeX's fractions and signs, and with commas alone between thousands."""
    text = _LATEX_THOUSANDS.sub(",", text.replace(r"\$", "$").replace(r"\%", "%"))
    text = _SPACED_THOUSANDS.sub(_with_commas, text)
    return _LATEX_FRACTION.sub(_with_slash, text)


def _with_commas(spaced: re.Match[str]) -> str:
    """`1 000` is one number, `5 100` may be two: only zeros in front of a group tell."""
    return spaced[0].replace(" ", ",") if " 0" in spaced[0] else spaced[0]


def _with_slash(fraction: re.Match[str]) -> str:
    mixed, *arguments = fraction.groups()
    numerator, denominator = (argument.replace(",", "") for argument in arguments if argument is not None)
    return f"{'' if mixed is None else ' '}{numerator}/{denominator}"
