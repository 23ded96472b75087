"""What a generator of a mini benchmark makes, and how training and test are kept apart."""

import hashlib
from collections import defaultdict, deque
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
    """What is asked: the numbers of a story, the steps of a function, a request with its instructions, the facts."""
    row: Mapping[str, Any]
    """The fields of the benchmark's data set, its id excepted."""
    kind: str = ""
    """Which of its generator's forms it has, where there are several."""
    alike: tuple[str, ...] = ()
    """Other meanings with the same answer: the request in other words, two things in the other order."""

    @property
    def split(self) -> Split | None:
        """Decided by what is asked, so that nothing in training asks for what a test item does, in whatever words.

        None where only some of the meanings that are alike are held out: such an item is in neither.
        """
        if not _held_out(self.meaning):
            return "train"
        return "test" if all(map(_held_out, self.alike)) else None


def _held_out(meaning: str) -> bool:
    return hashlib.sha256(meaning.encode()).digest()[0] < TEST_SHARE


TEST_SHARE = 20
"""Of 256 meanings: those that training never sees."""
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


def held_out_items(generator: Generator, count: int, seed: str, fits: Callable[[Item], bool]) -> Iterator[Item]:
    """So many test items that fit, of which no two ask for the same, each kind as often as the generator makes it.

    Without the latter, kinds with many wordings would hardly occur, as all of them have to be held out.
    """
    stream = items(generator, "test", seed)
    mix = Random(f"{seed} mix")
    waiting: defaultdict[str, deque[Item]] = defaultdict(deque)
    seen: set[str] = set()

    def of_kind(kind: str) -> Iterator[Item]:
        while True:
            while not waiting[kind]:
                item = next(stream)
                if item.meaning not in seen:
                    seen.update((item.meaning, *item.alike))
                    waiting[item.kind].append(item)
            yield waiting[kind].popleft()

    for _ in range(count):
        yield next(filter(fits, of_kind(generator(mix).kind)))
