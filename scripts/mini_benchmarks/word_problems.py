"""Word problems of one to six steps, worked out line by line, in the form of GSM8K."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from .item import Item
from .words import CONTAINERS, HER, NAMES, OBJECTS

LARGEST = 199
"""No total on the way is larger, so that sums can be learnt digit by digit."""
_STEPS = (1, 2, 3, 4, 5, 6)
_WEIGHTS = (3, 4, 4, 3, 2, 2)


def word_problem(rng: Random) -> Item:
    """A story about somebody's things, of which every sentence changes the total."""
    steps = rng.choices(_STEPS, _WEIGHTS)[0]
    story = _Story(rng)
    story.say(_BEGINNINGS, a=story.total)
    story.chain.append(str(story.total))
    while len(story.lines) < steps and story.question is None:
        rng.choice(_EVENTS)(story, steps - len(story.lines))
        if rng.random() < 0.05:
            story.say(_DISTRACTIONS, a=rng.randint(7, 60))
    if story.question is None:
        story.ask(_TOTALS)
    question = " ".join([*story.sentences, str(story.question)])
    answer = "\n".join([*story.lines, f"#### {story.total}"])
    return Item(question, answer, "gsm8k " + " ".join(story.chain), {"question": question, "answer": answer})


@dataclass
class _Story:
    rng: Random
    total: int = 0
    words: dict[str, str] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    """The numbers and operations of the problem, which are the same in every wording of its story."""
    question: str | None = None

    def __post_init__(self) -> None:
        name, other = self.rng.sample(NAMES, 2)
        self.total = self.rng.randint(2, 60)
        self.words = {
            "name": name,
            "other": other,
            "they": "she" if name in HER else "he",
            "They": "She" if name in HER else "He",
            "things": self.rng.choice(OBJECTS),
            "boxes": self.rng.choice(CONTAINERS),
        }

    def say(self, sentences: tuple[str, ...], **numbers: int) -> None:
        self.sentences.append(self.rng.choice(sentences).format(**self.words, **numbers))

    def ask(self, questions: tuple[str, ...], **numbers: int) -> None:
        self.question = self.rng.choice(questions).format(**self.words, **numbers)

    def work(self, line: str, **numbers: int) -> None:
        self.lines.append(line.format(**self.words, **numbers))

    def change(self, operator: str, number: int, result: int) -> None:
        """A line that takes the total to `result`."""
        self.work(f"Now {{name}} has {{a}} {operator} {{b}} = {{r}} {{things}}.", a=self.total, b=number, r=result)
        self.chain.append(f"{operator}{number}")
        self.total = result


_BEGINNINGS = (
    "{name} has {a} {things}.",
    "{name} starts with {a} {things}.",
    "In the morning {name} owns {a} {things}.",
    "There are {a} {things} on the table of {name}.",
    "{name} counts {a} {things}.",
)
_DISTRACTIONS = (
    "{other} is {a} years old.",
    "It takes {a} minutes to walk home.",
    "The house of {other} has the number {a}.",
)
_TOTALS = (
    "How many {things} does {name} have now?",
    "How many {things} does {name} have in the end?",
    "What is the number of {things} that {name} has at last?",
    "How many {things} are there now?",
)
_GAINS = (
    "{They} buys {b} more {things}.",
    "Then {they} finds {b} {things}.",
    "{other} gives {name} {b} {things}.",
    "After that {they} gets another {b} {things}.",
    "{They} wins {b} {things} in a game.",
)
_LOSSES = (
    "{They} gives {b} {things} to {other}.",
    "Then {they} loses {b} of them.",
    "{other} borrows {b} {things}.",
    "After that {they} sells {b} {things}.",
    "{b} of the {things} break.",
)
_BOXES_IN = (
    "{They} buys {k} {boxes} with {m} {things} each.",
    "Then {k} {boxes} arrive, and each holds {m} {things}.",
    "{other} brings {k} {boxes} of {m} {things}.",
)
_BOXES_OUT = (
    "{They} gives {m} {things} to each of {k} friends.",
    "Then {k} children take {m} {things} each.",
    "{They} sells {k} sets of {m} {things}.",
)
_DOUBLES = ("Then the number of {things} is doubled.", "{other} doubles what {they} has.")
_TRIPLES = ("Then the number of {things} is tripled.", "{other} triples what {they} has.")
_HALVES = ("{They} gives half of the {things} away.", "Then {they} loses half of them.")
_COMPARISONS = ("{other} has {b} more than {name} and gives all of them to {name}.",)
_SHARES = (
    "{They} puts them into {k} {boxes}, the same number in each. How many {things} are in one?",
    "{They} shares all of them equally among {k} friends. How many {things} does each friend get?",
)
_PRICES = (
    "{They} sells each of them for {k} dollars. How many dollars does {they} get?",
    "Each of them costs {k} dollars. How many dollars are all of them worth?",
)

# What can happen. An event that does not fit the total, or has more steps than are left, does nothing.


def _gain(story: _Story, _left: int) -> None:
    if (most := min(99, LARGEST - story.total)) >= 2:
        number = story.rng.randint(2, most)
        story.say(_GAINS, b=number)
        story.change("+", number, story.total + number)


def _lose(story: _Story, _left: int) -> None:
    if story.total >= 4:
        number = story.rng.randint(2, min(99, story.total - 2))
        story.say(_LOSSES, b=number)
        story.change("-", number, story.total - number)


def _boxes_in(story: _Story, left: int) -> None:
    boxes, each = story.rng.randint(2, 9), story.rng.randint(2, 12)
    if left >= 2 and story.total + boxes * each <= LARGEST:
        story.say(_BOXES_IN, k=boxes, m=each)
        story.work("{k} {boxes} of {m} are {k} * {m} = {r} {things}.", k=boxes, m=each, r=boxes * each)
        story.chain.append(f"{boxes}*{each}")
        story.change("+", boxes * each, story.total + boxes * each)


def _boxes_out(story: _Story, left: int) -> None:
    people, each = story.rng.randint(2, 9), story.rng.randint(2, 12)
    if left >= 2 and story.total - people * each >= 2:
        story.say(_BOXES_OUT, k=people, m=each)
        story.work("{k} times {m} are {k} * {m} = {r} {things}.", k=people, m=each, r=people * each)
        story.chain.append(f"{people}*{each}")
        story.change("-", people * each, story.total - people * each)


def _multiply(story: _Story, _left: int) -> None:
    factor, sentences = story.rng.choice(((2, _DOUBLES), (3, _TRIPLES)))
    if story.total * factor <= LARGEST:
        story.say(sentences)
        story.change("*", factor, story.total * factor)


def _halve(story: _Story, _left: int) -> None:
    if story.total % 2 == 0 and story.total >= 4:
        story.say(_HALVES)
        story.change("/", 2, story.total // 2)


def _compare(story: _Story, left: int) -> None:
    if left >= 2 and story.total <= 60:
        more = story.rng.randint(2, 40)
        story.say(_COMPARISONS, b=more)
        theirs = story.total + more
        story.work("{other} has {a} + {b} = {r} {things}.", a=story.total, b=more, r=theirs)
        story.chain.append(f"more{more}")
        story.change("+", theirs, story.total + theirs)


def _share(story: _Story, left: int) -> None:
    numbers = [k for k in range(2, 10) if story.total % k == 0 and story.total > k]
    if left == 1 and numbers:
        number = story.rng.choice(numbers)
        story.ask(_SHARES, k=number)
        story.work("Each gets {a} / {k} = {r} {things}.", a=story.total, k=number, r=story.total // number)
        story.chain.append(f"/{number}")
        story.total //= number


def _price(story: _Story, left: int) -> None:
    if left == 1 and story.total <= 60:
        price = story.rng.randint(2, 9)
        story.ask(_PRICES, k=price)
        story.work("All cost {a} * {k} = {r} dollars.", a=story.total, k=price, r=story.total * price)
        story.chain.append(f"*{price}$")
        story.total *= price


_EVENTS: tuple[Callable[[_Story, int], None], ...] = (
    *(_gain, _lose, _gain, _lose, _boxes_in, _boxes_out, _multiply, _halve, _compare, _share, _price),
)
