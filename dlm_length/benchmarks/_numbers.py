"""Numbers in an answer: where they stand in a text, and what they are worth."""

import re
from collections.abc import Callable
from fractions import Fraction

# A minus behind a letter, a digit or a bracket is a dash or a subtraction (`10-3`, `x-1`), not a sign. Thousands need
# their three digits, so that `1,2,3` stays a list. Possessive quantifiers keep long runs of digits linear.
_PLAIN = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]++)(?:\.[0-9]++)?|(?<![0-9.])\.[0-9]++"
_SIGN = r"(?:(?<![\w)\]}%])[-\u2212])?"
NUMBER = re.compile(rf"{_SIGN}[$€£¥₹]?{_SIGN}(?:{_PLAIN})(?:/0*[1-9][0-9]*+)?%?")
_STRICT = re.compile(rf"####[ \t]*+({NUMBER.pattern})")
_LATEX_FRACTION = re.compile(r"\\[dt]?frac\s?\{\s?([0-9]{1,100})\s?\}\s?\{\s?(0{0,9}[1-9][0-9]{0,99})\s?\}")
_LATEX_THOUSANDS = re.compile(r"(?<=[0-9])(?:\{,\}|\\,|\\!|,\\!)(?=[0-9]{3}(?![0-9]))")
_BOXED = "\\boxed{"
_IGNORED = {ord(sign): None for sign in "$€£¥₹%,"} | {0x2212: "-"}

MOST_CHARACTERS = 200
"""A longer run of digits is noise, and Python refuses to convert the longest."""


def value(number: str) -> Fraction | None:
    """What the text is worth, exactly; None where it is no number. Currency and percent signs count for nothing."""
    plain = number.strip().translate(_IGNORED)
    if len(plain) > MOST_CHARACTERS:
        return None
    try:
        numerator, _, denominator = plain.partition("/")
        return Fraction(numerator) / Fraction(denominator or 1)
    except (ValueError, ZeroDivisionError):
        return None


def strict(text: str) -> str | None:
    """The number behind the first `####`, as GSM8K's own answers write it."""
    found = _STRICT.search(_without_latex(text))
    return found[1] if found else None


def flexible(text: str) -> str | None:
    """The last number of the text."""
    numbers = NUMBER.findall(_without_latex(text))
    return numbers[-1] if numbers else None


def boxed(text: str) -> str | None:
    r"""The number in the last `\boxed{}`: what follows its last equals sign, units left aside."""
    content = last_boxed(text)
    found = NUMBER.search(_without_latex(content).rpartition("=")[2]) if content is not None else None
    return found[0] if found else None


def last_boxed(text: str) -> str | None:
    r"""What stands in the last `\boxed{}`, braces of its own included; to the text's end where it is not closed."""
    start = text.rfind(_BOXED)
    return _up_to_closing_brace(text[start + len(_BOXED) :]) if start >= 0 else None


EXTRACTIONS: dict[str, Callable[[str], str | None]] = {"strict": strict, "flexible": flexible, "boxed": boxed}


def _up_to_closing_brace(text: str) -> str:
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[: brace.start()]
    return text


def _without_latex(text: str) -> str:
    text = _LATEX_THOUSANDS.sub(",", text.replace(r"\$", "$").replace(r"\%", "%"))
    return _LATEX_FRACTION.sub(r"\1/\2", text)
