"""The repetition rate of a text."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.stats import repetition_rate


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("a b c d", 0.0),
        ("a b c d a b c d", 1 / 5),  # abcd twice, bcda, cdab, dabc
        ("so so so so so so so", 3 / 4),
        ("a b c d e a b c d f a b c d", 2 / 11),
    ],
)
def test_the_rate_is_the_share_of_ngrams_that_occurred_before(words: str, rate: float) -> None:
    assert repetition_rate(words.split()) == pytest.approx(rate)


def test_fewer_words_than_an_ngram_have_no_rate() -> None:
    assert math.isnan(repetition_rate(["a", "b", "c"]))
    assert math.isnan(repetition_rate([]))
    assert repetition_rate(["a", "a"], n=1) == 0.5


@given(st.lists(st.integers(0, 3), min_size=4, max_size=60))
def test_the_rate_equals_a_count_of_repeated_ngrams(words: list[int]) -> None:
    seen, again = set(), 0
    for start in range(len(words) - 3):
        ngram = tuple(words[start : start + 4])
        again += ngram in seen
        seen.add(ngram)
    assert repetition_rate(words) == pytest.approx(again / (len(words) - 3))
