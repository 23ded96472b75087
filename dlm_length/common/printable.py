"""Text from a model, a file or a user, made harmless for a terminal."""

import re

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""C0 and C1 controls without tab and line feed, marks and overrides of direction, separators, surrogates."""


def printable(text: str) -> str:
    r"""`text` with what would steer the terminal as a visible escape (`\x1b`); tabs, line feeds and all else stay."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
