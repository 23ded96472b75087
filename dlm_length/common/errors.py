"""Errors a user can mend. The command line shows them as a sentence, without a traceback."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class UserError(Exception):
    """Something outside the program is wrong: a file, a checkpoint, a data set, a machine.

    The message says where, what was found, what is allowed and what to do next.
    """

    exit_code = 1


class ConfigError(UserError):
    """A configuration or a command line that cannot be run."""

    exit_code = 2


SHOWN = 5
"""Ids or rows that a message names before it stops."""


def first_few(names: Sequence[object]) -> str:
    """The first few of `names`, with an ellipsis where there are more."""
    return ", ".join(str(name) for name in names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def listing(names: Iterable[object]) -> str:
    """`a, b or c`, for a sentence that says what is allowed."""
    words = [str(name) for name in names]
    if len(words) < 2:
        return words[0] if words else "nothing"
    return f"{', '.join(words[:-1])} or {words[-1]}"


def suggestion(name: object, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the allowed name nearest to `name`, or an empty string where none is near."""
    by_lower_case = {other.lower(): other for other in allowed}
    close = get_close_matches(str(name).lower(), by_lower_case, n=1)
    return f" Did you mean {by_lower_case[close[0]]!r}?" if close else ""
