"""Splitting a sentence into words like the word tokeniser of NLTK 3.9.

Most punctuation marks, which are tokens in NLTK, are dropped here. NLTK 3.8 did not split `IT'S` before a line break;
NLTK 3.10 splits at long dashes and at every opening apostrophe too.
"""

import re

CLOSING = " ])}>\"'»”’"
OPENING_QUOTE = re.compile(r" (?:\"|'')")

# Steps in the order in which they are applied. An expression of width 0 splits a word.
MARKS = (
    # Splits the apostrophe of `'a'` from the letter, unless that may be a clitic.
    (re.compile(r"(?i)(?<=')(?=(?![mtsdn])\w\b)"), " "),
    # Of two consecutive commas or colons, the second one stays with the following text.
    (re.compile(r"[:,](\D|$)"), r" \1"),
    (re.compile(r"[«“‘„`;@#$%&?!]|\.{2,}"), " "),
    # Splits the apostrophe at a word's end from what precedes it, which may be a clitic, as in `it's' `.
    (re.compile(r"(?<=[^'])(?=' )"), " "),
)
OTHER_MARKS = re.compile(r"[*()\[\]{}<>»”’\"]|--|''")
CLITICS = (
    (re.compile(r"\s+"), " "),
    (re.compile(r"(?<=[^' ])(?='[sSmMdD]? )"), " "),
    (re.compile(r"(?<=[^' ])(?=(?:'ll|'LL|'re|'RE|'ve|'VE|n't|N'T) )"), " "),
)
CONTRACTIONS = (
    re.compile(r"(?i)\b(?:(can)(not)|(gim)(me)|(lem)(me)|(gon)(na)|(wan)(na)(?=\s)|(got)(ta)|(d)('ye)|(more)('n))\b"),
    re.compile(r"(?i)(?<= )('t)(is)\b"),
    re.compile(r"(?i)(?<= )('t)(was)\b"),
)


def words(sentence: str) -> list[str]:
    """The words of a sentence, without most punctuation marks."""
    text = _without_final_period(sentence)
    for expression, replacement in MARKS:
        text = expression.sub(replacement, text)
    text = f" {OTHER_MARKS.sub(' ', text)} "
    for expression, replacement in CLITICS:
        text = expression.sub(replacement, text)
    for contraction in CONTRACTIONS:
        text = contraction.sub(lambda found: f" {' '.join(filter(None, found.groups()))} ", text)
    return text.split()


def _without_final_period(sentence: str) -> str:
    """The sentence with a blank in place of its last period, unless that ends an ellipsis or a quote follows."""
    head = sentence.rstrip().rstrip(CLOSING)
    tail = sentence[len(head) :]
    if head.endswith(".") and head[-2:] not in (".", "..") and not OPENING_QUOTE.search(tail):
        return f"{head[:-1]} {tail}"
    return sentence
