r"""Exact values of arithmetic expressions without variables: `5 - 8`, `2^3`, `\sqrt{4}`, `\frac{84}{2}`, `4!`."""

import math
import re
from fractions import Fraction

LONGEST = 500
"""Longest expression that is evaluated, in characters."""
DEEPEST = 40
"""Deepest nesting of brackets that is evaluated."""
MOST_BITS = 2000
"""Most bits of a numerator or denominator; an expression that exceeds them, such as `9^{9^{9}}`, has no value."""

_TOKEN = re.compile(
    r"\s*+(?:(?P<number>[0-9]++(?:\.[0-9]++)?(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?|\.[0-9]++)"
    r"|\\(?P<command>[A-Za-z]++)|(?P<sign>\*\*|[-+*/^!(){}\[\]|]))"
)
_SLASHED = re.compile(r"\s+([0-9]{1,9})/([1-9][0-9]{0,8})(?![0-9.])")
_SIGNS = {"times": "*", "cdot": "*", "ast": "*", "div": "/", "lbrack": "[", "rbrack": "]"}
_ENCLOSING = {"lvert": "rvert", "lfloor": "rfloor", "lceil": "rceil"}
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class _NoNumberError(ValueError):
    """The expression is not arithmetic, its value is not rational, or it exceeds a limit."""


def value_of(expression: str) -> Fraction | None:
    """The expression's value; None where it is not arithmetic, not rational, or exceeds a limit."""
    try:
        return _Reader(expression).all()
    except (_NoNumberError, ZeroDivisionError, OverflowError):
        return None


class _Reader:
    """Recursive descent parser of LaTeX or plain expressions; a multiplication sign may be omitted before brackets."""

    def __init__(self, expression: str) -> None:
        if len(expression) > LONGEST:
            raise _NoNumberError
        self._text = expression.rstrip()
        self._at = 0
        self._depth = 0

    def all(self) -> Fraction:
        """The value of the whole text. Raises _NoNumberError where it is not an expression."""
        value = self._sum()
        if self._at < len(self._text):
            raise _NoNumberError
        return value

    def _peek(self) -> tuple[str, str, int]:
        """Kind, text and end of the next token; kind is empty at the end."""
        token = _TOKEN.match(self._text, self._at)
        if token is None:
            if self._text[self._at :].strip():
                raise _NoNumberError
            return "", "", len(self._text)
        kind = token.lastgroup or ""
        text = token[kind]
        if kind == "command" and text in _SIGNS:
            kind, text = "sign", _SIGNS[text]
        return kind, text, token.end()

    def _taken(self, *texts: str) -> str | None:
        """Consume the next sign if it is one of `texts`, and return it; else None."""
        kind, text, end = self._peek()
        if kind == "sign" and text in texts:
            self._at = end
            return text
        return None

    def _sum(self) -> Fraction:
        self._depth += 1
        if self._depth > DEEPEST:
            raise _NoNumberError
        total = self._product()
        while sign := self._taken("+", "-"):
            total = _bounded(total + self._product() if sign == "+" else total - self._product())
        self._depth -= 1
        return total

    def _product(self) -> Fraction:
        total = self._signed()
        while True:
            if sign := self._taken("*", "/"):
                other = self._signed()
                total = _bounded(total * other if sign == "*" else total / other)
            elif self._implied():
                total = _bounded(total * self._power())
            else:
                return total

    def _implied(self) -> bool:
        kind, text, _ = self._peek()
        return (kind == "sign" and text in "([{") or (kind == "command" and text == "sqrt")

    def _signed(self) -> Fraction:
        negative = False
        while sign := self._taken("-", "+"):
            negative ^= sign == "-"
        return -self._power() if negative else self._power()

    def _power(self) -> Fraction:
        base = self._atom()
        if self._taken("!"):
            base = _factorial(base)
            if self._taken("!"):  # the double factorial, another function
                raise _NoNumberError
        return _power(base, self._signed()) if self._taken("^", "**") else base

    def _atom(self) -> Fraction:
        kind, text, end = self._peek()
        if kind == "number":
            self._at = end
            whole = Fraction(text)
            return self._mixed(whole) if whole.denominator == 1 else whole
        if kind == "sign" and text in _CLOSING:
            self._at = end
            inside = self._sum()
            if not self._taken(_CLOSING[text]):
                raise _NoNumberError
            return inside
        if kind == "command" and text in ("frac", "dfrac", "tfrac", "cfrac"):
            self._at = end
            above, below = self._argument(), self._argument()
            return _bounded(above / below)
        if (kind, text) == ("sign", "|") or text in _ENCLOSING:
            self._at = end
            return self._enclosed(text)
        if kind == "command" and text in ("binom", "dbinom", "tbinom"):
            self._at = end
            return _binomial(self._argument(), self._argument())
        if kind == "command" and text == "sqrt":
            self._at = end
            degree = self._sum_up_to("]") if self._taken("[") else Fraction(2)
            return _root(self._argument(), degree)
        raise _NoNumberError

    def _enclosed(self, opening: str) -> Fraction:
        """An absolute value, or a value rounded down or up, after its opening sign."""
        inside = self._sum()
        if opening == "|":
            closed = self._taken("|") is not None
        else:
            _, text, end = self._peek()
            closed = text == _ENCLOSING[opening]
            self._at = end
        if not closed:
            raise _NoNumberError
        match opening:
            case "lfloor":
                return Fraction(math.floor(inside))
            case "lceil":
                return Fraction(math.ceil(inside))
            case _:
                return abs(inside)

    def _mixed(self, whole: Fraction) -> Fraction:
        r"""`whole` with a following fraction: `1\frac{1}{2}` and `1 1/2` are 3/2. `2\frac{10}{5}` is an error."""
        if slashed := _SLASHED.match(self._text, self._at):
            self._at = slashed.end()
            part = Fraction(int(slashed[1]), int(slashed[2]))
        else:
            kind, text, _ = self._peek()
            if kind != "command" or not text.endswith("frac"):
                return whole
            part = self._atom()
        if not 0 < part < 1:
            raise _NoNumberError
        return whole + part

    def _argument(self) -> Fraction:
        """An argument of a command: in braces, or a single digit without."""
        if self._taken("{"):
            return self._sum_up_to("}")
        digit = re.compile(r"\s*([0-9])").match(self._text, self._at)
        if digit is None:
            raise _NoNumberError
        self._at = digit.end()
        return Fraction(digit[1])

    def _sum_up_to(self, closing: str) -> Fraction:
        value = self._sum()
        if not self._taken(closing):
            raise _NoNumberError
        return value


def _bounded(number: Fraction) -> Fraction:
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > MOST_BITS:
        raise _NoNumberError
    return number


def _factorial(number: Fraction) -> Fraction:
    if number.denominator != 1 or not 0 <= number <= 200:
        raise _NoNumberError
    return _bounded(Fraction(math.factorial(int(number))))


def _binomial(above: Fraction, below: Fraction) -> Fraction:
    if above.denominator != 1 or below.denominator != 1 or not 0 <= below <= above <= 200:
        raise _NoNumberError
    return Fraction(math.comb(int(above), int(below)))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    size = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent.numerator) * size > MOST_BITS:
        raise _NoNumberError
    return _root(base**exponent.numerator, Fraction(exponent.denominator))


def _root(number: Fraction, degree: Fraction) -> Fraction:
    """The rational root of a degree from 1 to 64. Raises _NoNumberError where the root is irrational."""
    if degree.denominator != 1 or not 1 <= degree <= 64 or (number < 0 and degree % 2 == 0):
        raise _NoNumberError
    n = int(degree)
    above, below = _integer_root(abs(number.numerator), n), _integer_root(number.denominator, n)
    return Fraction(-above if number < 0 else above, below)


def _integer_root(number: int, degree: int) -> int:
    """The integer root. Raises _NoNumberError where it is not an integer. By bisection, as floats would round it."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < number else (low, middle)
    if low**degree != number:
        raise _NoNumberError
    return low
