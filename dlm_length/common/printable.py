"""Text from outside, made harmless for a terminal."""

import re

_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL and C1: ESC and CSI among them
    "\u2028\u2029"  # line and paragraph separator
    "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates of the writing direction
    "\ud800-\udfff]"  # half characters, which no terminal's encoding has
)


def printable(text: str) -> str:
    r"""`text` with every control character as a visible escape, such as `\x1b`; ordinary Unicode is left alone.

    Answers, ids and field names come from models and files: printed as they are, an escape sequence in one could
    clear the screen, rewrite what stands above, or change what a terminal does later. Line breaks and tabs are
    control characters too; whoever prints several lines splits them first.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)
