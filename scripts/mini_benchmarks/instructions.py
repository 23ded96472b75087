"""Requests with one to four verifiable instructions of all 25 types, in the form of IFEval."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from .item import Item
from .questions import Thing, joined, sentence, things
from .words import ABROAD, DAYS, ENDINGS, EVENTS, KEYWORDS, LISTS, NAMES, SUBJECTS

_COUNTS = ("zero", "one", "two", "three", "four", "five", "six")


def instruction_prompt(rng: Random) -> Item:
    """A request in one of a dozen forms, with additions and a manner that go with it."""
    draft = _Draft(rng)
    draft.form = rng.choices(list(_FORMS), list(_FORMS.values()))[0]
    draft.form(draft)
    for addition in rng.sample(_ADDITIONS, rng.choice((0, 0, 1, 1, 2))):
        if addition.__name__ in draft.allowed:
            addition(draft)
    if draft.allowed and rng.random() < 0.5:
        manners = [manner for manner in _MANNERS if manner.__name__ in draft.allowed]
        if manners:
            rng.choice(manners)(draft)
    if not draft.ids:
        _fewer_words(draft)
    return draft.item()


@dataclass
class _Draft:
    rng: Random
    request: str = ""
    other_requests: list[str] = field(default_factory=list)
    """The request in other words, which are answered alike."""
    answer: str = ""
    asked: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    arguments: list[dict[str, Any]] = field(default_factory=list)
    allowed: set[str] = field(default_factory=set)
    """Names of the additions and manners that may follow without breaking what is already there."""
    title: str = "News"
    form: Callable[["_Draft"], None] | None = None

    def ask(self, *wordings: str) -> None:
        """The request, in one of the wordings."""
        self.request = self.rng.choice(wordings)
        self.other_requests = [wording for wording in wordings if wording != self.request]

    def instruct(self, kind: str, *wordings: str, **arguments: Any) -> None:
        """One more instruction, in one of the wordings (none: the request itself says it)."""
        if wordings:
            self.asked.append(self.rng.choice(wordings))
        self.ids.append(kind)
        self.arguments.append(arguments)

    def item(self) -> Item:
        prompt = " ".join([self.request, *self.asked])
        instructions = sorted(zip(self.ids, map(json.dumps, self.arguments), strict=True))
        row = {"prompt": prompt, "instruction_id_list": self.ids, "kwargs": self.arguments}
        assert self.form is not None
        kind = self.form.__name__
        requests = (self.request, *self.other_requests)
        meaning, *alike = (f"ifeval {kind} {request} {instructions}" for request in requests)
        return Item(prompt, self.answer, meaning, row, kind, tuple(alike))


_EVERY = frozenset(
    {
        *("_title", "_ending", "_postscript", "_keywords", "_frequency", "_forbidden", "_letters", "_fewer_words"),
        *("_lowercase", "_uppercase", "_no_comma", "_quotation", "_capital_words"),
    }
)
_CASES = frozenset({"_lowercase", "_uppercase", "_capital_words"})


def _thing(draft: _Draft) -> Thing:
    thing = draft.rng.choice(things())
    draft.title = thing.name.capitalize()
    return thing


def _facts(thing: Thing, count: int) -> list[str]:
    """The first so many facts about it: which ones, the request does not say."""
    return [sentence(fact) for fact in thing.facts[:count]]


# Forms: what the request is, and the answer's layout.


def _sentences(draft: _Draft) -> None:
    thing, count = _thing(draft), draft.rng.randint(1, 4)
    draft.ask(f"Write about {thing.the}.", f"Tell me something about {thing.the}.", f"Describe {thing.the}.")
    draft.answer = " ".join(_facts(thing, count))
    draft.allowed = set(_EVERY)
    draft.instruct(
        "length_constraints:number_sentences",
        f"Write at least {_COUNTS[count]} sentence{'s' * (count > 1)}.",
        f"Your answer should have at least {_COUNTS[count]} sentence{'s' * (count > 1)}.",
        num_sentences=count,
        relation="at least",
    )


def _short(draft: _Draft) -> None:
    thing, count = _thing(draft), draft.rng.randint(1, 2)
    draft.ask(f"Say briefly what you know about {thing.the}.", f"Say in short what you know about {thing.the}.")
    draft.answer = " ".join(_facts(thing, count))
    draft.allowed = {"_title", "_forbidden", "_letters", "_fewer_words", "_lowercase", "_no_comma", "_quotation"}
    draft.instruct(
        "length_constraints:number_sentences",
        f"Use less than {_COUNTS[count + 1]} sentences.",
        f"Your answer must have less than {_COUNTS[count + 1]} sentences.",
        num_sentences=count + 1,
        relation="less than",
    )


def _bullets(draft: _Draft) -> None:
    kind = draft.rng.choice(list(LISTS))
    count = draft.rng.randint(2, 6)
    names = draft.rng.sample(LISTS[kind], count)
    draft.title = kind.capitalize()
    draft.request = f"Make a list of these {kind}: {joined(names)}."
    draft.answer = "\n".join(f"* {name}" for name in names)
    draft.allowed = set(_EVERY) - {"_keywords", "_ending", "_quotation"} - _CASES
    draft.instruct(
        "detectable_format:number_bullet_lists",
        f"Use exactly {count} bullet points.",
        f"Your answer must contain exactly {_COUNTS[count]} bullet points, each beginning with *.",
        num_bullets=count,
    )


def _paragraphs(draft: _Draft) -> None:
    thing, count = _thing(draft), draft.rng.randint(2, 4)
    draft.request = f"Write about {thing.the}."
    draft.answer = "\n***\n".join(_facts(thing, count))
    draft.allowed = set(_EVERY) - {"_title"}
    draft.instruct(
        "length_constraints:number_paragraphs",
        f"Write {_COUNTS[count]} paragraphs and put *** between them.",
        f"There should be {_COUNTS[count]} paragraphs, separated by ***.",
        num_paragraphs=count,
    )


def _first_word(draft: _Draft) -> None:
    thing, count = _thing(draft), draft.rng.randint(2, 3)
    nth, word = draft.rng.randint(1, count), draft.rng.choice(KEYWORDS)
    paragraphs = _facts(thing, count)
    paragraphs[nth - 1] = f"{word.capitalize()}, {paragraphs[nth - 1]}"  # the official check keeps a colon
    draft.request = f"Write {_COUNTS[count]} paragraphs about {thing.the}, with an empty line between them."
    draft.answer = "\n\n".join(paragraphs)
    draft.allowed = {"_forbidden", "_letters"}
    draft.instruct(
        "length_constraints:nth_paragraph_first_word",
        f"Paragraph {nth} must start with the word {word}.",
        f"Let paragraph {nth} begin with the word {word}.",
        num_paragraphs=count,
        nth_paragraph=nth,
        first_word=word,
    )


def _responses(draft: _Draft) -> None:
    thing = _thing(draft)
    draft.ask(f"Describe {thing.the}.", f"Say something about {thing.the}.")
    draft.answer = "\n******\n".join(_facts(thing, 2))
    draft.allowed = {"_forbidden", "_letters", "_lowercase", "_no_comma", "_ending"}
    draft.instruct(
        "combination:two_responses",
        "Give two different responses, separated by ******.",
        "Write two different answers and put ****** between them.",
    )


def _highlights(draft: _Draft) -> None:
    thing, count = _thing(draft), draft.rng.randint(1, 3)
    draft.request = f"Tell me about {thing.the}."
    draft.answer = " ".join(f"*{fact}*" for fact in _facts(thing, count))
    draft.allowed = set(_EVERY) - {"_title"}
    draft.instruct(
        "detectable_format:number_highlighted_sections",
        f"Highlight at least {_COUNTS[count]} section{'s' * (count > 1)} with *asterisks*.",
        f"At least {_COUNTS[count]} part{'s' * (count > 1)} must be highlighted like *this*.",
        num_highlights=count,
    )


def _sections(draft: _Draft) -> None:
    thing, count = _thing(draft), draft.rng.randint(2, 4)
    splitter = draft.rng.choice(("Section", "Part", "Chapter"))
    draft.request = f"Write a small text about {thing.the}."
    facts = _facts(thing, count)
    draft.answer = "\n".join(f"{splitter} {at}\n{fact}" for at, fact in enumerate(facts, start=1))
    draft.allowed = set(_EVERY) - _CASES
    draft.instruct(
        "detectable_format:multiple_sections",
        f"It must have {_COUNTS[count]} sections, marked {splitter} 1 and so on.",
        f"Divide it into {_COUNTS[count]} sections and begin each with {splitter} and its number.",
        section_spliter=splitter,
        num_sections=count,
    )


def _json(draft: _Draft) -> None:
    fields = draft.rng.sample(("name", "day", "event", "color", "number"), draft.rng.randint(1, 4))
    values = {
        "name": draft.rng.choice(NAMES),
        "day": draft.rng.choice(DAYS),
        "event": draft.rng.choice(EVENTS),
        "color": draft.rng.choice(LISTS["colors"]),
        "number": draft.rng.randint(2, 99),
    }
    draft.request = "Note down: " + ", ".join(f"{key} {values[key]}" for key in fields) + "."
    draft.answer = json.dumps({key: values[key] for key in fields})
    draft.allowed = {"_forbidden"}
    draft.instruct(
        "detectable_format:json_format",
        "Wrap the whole answer in JSON format.",
        "The entire output should be JSON.",
    )


def _placeholders(draft: _Draft) -> None:
    event, count = draft.rng.choice(EVENTS), draft.rng.randint(2, 4)
    pieces = ("Dear [name]", f"the {event} begins at [time]", "we meet at [place]", "please bring [gift]")[:count]
    draft.title = event.capitalize()
    draft.request = f"Write an invitation to {'an' if event[0] in 'aeiou' else 'a'} {event}."
    draft.answer = sentence(", ".join(pieces))
    draft.allowed = set(_EVERY) - {"_capital_words"}
    draft.instruct(
        "detectable_content:number_placeholders",
        f"Use at least {_COUNTS[count]} placeholders in square brackets such as [name].",
        f"It must contain at least {_COUNTS[count]} placeholders like [name].",
        num_placeholders=count,
    )


def _constrained(draft: _Draft) -> None:
    thing, other = draft.rng.sample(things(), 2)
    draft.title = thing.name.capitalize()
    draft.request = f"Is {thing.the} {other.one}?"
    draft.answer = f"My answer is {'yes' if thing.kind == other.kind else 'no'}."
    draft.allowed = {"_title", "_ending", "_postscript", "_forbidden", "_quotation", "_letters", "_no_comma"}
    draft.instruct(
        "detectable_format:constrained_response",
        "Answer with one of: My answer is yes. My answer is no. My answer is maybe.",
        "Choose from: My answer is yes. My answer is no. My answer is maybe.",
    )


def _abroad(draft: _Draft) -> None:
    language = draft.rng.choice(list(ABROAD))
    code, texts = ABROAD[language]
    picked = draft.rng.sample(range(len(texts)), draft.rng.randint(1, 3))
    draft.request = f"Write about {joined([SUBJECTS[i] for i in picked])}."
    draft.answer = " ".join(texts[i] for i in picked)
    draft.allowed = {"_quotation"}
    draft.instruct(
        "language:response_language",
        f"Answer in {language}, no other language is allowed.",
        f"Your whole answer must be in {language}.",
        language=code,
    )


def _repeat(draft: _Draft) -> None:
    name, event, day = draft.rng.choice(NAMES), draft.rng.choice(EVENTS), draft.rng.choice(DAYS)
    things_ = joined(draft.rng.sample(LISTS[draft.rng.choice(list(LISTS))], draft.rng.randint(1, 5)))
    request = draft.rng.choice(
        ("Tell {} that the {} is on {} and about {}.", "Ask {} whether the {} on {} is about {}.")
    ).format(name, event, day, things_)
    draft.request = request
    draft.answer = f"{request}\nDear {name}, the {event} is on {day}."
    draft.allowed = {"_ending", "_postscript", "_keywords", "_frequency", "_letters"}
    draft.instruct(
        "combination:repeat_prompt",
        "First repeat the request word for word, then answer it.",
        "Before you answer, repeat the request above without any change.",
        prompt_to_repeat=request,
    )


def _note(draft: _Draft) -> None:
    name, other = draft.rng.sample(NAMES, 2)
    event, day = draft.rng.choice(EVENTS), draft.rng.choice(DAYS)
    draft.title = event.capitalize()
    draft.request = f"Write a note from {other} to {name}: the {event} is on {day}."
    draft.answer = f"Dear {name}, the {event} is on {day}. Yours, {other}."
    draft.allowed = set(_EVERY)


_FORMS: dict[Callable[[_Draft], None], int] = {
    **{_sentences: 4, _short: 2, _bullets: 3, _paragraphs: 2, _first_word: 2, _responses: 2, _highlights: 2},
    **{_sections: 2, _json: 2, _placeholders: 2, _constrained: 2, _abroad: 2, _repeat: 3, _note: 4},
}

# Additions: something before or behind, or a condition that the answer already meets.


def _title(draft: _Draft) -> None:
    draft.answer = f"<<{draft.title}>>\n{draft.answer}"
    draft.instruct(
        "detectable_format:title",
        "Add a title in double angular brackets, such as <<title>>.",
        "The answer must have a title like <<title>>.",
    )


def _ending(draft: _Draft) -> None:
    phrase = draft.rng.choice(ENDINGS)
    draft.answer += f" {phrase}"
    draft.allowed -= {"_postscript", "_keywords", "_frequency", "_no_comma"}
    draft.instruct(
        "startend:end_checker",
        f"Finish your answer with this exact phrase: {phrase}",
        f"The very last words must be: {phrase}",
        end_phrase=phrase,
    )


def _postscript(draft: _Draft) -> None:
    marker, phrase = draft.rng.choice(("P.S.", "P.P.S")), draft.rng.choice(ENDINGS)
    draft.answer += f"\n{marker} {phrase}"
    draft.allowed -= {"_ending", "_keywords", "_frequency"}
    draft.instruct(
        "detectable_content:postscript",
        f"At the end add a postscript that starts with {marker} and says: {phrase}",
        postscript_marker=marker,
    )


def _keywords(draft: _Draft) -> None:
    words = draft.rng.sample(KEYWORDS, draft.rng.randint(1, 3))
    draft.answer += f"\nKeywords: {' '.join(words)}"
    draft.allowed -= {"_ending", "_postscript", "_frequency"}
    draft.instruct(
        "keywords:existence",
        f"Include the keywords {' '.join(words)}.",
        f"These words must appear: {' '.join(words)}.",
        keywords=words,
    )


def _frequency(draft: _Draft) -> None:
    word, count = draft.rng.choice(KEYWORDS), draft.rng.randint(2, 6)
    draft.answer += "\n" + " ".join([word] * count)
    draft.allowed -= {"_ending", "_postscript", "_keywords"}
    draft.instruct(
        "keywords:frequency",
        f"The word {word} should appear at least {count} times.",
        f"Use the word {word} at least {_COUNTS[count]} times.",
        keyword=word,
        frequency=count,
        relation="at least",
    )


def _forbidden(draft: _Draft) -> None:
    free = [word for word in (*KEYWORDS, "very", "nice", "good", "thing") if word not in draft.answer.lower()]
    words = draft.rng.sample(free, draft.rng.randint(1, 3))
    draft.allowed -= {"_keywords", "_frequency"}
    draft.instruct(
        "keywords:forbidden_words",
        f"Do not use the words {' '.join(words)}.",
        f"Avoid these words: {' '.join(words)}.",
        forbidden_words=words,
    )


def _letters(draft: _Draft) -> None:
    letter = draft.rng.choice("aeiost")
    count = draft.answer.lower().count(letter)
    if count:
        count = draft.rng.randint(max(1, count // 2), count)
        draft.instruct(
            "keywords:letter_frequency",
            f"The letter {letter} should appear at least {count} times.",
            letter=letter,
            let_frequency=count,
            let_relation="at least",
        )


def _fewer_words(draft: _Draft) -> None:
    limit = len(re.findall(r"\w+", draft.answer)) // 10 * 10 + 20
    draft.instruct(
        "length_constraints:number_words",
        f"Use less than {limit} words.",
        f"Your answer should have less than {limit} words.",
        num_words=limit,
        relation="less than",
    )


_ADDITIONS = (_title, _ending, _postscript, _keywords, _frequency, _forbidden, _letters, _fewer_words)

# Manners: how the whole answer is written.


def _lowercase(draft: _Draft) -> None:
    draft.answer = draft.answer.lower()
    draft.instruct("change_case:english_lowercase", "Use only lowercase letters.", "No capital letters are allowed.")


def _uppercase(draft: _Draft) -> None:
    if len(draft.answer) <= 120:  # capitals take several tokens a word
        draft.answer = draft.answer.upper()
        draft.instruct("change_case:english_capital", "Write in all capital letters.", "Use capital letters only.")


def _no_comma(draft: _Draft) -> None:
    draft.answer = draft.answer.replace(",", "" if draft.form in (_note, _placeholders) else " and")
    draft.instruct("punctuation:no_comma", "Do not use any commas.", "Commas are not allowed.")


def _quotation(draft: _Draft) -> None:
    draft.answer = f'"{draft.answer}"'
    draft.instruct(
        "startend:quotation",
        "Wrap your entire answer in double quotation marks.",
        "Put double quotation marks around the whole answer.",
    )


def _capital_words(draft: _Draft) -> None:
    count = draft.rng.randint(1, 3)
    head, *rest = (
        re.split(r"(?<=\n)", draft.answer, maxsplit=1) if draft.answer.startswith("<<") else ["", draft.answer]
    )
    words = "".join(rest).split(" ")
    draft.answer = head + " ".join([word.upper() if at < count else word for at, word in enumerate(words)])
    draft.instruct(
        "change_case:capital_word_frequency",
        f"Write at least {_COUNTS[count]} word{'s' * (count > 1)} in capital letters.",
        capital_frequency=count,
        capital_relation="at least",
    )


_MANNERS = (_lowercase, _uppercase, _no_comma, _quotation, _capital_words)
