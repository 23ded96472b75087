"""Text from a model, a file or a user, made safe to print, to write to a file or to use in an address."""

import re

_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""C0 and C1 controls without tab and line feed, marks and overrides of direction, separators, surrogates."""


def printable(text: str) -> str:
    r"""`text` with control characters as visible escapes (`\x1b`); tabs and line feeds are kept."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def encodable(text: str) -> str:
    """`text` with a `?` for each lone surrogate, which a path may hold and no UTF-8 file can."""
    return text.encode("utf-8", "replace").decode("utf-8")


def one_line(text: str) -> str:
    """`text` with any white space, line breaks included, as single spaces."""
    return " ".join(text.split())


def slug(name: str) -> str:
    """`name` with a hyphen for every run of characters that a label or an address cannot hold."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name)
