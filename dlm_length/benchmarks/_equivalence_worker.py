"""The far side of `_equivalence`: run as a script, one JSON line in, one out. Ends when its input does."""

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
"""Digits of a small number that math-verify's six decimals have to leave; where they leave fewer, more are compared."""
MOST_DIGITS = 5000
IMAGINARY = re.compile(r"\\(?:mathrm|mathit|text|operatorname)\s*\{\s*i\s*\}|\\imath(?![A-Za-z])|\{\\rm\s+i\}")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from math_verify import parse, verify

    for line in sys.stdin:
        job = json.loads(line)
        # By default SIGPROF ends the process: an exception would wait for native code that may never return.
        signal.setitimer(signal.ITIMER_PROF, job["seconds"])
        outcome, parsed = judge(parse, verify, job["reference"], job["answer"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.write(json.dumps({"outcome": outcome, "parsed": parsed}) + "\n")
        sys.stdout.flush()


def judge(parse: Any, verify: Any, reference: str, answer: str) -> tuple[str, str | None]:
    reference, answer = (IMAGINARY.sub(" i ", text) for text in (reference, answer))
    found = parse(answer, parsing_timeout=None)
    if not found:
        return "unreadable", None
    gold = parse(f"\\boxed{{{reference}}}", parsing_timeout=None)
    stands = next((part for part in found if isinstance(part, str)), None)
    gold, found = with_imaginary_unit(gold, found)
    equal = verify(gold, found, timeout_seconds=None)
    if equal and (finer := further_digits(gold, found)):
        digits = {"float_rounding": 6 + finer, "numeric_precision": 15 + finer}
        equal = verify(gold, found, timeout_seconds=None, **digits)
    return "equal" if equal else "different", stands


def with_imaginary_unit(*sides: list[Any]) -> list[list[Any]]:
    r"""Both sides with `i` as the imaginary unit, if they have it, and each letter as the same symbol on both.

    Whether symbols are real depends on how math-verify sees `i` written: those of `5i` and `5 \\cdot i` are different.
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
    except Exception:  # noqa: BLE001 (a text, or what sympy cannot look through)
        return set()


def replaced(part: Any, others: dict[Any, Any]) -> Any:
    if isinstance(part, str):
        return part
    try:
        return part.subs(others)
    except Exception:  # noqa: BLE001 (what has no complex values, such as an interval)
        return part


def further_digits(gold: list[Any], found: list[Any]) -> int:
    """How many decimals more than usual it takes to tell the numbers of both sides apart."""
    from sympy import Float

    numbers = [number for side in (gold, found) for part in side for number in numbers_in(part)]
    if any(number.has(Float) for number in numbers):
        small = [size for number in numbers if (size := decimals_of(number))]
    else:
        # Exact ones are to differ in nothing, so that the least of their parts counts.
        small = [size for number in numbers for part in parts_of(number) if (size := decimals_of(part))]
    return min(max([0, *(size + SIGNIFICANT - 7 for size in small)]), MOST_DIGITS)


def numbers_in(part: Any) -> Iterator[Any]:
    """The numbers that an expression is or holds: as a pair, a set, an interval, a matrix or an equation does."""
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
    """Decimals up to its first digit: 3 for 0.0012, 0 for what is not small."""
    from sympy import log

    try:
        size = abs(number.evalf(5))
        return max(0, math.ceil(-float(log(size, 10)))) if 0 < size < 1 else 0
    except Exception:  # noqa: BLE001 (what has no value)
        return 0


if __name__ == "__main__":
    main()
