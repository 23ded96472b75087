"""Errors that a user can fix. The command line shows them as a sentence, without a traceback."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class UserError(Exception):
    """Something outside the program is wrong: a file, a checkpoint, a data set, a machine.

    The message says where, what was found, what is allowed and what to do next.
    """

    exit_code = 1


class ConfigError(UserError):
    """A config or a command line that cannot be executed."""

    exit_code = 2


SHOWN = 5
"""Ids or rows that a message names at most."""
_NEAR = 0.6
"""Similarity, from 0 to 1, above which one name may be a misspelling of another."""


def first_few(names: Sequence[object]) -> str:
    """The first few of `names`, with an ellipsis where there are more."""
    return ", ".join(str(name) for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def listing(names: Iterable[object]) -> str:
    """`a, b or c`, for a sentence that says what is allowed."""
    words = [str(name) for name in names]
    if len(words) < 2:
        return words[0] if words else "nothing"
    return f"{', '.join(words[:-1])} or {words[-1]}"


def counted(number: int, one: str, several: str | None = None) -> str:
    """`1 sample` or `2,000 samples`. `several`: the words after other numbers than 1; None: `one` followed by an s."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def nearest(name: object, allowed: Iterable[str], *, most: int = 1) -> list[str]:
    """Up to `most` of the allowed names that `name` may mean, nearest first; only such that begin with it, if any."""
    lower = str(name).lower()
    by_lower_case = {other.lower(): other for other in allowed}
    begun = [other for other in by_lower_case if lower and other.startswith(lower)]
    close = get_close_matches(lower, begun or by_lower_case, n=most, cutoff=0.0 if begun else _NEAR)
    return [by_lower_case[other] for other in close]


def suggestion(name: object, allowed: Iterable[str], *, most: int = 1) -> str:
    """` Did you mean 'x'?` for the allowed names nearest to `name`, or an empty string where none is near."""
    close = nearest(name, allowed, most=most)
    return f" Did you mean {listing(map(repr, close))}?" if close else ""


def first_line(error: BaseException) -> str:
    """The first line of an exception's message, which others may continue; empty where it has none."""
    return str(error).strip().partition("\n")[0]


def brief(error: BaseException) -> str:
    """The first line of an exception's message, or its kind where it has none; without a full stop."""
    return (first_line(error) or type(error).__name__).removesuffix(".")


def described(error: BaseException) -> str:
    """The kind of an exception, and the first line of its message where it has one."""
    text = first_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
