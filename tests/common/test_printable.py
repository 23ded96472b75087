"""Text that cannot steer a terminal."""

import pytest

from dlm_length.common.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb\x1b[2J\u202e", "a\n\tb\\x1b[2J\\u202e"),
        ("\r\x07\x00\x7f", "\\r\\x07\\x00\\x7f"),
        ("\x9b31m\x85", "\\x9b31m\\x85"),
        ("\u2066\u200f\u061c\u2028", "\\u2066\\u200f\\u061c\\u2028"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_steers_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize("text", ["", "plain", "é 語 العربية עברית", "👩\u200d👩\u200d👧 🙂", "a\u0301 ﷽", "░▒▓ \\x1b"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert printable(text) == text
