import pytest

from dlm_length.common import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\x9b31mred", "\\x9b31mred"),
        ("a\nb\tc\rd\x00", "a\\nb\\tc\\rd\\x00"),
        ("abc\u202edcb\u2066x", "abc\\u202edcb\\u2066x"),
        ("one\u2028two", "one\\u2028two"),
        ("\x7f\x85", "\\x7f\\x85"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_steers_a_terminal_becomes_visible(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


@pytest.mark.parametrize(
    "text", ["", "plain [text] \\x1b", "é ü ß", "漢字かな", "עברית", "\u200fعربي", "👩\u200d👧 ∑ −", "a\u00a0b\u00ad"]
)
def test_ordinary_text_stays(text: str) -> None:
    assert printable(text) == text
