"""Words of messages: the names that a mistaken one may mean, and counts."""

import pytest

from dlm_length.common import counted, nearest, suggestion

CONFIGS = ("gsm8k_fixed", "mini_gsm8k_daedal", "mini_gsm8k_fixed", "mini_gsm8k_stop_at_eos", "tiny_gsm8k_fixed")


@pytest.mark.parametrize(
    ("name", "most", "found"),
    [
        ("mini_gsm8k_fixd", 1, ["mini_gsm8k_fixed"]),
        ("MINI_GSM8K_FIXED", 1, ["mini_gsm8k_fixed"]),
        ("mini_gsm8k", 2, ["mini_gsm8k_fixed", "mini_gsm8k_daedal"]),
        ("mini", 1, ["mini_gsm8k_fixed"]),
        ("mini", 9, ["mini_gsm8k_fixed", "mini_gsm8k_daedal", "mini_gsm8k_stop_at_eos"]),
        ("longformqa", 3, []),
        ("", 3, []),
    ],
)
def test_names_that_begin_so_come_before_those_that_are_alike(name: str, most: int, found: list[str]) -> None:
    assert nearest(name, CONFIGS, most=most) == found


def test_a_suggestion_is_a_question_of_one_or_several_names() -> None:
    assert suggestion("taau", ["tau", "delta"]) == " Did you mean 'tau'?"
    assert suggestion("tau", ["tau_high", "tau_low"], most=2) == " Did you mean 'tau_low' or 'tau_high'?"
    assert suggestion("length", ["tau", "delta"]) == ""


@pytest.mark.parametrize(
    ("number", "words", "text"),
    [
        (1, ("sample",), "1 sample"),
        (0, ("sample",), "0 samples"),
        (2000, ("sample",), "2,000 samples"),
        (1, ("sample was", "samples were"), "1 sample was"),
        (2, ("sample was", "samples were"), "2 samples were"),
    ],
)
def test_a_count_agrees_with_its_words(number: int, words: tuple[str, ...], text: str) -> None:
    assert counted(number, *words) == text
