"""Text from a model, a file or a user, made safe to print on a terminal."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""C0 and C1 controls without tab and line feed, marks and overrides of direction, separators, surrogates."""


def printable(text: str) -> str:
    r"""`text` with control characters as visible escapes (`\x1b`); tabs and line feeds are kept."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)
