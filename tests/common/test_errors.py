"""The names that a mistaken one may mean."""

import pytest

from dlm_length.common import nearest, suggestion

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
