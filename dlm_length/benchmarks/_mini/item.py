"""What a generator of a mini benchmark makes, and how training and test are kept apart."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

Split = Literal["train", "test"]


@dataclass(frozen=True)
class Item:
    """A prompt with the answer that the model is to learn."""

    prompt: str
    answer: str
    meaning: str
    """What is asked, without its wording: two items that ask for the same have the same meaning."""
    row: Mapping[str, Any]
    """The fields of the benchmark's data set, its id excepted."""

    @property
    def split(self) -> Split:
        """Decided by the meaning alone, so that no test item's meaning ever occurs in training."""
        return "test" if hashlib.sha256(self.meaning.encode()).digest()[0] < TEST_SHARE else "train"


TEST_SHARE = 20
"""Of 256 meanings."""
LONGEST_ANSWER = 420
"""Characters of an answer: what the tokenizer makes of it fits a canvas of 128."""

Generator = Callable[[Random], Item]


def items(generator: Generator, split: Split, seed: str) -> Iterator[Item]:
    """An endless, seeded stream of one split's items."""
    rng = Random(seed)
    while True:
        item = generator(rng)
        if item.split == split and len(item.answer) <= LONGEST_ANSWER:
            yield item


def distinct(stream: Iterator[Item], count: int) -> list[Item]:
    """The first so many items of which no two mean the same."""
    found: dict[str, Item] = {}
    while len(found) < count:
        item = next(stream)
        found.setdefault(item.meaning, item)
    return list(found.values())
