"""How much a text repeats itself."""

from collections.abc import Hashable, Sequence

NGRAM = 4
"""Default length of an n-gram, in words."""


def repetition_rate(words: Sequence[Hashable], n: int = NGRAM) -> float:
    """Share of the n-grams of `words` that occurred before in it: 1 - distinct / all, in [0, 1).

    NaN for fewer than `n` words, which have no n-gram. This is seq-rep-n of Welleck et al. 2020 (arXiv 1908.04319).
    """
    ngrams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1 - len(set(ngrams)) / len(ngrams) if ngrams else float("nan")
