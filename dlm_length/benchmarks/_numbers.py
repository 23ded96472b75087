"""Extracting numbers from an answer, and their exact values."""

import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction

from dlm_length.benchmarks import _arithmetic
from dlm_length.benchmarks._latex import MINUS_SIGNS, hidden_removed, last_boxed, without_full_stop

# A minus after a letter, a digit or a bracket is a dash or a subtraction (`10-3`, `x-1`), not a sign. Digits that are
# joined by dots and commas are matched as a whole, so that no number is cut out of a date or a list; `_with_a_dot`
# interprets them. Possessive quantifiers keep matching linear.
_SIGN = rf"(?:(?<![^\W_])(?<![)\]}}%])[-{MINUS_SIGNS}])?"
_CHAIN = r"(?:[0-9]++(?:[.,][0-9]++)*+|(?<![\w.\x01])\.[0-9]++)"  # the point of `Rs.50` is an abbreviation's
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

_ARGUMENT = r"\s?(?:\{{\s?({0}[0-9][0-9.,]{{0,99}})\s?\}}|([0-9]))"
_LATEX_FRACTION = re.compile(
    r"((?<=[0-9])(?:[ ~]|\\[ ,;:!])*+)?\\[cdt]?frac" + _ARGUMENT.format("-?") + _ARGUMENT.format("")
)
_SEPARATOR = r"(?:\{,\}|\\[ ,;:!]|,\\!|~|\{ \}|[\xa0\u2009\u202f'\u2019_])"
_LATEX_GROUPS = re.compile(rf"(?<![0-9.,])[0-9]{{1,4}}(?:{_SEPARATOR}[0-9]{{2,4}}(?![0-9])){{2,}}+")
_LATEX_THOUSANDS = re.compile(rf"(?<=[0-9]){_SEPARATOR}(?=[0-9]{{3}}(?![0-9]))")
_LATEX_DECIMAL_COMMA = re.compile(r"(?<=[0-9])\{,\}(?=[0-9])")
_DOTTED_BEFORE_BRACED = re.compile(r"(?<![0-9.,])([0-9]{1,3}(?:\.[0-9]{3})++)\{,\}(?=[0-9])")
_SPACED_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?: [0-9]{3}(?![0-9]))++")
_VULGAR_FRACTION = re.compile(r"([0-9]?)[ ]?([\xbc-\xbe\u2150-\u215e])")
_CURRENCIES = {ord(sign): None for sign in "$€£¥₹¢"}
_IGNORED = _CURRENCIES | {ord("%"): None}
_PLAIN_MINUS = str.maketrans(dict.fromkeys(MINUS_SIGNS, "-"))

MOST_CHARACTERS = 200
"""Longest number in characters. Longer ones are noise, and Python refuses to convert the longest."""
LONGEST = 1_000_000
"""Characters of an answer that are searched: the first for `strict`, else the last. No model writes as many."""
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
    found = _STRICT.search(_plainly_written(text[:LONGEST]))
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
    numbers = list(NUMBER.finditer(_plainly_written(text[-LONGEST:])))
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
    text = text[-LONGEST:]
    content = last_boxed(text)
    if content is None:
        return None
    if text.endswith(content):  # not closed
        content = _END_OF_OPEN_BOX.split(content.lstrip(), maxsplit=1)[0]
    content = content[: _arithmetic.LONGEST]
    equation = _without_markup(content, _plainly_written)
    sides = _sides_with_digits(equation)
    if not sides:
        return None
    # Not the first side: in `10 apples, total = 15` no other value has a name.
    if not any(map(_ENDS_IN_A_NAME.search, _EQUALS.split(equation)[1:-1])):
        if found := _NUMBER_WITH_UNIT.fullmatch(sides[-1]):
            return found["number"]
        # With LaTeX's own fractions, as `2 \\div \\frac{1}{2}` is not `2 / 1 / 2`.
        expression = _sides_with_digits(_without_markup(content, _with_plain_numbers))[-1]
        core = _WITH_UNIT.fullmatch(expression)
        number = _arithmetic.value_of(_numbers_with_dots(core["core"]).translate(_CURRENCIES)) if core else None
        if number is not None:
            return str(number)
    return " ".join(content.split())


EXTRACTIONS: dict[str, Callable[[str], str | None]] = {"strict": strict, "flexible": flexible, "boxed": boxed}


def _sides_with_digits(equation: str) -> list[str]:
    """The sides of an equation, or the one expression, that have digits."""
    return [without_full_stop(side).strip() for side in _EQUALS.split(equation) if re.search("[0-9]", side)]


def _plainly_written(text: str) -> str:
    """The text without LaTeX's fractions and escaped signs, and with commas between thousands."""
    return _LATEX_FRACTION.sub(_with_slash, _with_plain_numbers(text))


def _with_plain_numbers(text: str) -> str:
    """The text without escaped signs and fractions of one character, and with commas between thousands."""
    text = text.replace(r"\$", "$").replace(r"\%", "%")
    text = _DOTTED_BEFORE_BRACED.sub(r"\1,", _LATEX_GROUPS.sub(_with_group_commas, text))
    text = _LATEX_DECIMAL_COMMA.sub(".", _LATEX_THOUSANDS.sub(",", text))
    text = _SPACED_THOUSANDS.sub(_with_commas, text)
    return _VULGAR_FRACTION.sub(_written_out, text)


def _with_group_commas(separated: re.Match[str]) -> str:
    """`1{,}25{,}000` with plain commas; what is no grouped number, unchanged."""
    joined = re.sub(_SEPARATOR, ",", separated[0])
    return joined if _GROUPED.fullmatch(joined) else separated[0]


def _with_commas(spaced: re.Match[str]) -> str:
    """`1 000` with a comma; `5 100`, which may be two numbers, unchanged: a leading zero marks a group."""
    return spaced[0].replace(" ", ",") if " 0" in spaced[0] else spaced[0]


def _with_slash(fraction: re.Match[str]) -> str:
    mixed, *arguments = fraction.groups()
    numerator, denominator = (_with_a_dot(argument) for argument in arguments if argument is not None)
    if "," in numerator + denominator:  # a list, or several points
        return fraction[0]
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
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|[mhf]box|math(?:rm|bf|it|sf|tt)|bold(?:symbol)?|bm|operatorname|underline|emph)"
    r"\s*\{([^{}]*)\}"
)
_DROPPED = re.compile(
    r"\^?\s?\{?\s?\\(?:circ|degree)(?![A-Za-z])\s?\}?|\u00b0|\\[()]|\\(?:text)?color\s?\{[^{}]*\}"
    r"|\\(?:left|right|[bB]igg?[lr]?|displaystyle|bf|rm|mathrm|text|small|large|Large|LARGE|huge|Huge)(?![A-Za-z])"
    r"|\\(?:pounds|euro|yen|cent|textdollar|mathdollar)(?![A-Za-z])"
)
_ORDINAL = re.compile(r"(?<=[0-9])\s?\^\s?(?:\{(?:st|nd|rd|th)\}|(\{)?\\(?:text|mathrm)\s?\{(?:st|nd|rd|th)\}(?(1)\}))")
_MINUS_WORD = re.compile(r"(?i)\b(?:minus|negative)\s+(?=[$€£¥₹]?[0-9(.])")
_IN_BOX_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:[ ][0-9]{3}(?![0-9]))++(?!\s?[/,.][0-9])")
"""Groups of three digits after blanks, which LaTeX does not print. `1 250/300` is a mixed number."""
_BRACED_MINUS = re.compile(r"(?:\\math(?:ord|bin|op))?\s?\{\s?-\s?\}")
_ROOT_SIGN = re.compile(r"\u221a\s?(?:([0-9][0-9.,]*+)|\(([^()]*+)\))")
_ENDS_IN_A_NAME = re.compile(r"[0-9][^0-9]*?(?:[,;]\s*(?:\x01\s*)*[A-Za-z\x01]|\x01\s*[A-Za-z])\s*\Z")
"""What precedes an equals sign in a list of values: `3, y` of `x = 3, y = 4`."""
_BLANKS = re.compile(r"\\(?:[ ,;:!]|q?quad(?![A-Za-z])|\\)|[~\s]")
_LETTERS = re.compile(r"[^\W\d_][^\W_]*")
_WORDS = re.compile(
    r"(?<![\\A-Za-z])(?!(?:[xyzn]{2,3}|abc?)(?![A-Za-z]))[A-Za-z]{2,}[0-9]*+"
    r"|[^\W\d_A-Za-z\u0370-\u03ff]++"  # Greek stays
)
_UNIT_LETTER = re.compile(r"(?<=[0-9/}\x01])(\s*)[mgslthdcLCFKWV](?![A-Za-z])")
_REMARK = re.compile(r"\([^()]*\)")
_UNIT_FRACTION = re.compile(r"\\[dt]?frac\s?\{\s?\x01\s?\}\s?\{\s?[\x01A-Za-z]\s?\}")
_PLAIN_SIGNS = str.maketrans(
    {"\u00d7": "*", "\u00b7": "*", "\u22c5": "*", "\u2217": "*", "\u00f7": "/", "\u2215": "/"}
    | {"\u230a": r"\lfloor ", "\u230b": r"\rfloor ", "\u2308": r"\lceil ", "\u2309": r"\rceil "}
)
_SUPERSCRIPTS = re.compile("[\u00b2\u00b3]")

_LABEL = r"(?:[\s\x01:,#]|\.(?![0-9])|(?<=\x01)\.)*+"
"""What may precede a box's number; a dot before a digit belongs to the number, unless it follows a word (`Rs.50`)."""
_UNIT = r"(?:[\s/.,;:%$€£¥₹¢]|(?<=/)-|\x01(?:\s?\^\{?-?[0-9]\}?)?|\*(?=\s?\x01)|\(\s?\x01[\s\x01]*\))*"
_NUMBER_WITH_UNIT = re.compile(rf"{_LABEL}(?P<number>{NUMBER.pattern}){_UNIT}")
_WITH_UNIT = re.compile(rf"{_LABEL}(?P<core>.*?(?:[0-9)\]}}!|]|\\r(?:vert|floor|ceil))){_UNIT}", re.DOTALL)


def _without_markup(content: str, plain_numbers: Callable[[str], str]) -> str:
    """A box's content as numbers and signs, with `_WORD` in place of each word."""
    content = hidden_removed(content).translate(_PLAIN_MINUS | _PLAIN_SIGNS)
    content = content.replace(r"\$", "$").replace(r"\%", "%").replace(r"\#", "#")
    content = _IN_TEXT.sub(_text_as_words, _ORDINAL.sub("", _BRACED_MINUS.sub("-", content)))
    content = _SUPERSCRIPTS.sub(lambda sign: "^2" if sign[0] == "\u00b2" else "^3", content)
    content = _ROOT_SIGN.sub(r"\\sqrt{\1\2}", content)
    content = _DROPPED.sub(" ", plain_numbers(_IN_BOX_THOUSANDS.sub(_joined, content)))
    content = _BLANKS.sub(" ", content)
    content = _MINUS_WORD.sub("-", content)
    content = _UNIT_LETTER.sub(rf"\1{_WORD}", _WORDS.sub(_WORD, content))
    return _UNIT_FRACTION.sub(_WORD, content)


def _joined(spaced: re.Match[str]) -> str:
    return spaced[0].replace(" ", "")


def _text_as_words(text: re.Match[str]) -> str:
    r"""The content of `\text{}` with `_WORD` in place of each word and of each remark in brackets."""
    words = _REMARK.sub(_WORD, text[1]) if _LETTERS.search(text[1]) else text[1]
    words = re.sub(r"(?i)\b(?:minus|negative)\s*\Z", "-", _MINUS_WORD.sub("-", words))
    return f" {_LETTERS.sub(_WORD, words)} "
