"""The worker of `_equivalence`, run as a script: reads a JSON line, writes one, and ends with its input."""

import json
import math
import re
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any

MEMORY_BYTES = 2 << 30
SIGNIFICANT = 3
"""Significant digits to compare: where math-verify's six decimals leave fewer of a small number, more are compared."""
MOST_DIGITS = 5000
"""Most additional digits that are compared."""
IMAGINARY = re.compile(
    r"\\(?:math(?:rm|it|bf|sf)|text(?:it|bf)?|bold(?:symbol)?|bm|operatorname)\s*\{\s*i\s*\}|\\imath(?![A-Za-z])"
    r"|\{\\(?:rm|it|bf)\s+i\}"
)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from math_verify import parse, verify

    for line in sys.stdin:
        job = json.loads(line)
        # SIGPROF without a handler ends the process; an exception would have to wait for native code to return.
        signal.setitimer(signal.ITIMER_PROF, job["seconds"])
        outcome, parsed = judge(parse, verify, job["reference"], job["answer"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps({"outcome": outcome, "parsed": parsed}) + "\n")
        sys.stdout.flush()


def judge(parse: Any, verify: Any, reference: str, answer: str) -> tuple[str, str | None]:
    """`outcome` and `parsed` of a verdict, by math-verify's functions `parse` and `verify`."""
    reference, answer = (IMAGINARY.sub(" i ", text) for text in (reference, answer))
    found = parse(answer, parsing_timeout=None)
    if not found:
        return "unreadable", None
    gold = parse(f"\\boxed{{{reference}}}", parsing_timeout=None)
    text = next((part for part in found if isinstance(part, str)), None)
    gold, found = with_imaginary_unit(gold, found)
    equal = verify(gold, found, timeout_seconds=None)
    if equal and (finer := further_digits(gold, found)):
        digits = {"float_rounding": 6 + finer, "numeric_precision": 15 + finer}
        equal = verify(gold, found, timeout_seconds=None, **digits)
    return "equal" if equal else "different", text


def with_imaginary_unit(*sides: list[Any]) -> list[list[Any]]:
    r"""Both sides with `i` as the imaginary unit, if they have it, and with equal symbols for equal letters.

    math-verify's assumptions on a symbol depend on how `i` is written: those of `5i` and `5 \\cdot i` differ.
    """
    from sympy import I, Symbol

    found = {symbol for side in sides for part in side for symbol in symbols(part)}
    if all(symbol.name != "i" for symbol in found):
        return list(sides)
    same = {symbol: I if symbol.name == "i" else Symbol(symbol.name) for symbol in found}
    return [[replaced(part, same) for part in side] for side in sides]


def symbols(part: Any) -> set[Any]:
    try:
        return set(part.free_symbols)
    except Exception:  # noqa: BLE001 (a text, or an object without free symbols)
        return set()


def replaced(part: Any, others: dict[Any, Any]) -> Any:
    if isinstance(part, str):
        return part
    try:
        # All at once: `z = 6 - 5i` is false for a real z, to which `subs` would evaluate it halfway.
        return part.xreplace(others)
    except Exception:  # noqa: BLE001 (an object without complex values, such as an interval)
        return part


def further_digits(gold: list[Any], found: list[Any]) -> int:
    """Number of decimals, in addition to the usual ones, that distinguish the numbers of both sides."""
    from sympy import Float

    numbers = [number for side in (gold, found) for part in side for number in numbers_in(part)]
    if any(number.has(Float) for number in numbers):
        small = [size for number in numbers if (size := decimals_of(number))]
    else:
        # Exact numbers must not differ at all, so that the smallest of their parts counts.
        small = [size for number in numbers for part in parts_of(number) if (size := decimals_of(part))]
    return min(max([0, *(size + SIGNIFICANT - 7 for size in small)]), MOST_DIGITS)


def numbers_in(part: Any) -> Iterator[Any]:
    """The numbers in an expression: itself, or those of a pair, a set, an interval, a matrix or an equation."""
    from sympy import Basic, MatrixBase

    if isinstance(part, MatrixBase):
        yield from (number for element in part.flat() for number in numbers_in(element))
    elif isinstance(part, Basic):
        if getattr(part, "is_number", False):
            yield part
        else:
            yield from (number for argument in part.args for number in numbers_in(argument))


def parts_of(number: Any) -> Iterator[Any]:
    from sympy import preorder_traversal

    return (part for part in preorder_traversal(number) if getattr(part, "is_number", False))


def decimals_of(number: Any) -> int:
    """Number of decimals up to the first nonzero digit: 3 for 0.0012; 0 for a number that is not below 1."""
    from sympy import log

    try:
        size = abs(number.evalf(5))
        return max(0, math.ceil(-float(log(size, 10)))) if 0 < size < 1 else 0
    except Exception:  # noqa: BLE001 (an expression without a value)
        return 0


if __name__ == "__main__":
    main()
