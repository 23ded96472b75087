"""Questions with answers of one to many sentences, in LongFormQA's form. What there is to know: `facts.yaml`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

from ruamel.yaml import YAML

from .item import Item


@dataclass(frozen=True)
class Thing:
    """Something the mini benchmarks know about."""

    name: str
    kind: str
    """Which table of `facts.yaml` it stands in, such as `animals`."""
    one: str
    """What it is, with the article: `an animal`."""
    asks: tuple[str, ...]
    """Questions about it, without the question mark."""
    facts: tuple[str, ...]
    """Their answers, as sentences without the period and with a small letter."""

    @property
    def the(self) -> str:
        return f"the {self.name}"


@cache
def things() -> tuple[Thing, ...]:
    """Everything in `facts.yaml`, in its order."""
    text = Path(__file__).with_name("facts.yaml").read_text(encoding="utf-8")
    found = []
    for kind, table in YAML(typ="safe", pure=True).load(text).items():
        for row in table["rows"]:
            holes = dict(zip(table["columns"], map(str, row), strict=True)) | {"the": f"the {row[0]}"}
            asks = tuple(ask.format(**holes) for ask in table["ask"])
            facts = tuple(fact.format(**holes) for fact in table["facts"])
            found.append(Thing(str(row[0]), kind, table["one"], asks, facts))
    return tuple(found)


def sentence(text: str) -> str:
    """With a capital letter and a period."""
    return text[0].upper() + text[1:] + "."


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


_ALL = ("Tell me everything about {the}.", "What do you know about {the}?", "Describe {the} in full.")
_OPENINGS = ("", "", "Please tell me: ", "I would like to know: ", "A short question: ")
_COMPARE = ("Compare {a} and {b}: ", "About {a} and {b}: ", "Take {a} and {b}: ")


def question(rng: Random) -> Item:
    """One to five facts about a thing, or one to three facts about each of two things of a kind."""
    chosen = rng.choice(things())
    count = len(chosen.facts)
    if rng.random() < 0.3:
        other = rng.choice([thing for thing in things() if thing.kind == chosen.kind and thing is not chosen])
        picked = sorted(rng.sample(range(count), rng.choice((1, 2, 2, 3))))
        opening = rng.choice(_COMPARE).format(a=chosen.the, b=other.the)
        text = opening + joined([chosen.asks[i].replace(chosen.the, "each") for i in picked]) + "?"
        facts = [thing.facts[i] for i in picked for thing in (chosen, other)]
        kind, subjects = "two things", [f"{chosen.name} {other.name}", f"{other.name} {chosen.name}"]
    else:
        picked = sorted(rng.sample(range(count), rng.choice((1, 1, 2, 2, 3, 3, 4, 5))))
        text = rng.choice(_OPENINGS) + joined([chosen.asks[i] for i in picked]) + "?"
        if len(picked) == count and rng.random() < 0.7:
            text = rng.choice(_ALL).format(the=chosen.the)
        text = text[0].upper() + text[1:]
        facts = [chosen.facts[i] for i in picked]
        kind, subjects = "one thing", [chosen.name]
    answer = " ".join(map(sentence, facts))
    meaning, *alike = (f"longformqa {subject} {picked}" for subject in subjects)
    return Item(text, answer, meaning, {"question": text, "answer": answer}, kind, tuple(alike))
