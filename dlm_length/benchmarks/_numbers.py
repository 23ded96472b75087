"""Extracting numbers from an answer, and their exact values."""

import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction

from dlm_length.benchmarks import _arithmetic
from dlm_length.benchmarks._latex import MINUS_SIGNS, last_boxed, without_full_stop

# A minus after a letter, a digit or a bracket is a dash or a subtraction (`10-3`, `x-1`), not a sign. Digits that are
# joined by dots and commas are matched as a whole, so that no number is cut out of a date or a list; `_with_a_dot`
# interprets them. Possessive quantifiers keep matching linear.
_SIGN = rf"(?:(?<![^\W_])(?<![)\]}}%])[-{MINUS_SIGNS}])?"
_CHAIN = r"(?:[0-9]++(?:[.,][0-9]++)*+|(?<![0-9.])\.[0-9]++)"
_OVER = r"/(?:0*[1-9][0-9]*+(?:\.[0-9]++)?|0*+\.0*[1-9][0-9]*+)"
NUMBER = re.compile(
    rf"(?P<sign>{_SIGN}[$€£¥₹]?{_SIGN})(?P<chain>{_CHAIN})"
    rf"(?P<rest>(?:[eE][-+]?[0-9]++)?(?:(?:[ ][0-9]{{1,3}})?{_OVER})?%?)"
)
_STRICT = re.compile(rf"####[ \t]*+({NUMBER.pattern})(?:[-:/.]?[0-9])*+")

_GROUPED = re.compile(
    r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?"  # thousands
    r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?"  # India's lakh and crore
    r"|[1-9][0-9]{0,3}(?:,[0-9]{4})+(?:\.[0-9]+)?"  # by ten thousands, as in China and Japan
)
_DOTTED = re.compile(r"[1-9][0-9]{0,2}(?:(?:\.[0-9]{3})+,[0-9]+|(?:\.[0-9]{3}){2,})")
_DECIMAL_COMMA = re.compile(r"[0-9]+,[0-9]+")
_LISTED = re.compile(r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]++)(?:\.[0-9]++)?")

_ARGUMENT = r"\s?(?:\{{\s?({0}[0-9][0-9,]{{0,99}}(?:\.[0-9]{{1,99}})?)\s?\}}|([0-9]))"
_LATEX_FRACTION = re.compile(
    r"((?<=[0-9])(?:[ ~]|\\[ ,;:!])*+)?\\[cdt]?frac" + _ARGUMENT.format("-?") + _ARGUMENT.format("")
)
_LATEX_THOUSANDS = re.compile(
    r"(?<=[0-9])(?:\{,\}|\\[ ,;:!]|,\\!|~|\{ \}|[\xa0\u2009\u202f'\u2019_])(?=[0-9]{3}(?![0-9]))"
)
_LATEX_DECIMAL_COMMA = re.compile(r"(?<=[0-9])\{,\}(?=[0-9])")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3}(?![0-9]))++")
_VULGAR_FRACTION = re.compile(r"([0-9]?)[ ]?([\xbc-\xbe\u2150-\u215e])")
_CURRENCIES = {ord(sign): None for sign in "$€£¥₹"}
_IGNORED = _CURRENCIES | {ord("%"): None}
_PLAIN_MINUS = str.maketrans(dict.fromkeys(MINUS_SIGNS, "-"))

MOST_CHARACTERS = 200
"""Longest number in characters. Longer ones are noise, and Python refuses to convert the longest."""
_HUGE = re.compile(r"[eE][-+]?[0-9]{4}")
"""An exponent of four digits or more, which is noise too."""


def value(number: str) -> Fraction | None:
    """The exact value of a number's text; None where it is not a number. Currency and percent signs are ignored."""
    plain = number.translate(_PLAIN_MINUS).translate(_IGNORED).strip()
    if len(plain) > MOST_CHARACTERS or _HUGE.search(plain) or "_" in plain or plain.count("/") > 1:
        return None
    try:
        whole, _, part = plain.rpartition(" ")
        numerator, _, denominator = part.partition("/")
        fraction = Fraction(_with_a_dot(numerator)) / (Fraction(denominator) if denominator else 1)
        if not whole:
            return fraction
        return _mixed(Fraction(_with_a_dot(whole)), fraction, negative=whole.startswith("-"))
    except (ValueError, ZeroDivisionError):
        return None


def plain(number: str) -> str:
    """A number as it is recorded: without separators of groups, and with a decimal point."""
    return NUMBER.sub(lambda found: found["sign"] + _with_a_dot(found["chain"]) + found["rest"], number)


def _mixed(whole: Fraction, part: Fraction, *, negative: bool) -> Fraction | None:
    """The value of a mixed number such as `1 1/2`; None where it is not one, such as `2 10/5`."""
    if whole.denominator != 1 or not 0 < part < 1:
        return None
    return whole - part if negative else whole + part


def _with_a_dot(digits: str) -> str:
    """A number as Python writes it: `1,25,000` has groups, `12,50` a decimal comma. A list or a date is unchanged."""
    sign = digits[: len(digits) - len(digits.lstrip("+-"))]
    digits = digits[len(sign) :]
    if _GROUPED.fullmatch(digits):
        digits = digits.replace(",", "")
    elif _DOTTED.fullmatch(digits):
        digits = digits.replace(".", "").replace(",", ".")
    elif _DECIMAL_COMMA.fullmatch(digits):
        digits = digits.replace(",", ".")
    return sign + digits


def strict(text: str) -> str | None:
    """The number after the first `####`, as in GSM8K's own answers; None where there is none.

    A number to which more digits are joined, as in a date or a time, is returned as a whole, and has no value.
    """
    found = _STRICT.search(_plainly_written(text))
    return None if found is None else found[0].lstrip("# \t")


def reference(text: str) -> str | None:
    """The number of a reference answer, extracted as by `strict`; None where more digits follow on its line."""
    written = _plainly_written(text)
    found = _STRICT.search(written)
    if found is None or value(found[1]) is None:
        return None
    rest = written[found.end(1) :].partition("\n")[0]
    return None if re.search("[0-9]", rest) else found[1]


def flexible(text: str) -> str | None:
    """The last number of the text, or of a list without blanks such as `1,2,3`; None where there is no number."""
    numbers = list(NUMBER.finditer(_plainly_written(text)))
    if not numbers:
        return None
    last = numbers[-1]
    listed = "," in last["chain"] and value(last["chain"]) is None
    if not listed or last["chain"].count(".") > last["chain"].count(",") + 1:
        return last[0]
    return f"{_LISTED.findall(last['chain'])[-1]}{last['rest']}"


def boxed(text: str) -> str | None:
    r"""The number in the last `\boxed{}` that is not empty, without units and what precedes an equals sign.

    An arithmetic expression is evaluated; other content (a list, a pair, a term) is returned unchanged. None where no
    box has a digit.
    """
    content = last_boxed(text)
    if content is None:
        return None
    if text.endswith(content):  # not closed
        content = _END_OF_OPEN_BOX.split(content.lstrip(), maxsplit=1)[0]
    content = content[: _arithmetic.LONGEST]
    parts = [part for part in _EQUALS.split(_without_markup(content)) if re.search("[0-9]", part)]
    if not parts:
        return None
    part = without_full_stop(parts[-1]).strip()
    if found := _NUMBER_WITH_UNIT.fullmatch(part):
        return found["number"]
    core = _WITH_UNIT.fullmatch(part)
    number = _arithmetic.value_of(_numbers_with_dots(core["core"]).translate(_CURRENCIES)) if core else None
    return str(number) if number is not None else " ".join(content.split())


EXTRACTIONS: dict[str, Callable[[str], str | None]] = {"strict": strict, "flexible": flexible, "boxed": boxed}


def _plainly_written(text: str) -> str:
    """The text without LaTeX's fractions and escaped signs, and with commas between thousands."""
    text = text.replace(r"\$", "$").replace(r"\%", "%")
    text = _LATEX_DECIMAL_COMMA.sub(".", _LATEX_THOUSANDS.sub(",", text))
    text = _SPACED_THOUSANDS.sub(_with_commas, text)
    text = _VULGAR_FRACTION.sub(_written_out, text)
    return _LATEX_FRACTION.sub(_with_slash, text)


def _with_commas(spaced: re.Match[str]) -> str:
    """`1 000` with a comma; `5 100`, which may be two numbers, unchanged: a leading zero marks a group."""
    return spaced[0].replace(" ", ",") if " 0" in spaced[0] else spaced[0]


def _with_slash(fraction: re.Match[str]) -> str:
    mixed, *arguments = fraction.groups()
    numerator, denominator = (argument.replace(",", "") for argument in arguments if argument is not None)
    return f"{'' if mixed is None else ' '}{numerator}/{denominator}"


def _written_out(fraction: re.Match[str]) -> str:
    """A fraction that is a single character, such as one half, with a slash."""
    digits = unicodedata.normalize("NFKC", fraction[2]).replace("\u2044", "/")
    return f"{fraction[1]} {digits}" if fraction[1] else fraction[0].replace(fraction[2], digits)


def _numbers_with_dots(expression: str) -> str:
    """The expression with its numbers as Python writes them; a pair or an interval without blanks is unchanged."""
    return re.sub(_CHAIN, lambda chain: chain[0] if _is_pair(chain) else _with_a_dot(chain[0]), expression)


def _is_pair(chain: re.Match[str]) -> bool:
    """Whether two integers are alone in brackets, as in `(3,4)`, where the comma is not a decimal one."""
    before, after = chain.string[: chain.start()].rstrip(" +-"), chain.string[chain.end() :].lstrip()
    enclosed = before.endswith(("(", "[")) and after.startswith((")", "]"))
    return enclosed and not _GROUPED.fullmatch(chain[0]) and _DECIMAL_COMMA.fullmatch(chain[0]) is not None


# A box may have words next to its number. They are replaced by one character each, so that digits in them (`m2`, `CO2`)
# are not numbers; a single letter is a word only if it is a unit after a digit, as `3x` and `2n` are terms.
_WORD = "\x01"
_END_OF_OPEN_BOX = re.compile(r"\n|\$|\\[])]|</")
_EQUALS = re.compile(r"=|\u2248|\\(?:approx|simeq|equiv|implies|Rightarrow|rightarrow|to)(?![A-Za-z])")
_IN_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|mbox|mathrm|mathbf|mathit|mathsf|operatorname|underline|emph)\s*\{([^{}]*)\}"
)
_DROPPED = re.compile(
    r"\^?\s?\{?\s?\\(?:circ|degree)(?![A-Za-z])\s?\}?|\u00b0|\\(?:left|right|[bB]igg?[lr]?|displaystyle|bf|rm|mathrm|text)"
    r"(?![A-Za-z])|\\(?:pounds|euro|yen|cent|textdollar)(?![A-Za-z])"
)
_BLANKS = re.compile(r"\\(?:[ ,;:!]|q?quad(?![A-Za-z])|\\)|[~\s]")
_LETTERS = re.compile(r"[^\W\d_][^\W_]*")
_WORDS = re.compile(
    r"(?<![\\A-Za-z])(?![xyzn]{2,3}(?![A-Za-z]))[A-Za-z]{2,}[0-9]*+|[^\W\d_A-Za-z\u0370-\u03ff]++"  # Greek stays
)
_UNIT_LETTER = re.compile(r"(?<=[0-9/\x01])(\s*)[mgslthdcLCFKWV](?![A-Za-z])")
_REMARK = re.compile(r"\([^()]*\)")
_UNIT_FRACTION = re.compile(r"\\[dt]?frac\s?\{\s?\x01\s?\}\s?\{\s?[\x01A-Za-z]\s?\}")
_PLAIN_SIGNS = str.maketrans({"\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u2217": "*", "\u00f7": "/", "\u2215": "/"})
_SUPERSCRIPTS = re.compile("[\u00b2\u00b3]")

_LABEL = r"(?:[\s\x01:,#]|\.(?![0-9]))*+"
"""What may precede a box's number; a dot before a digit belongs to the number."""
_UNIT = r"(?:[\s/.,;:%$€£¥₹]|\x01(?:\s?\^\{?-?[0-9]\}?)?|\*(?=\s?\x01)|\(\s?\x01[\s\x01]*\))*"
_NUMBER_WITH_UNIT = re.compile(rf"{_LABEL}(?P<number>{NUMBER.pattern}){_UNIT}")
_WITH_UNIT = re.compile(rf"{_LABEL}(?P<core>.*?(?:[0-9)\]}}!|]|\\r(?:vert|floor|ceil))){_UNIT}", re.DOTALL)


def _without_markup(content: str) -> str:
    """A box's content as numbers and signs, with `_WORD` in place of each word."""
    content = content.translate(_PLAIN_MINUS | _PLAIN_SIGNS)
    content = _IN_TEXT.sub(_text_as_words, content.replace(r"\$", "$").replace(r"\%", "%"))
    content = _SUPERSCRIPTS.sub(lambda sign: "^2" if sign[0] == "\u00b2" else "^3", content)
    content = _DROPPED.sub(" ", _plainly_written(content))
    content = _BLANKS.sub(" ", content)
    content = re.sub(r"(?i)\b(?:minus|negative)\s+(?=[0-9(.])", "-", content)
    content = _UNIT_LETTER.sub(rf"\1{_WORD}", _WORDS.sub(_WORD, content))
    return _UNIT_FRACTION.sub(_WORD, content)


def _text_as_words(text: re.Match[str]) -> str:
    r"""The content of `\text{}` with `_WORD` in place of each word and of each remark in brackets."""
    words = _REMARK.sub(_WORD, text[1]) if _LETTERS.search(text[1]) else text[1]
    words = re.sub(r"(?i)\b(?:minus|negative)\s*\Z", "-", words)
    return f" {_LETTERS.sub(_WORD, words)} "
