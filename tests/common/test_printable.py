"""Text that cannot steer a terminal."""

import pytest

from dlm_length.common import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\tb\x1b[2J\u202e", "a\n\tb\\x1b[2J\\u202e"),
        ("\r\x07\x00\x7f", "\\r\\x07\\x00\\x7f"),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31mred\x85", "\\x9b31mred\\x85"),
        ("a\nb\tc\rd\x00", "a\nb\tc\\rd\\x00"),
        ("abc\u202edcb\u2066x", "abc\\u202edcb\\u2066x"),
        ("\u2066\u200f\u061c\u2028", "\\u2066\\u200f\\u061c\\u2028"),
        ("one\u2028two", "one\\u2028two"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_what_steers_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("", "plain [text] \\x1b", "é ü ß 語", "漢字かな", "العربية עברית", "👩\u200d👩\u200d👧 🙂 ∑ −"),
        *("a\u0301 ﷽", "a\u00a0b\u00ad", "░▒▓ \\x1b"),
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert printable(text) == text
