"""The 25 kinds of instruction, with their arguments and the rule by which an answer follows them.

Rules and oddities are the official ones (google-research/instruction_following_eval). Several of its regular
expressions take quadratic time on hostile answers (a hundred thousand blank lines, or opening brackets); here the same
verdict takes linear time.
"""

import json
import re
from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt, model_validator

from dlm_length.benchmarks._ifeval.language import detected_language, languages
from dlm_length.benchmarks._ifeval.patterns import occurrences
from dlm_length.benchmarks._ifeval.sentences import sentences
from dlm_length.benchmarks._ifeval.words import words
from dlm_length.common import Parameters


class Instruction(Parameters):
    """One instruction with its arguments, named as in the data set."""

    id: ClassVar[str]

    @abstractmethod
    def followed(self, answer: str) -> bool:
        """Whether an answer that is not blank follows the instruction. Raises RunawayPatternError."""


Relation = Literal["less than", "at least"]


def _holds(count: int, relation: Relation, threshold: int) -> bool:
    return count < threshold if relation == "less than" else count >= threshold


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("expected text that is not blank")
    return text


def _single(text: str) -> str:
    if len(text) != 1:
        raise ValueError("expected one character")
    return text


def _compiling(pattern: str) -> str:
    try:
        for form in (pattern, rf"\b{pattern}\b", pattern.lower()):  # the forms in which instructions use it
            re.compile(form)
    except re.error as error:
        raise ValueError(f"expected a regular expression ({error})") from None
    return pattern


def _of_a_known_language(code: str) -> str:
    if code not in languages():
        raise ValueError(f"expected one of {', '.join(languages())}")
    return code


Text = Annotated[str, AfterValidator(_not_blank)]
Pattern = Annotated[Text, AfterValidator(_compiling)]
"""A keyword is a regular expression, as the official code does not escape it. The data set's are plain words."""
Patterns = Annotated[list[Pattern], Field(min_length=1)]


# Keywords


class Existence(Instruction):
    """Each keyword occurs, in any case, also inside a longer word."""

    id: ClassVar[str] = "keywords:existence"

    keywords: Patterns

    def followed(self, answer: str) -> bool:
        return all(occurrences(keyword, answer, re.IGNORECASE) for keyword in self.keywords)


class Frequency(Instruction):
    """The keyword occurs `relation` `frequency` times, in any case, also inside longer words (`the` in `other`)."""

    id: ClassVar[str] = "keywords:frequency"

    keyword: Pattern
    frequency: NonNegativeInt
    relation: Relation

    def followed(self, answer: str) -> bool:
        count = occurrences(self.keyword.strip(), answer, re.IGNORECASE)
        return _holds(count, self.relation, self.frequency)


class ForbiddenWords(Instruction):
    """None of the words occurs as a whole word, in any case."""

    id: ClassVar[str] = "keywords:forbidden_words"

    forbidden_words: Patterns

    def followed(self, answer: str) -> bool:
        return not any(occurrences(rf"\b{word}\b", answer, re.IGNORECASE) for word in self.forbidden_words)


class LetterFrequency(Instruction):
    """The character occurs `let_relation` `let_frequency` times, in any case.

    Two prompts ask for `#` and `!`. The official code at the time of the paper, and its copies in other harnesses,
    replace them by a random letter; here, as in the official code since 2026, the character itself is counted.
    """

    id: ClassVar[str] = "keywords:letter_frequency"

    letter: Annotated[Text, AfterValidator(_single)]
    let_frequency: NonNegativeInt
    let_relation: Relation

    def followed(self, answer: str) -> bool:
        return _holds(answer.lower().count(self.letter.lower()), self.let_relation, self.let_frequency)


# Language and case


class ResponseLanguage(Instruction):
    """The language of the whole answer is the given one, or cannot be detected (digits, punctuation)."""

    id: ClassVar[str] = "language:response_language"

    language: Annotated[str, AfterValidator(_of_a_known_language)]

    def followed(self, answer: str) -> bool:
        return detected_language(answer) in (None, self.language)


class EnglishCapital(Instruction):
    """English without a lower case letter."""

    id: ClassVar[str] = "change_case:english_capital"

    def followed(self, answer: str) -> bool:
        return answer.isupper() and detected_language(answer) in (None, "en")


class EnglishLowercase(Instruction):
    """English without an upper case letter."""

    id: ClassVar[str] = "change_case:english_lowercase"

    def followed(self, answer: str) -> bool:
        return answer.islower() and detected_language(answer) in (None, "en")


class CapitalWordFrequency(Instruction):
    """The number of words in upper case. `I` and `A` count; `DON'T` counts as two, `DO` and `N'T`."""

    id: ClassVar[str] = "change_case:capital_word_frequency"

    capital_frequency: NonNegativeInt
    capital_relation: Relation

    def followed(self, answer: str) -> bool:
        count = sum(word.isupper() for sentence in sentences(answer) for word in words(sentence))
        return _holds(count, self.capital_relation, self.capital_frequency)


# Lengths


class NumberSentences(Instruction):
    """The number of sentences, by Punkt."""

    id: ClassVar[str] = "length_constraints:number_sentences"

    num_sentences: NonNegativeInt
    relation: Relation

    def followed(self, answer: str) -> bool:
        return _holds(len(sentences(answer)), self.relation, self.num_sentences)


class NumberWords(Instruction):
    """The number of words, as runs of letters, digits and underscores: `don't` is two, `state-of-the-art` four."""

    id: ClassVar[str] = "length_constraints:number_words"

    num_words: NonNegativeInt
    relation: Relation

    def followed(self, answer: str) -> bool:
        return _holds(len(re.findall(r"\w+", answer)), self.relation, self.num_words)


class NumberParagraphs(Instruction):
    """The number of paragraphs separated by `***`; blank ones are ignored at either end, and forbidden elsewhere."""

    id: ClassVar[str] = "length_constraints:number_paragraphs"

    num_paragraphs: NonNegativeInt

    def followed(self, answer: str) -> bool:
        # The official divider includes a blank on either side, which makes no difference here.
        blank = [not paragraph.strip() for paragraph in answer.split("***")]
        if any(blank[1:-1]):
            return False
        # A lone divider leaves two blank ends; an answer without a divider is one paragraph, and not blank.
        return len(blank) - blank[0] - (blank[-1] and len(blank) > 1) == self.num_paragraphs


class NthParagraphFirstWord(Instruction):
    r"""The number of paragraphs separated by empty lines (`\n\n`), and the first word of the n-th.

    Blank paragraphs do not count in the number of paragraphs, but they do in n.
    """

    id: ClassVar[str] = "length_constraints:nth_paragraph_first_word"

    num_paragraphs: PositiveInt
    nth_paragraph: PositiveInt
    first_word: Text

    @model_validator(mode="after")
    def _nth_exists(self) -> Self:
        if self.nth_paragraph > self.num_paragraphs:
            raise ValueError("expected nth_paragraph to be at most num_paragraphs")
        return self

    def followed(self, answer: str) -> bool:
        paragraphs = answer.split("\n\n")
        count = sum(bool(paragraph.strip()) for paragraph in paragraphs)
        if count != self.num_paragraphs:
            return False
        paragraph = paragraphs[self.nth_paragraph - 1].split()
        return bool(paragraph) and self._bare(paragraph[0]) == self.first_word.lower()

    @staticmethod
    def _bare(word: str) -> str:
        """The word in lower case up to its first punctuation mark, without opening single, then double, quotes."""
        bare = re.split(r"[.,?!'\"]", word.lstrip("'").lstrip('"'), maxsplit=1)[0]
        return "".join(letter.lower() for letter in bare)


# Detectable content and format


class NumberPlaceholders(Instruction):
    """At least `num_placeholders` times `[...]`, each on one line. `[[x]]` counts once."""

    id: ClassVar[str] = "detectable_content:number_placeholders"

    num_placeholders: NonNegativeInt

    def followed(self, answer: str) -> bool:
        # Per line, so that a line of opening brackets without a closing one is scanned once.
        count = 0
        for line in answer.split("\n"):
            end = -1
            while (start := line.find("[", end + 1)) >= 0 and (end := line.find("]", start)) >= 0:
                count += 1
        return count >= self.num_placeholders


class Postscript(Instruction):
    """The marker occurs anywhere, in any case; `P.S.` and `P.P.S` also with a blank between the letters."""

    id: ClassVar[str] = "detectable_content:postscript"

    postscript_marker: Pattern

    def followed(self, answer: str) -> bool:
        marker = self.postscript_marker.strip()
        # The official code lower-cases the regular expression, which turns `\S` into `\s`.
        known = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}
        if marker in known:
            return re.search(known[marker], answer.lower()) is not None
        return occurrences(marker.lower(), answer.lower(), re.MULTILINE) > 0


class NumberBulletLists(Instruction):
    """Exactly `num_bullets` lines that begin with `*` or `-`.

    A line that begins with `**`, such as a bold heading, does not count; `---` and `-5` do. A lone `*` includes the
    next line.
    """

    id: ClassVar[str] = "detectable_format:number_bullet_lists"

    num_bullets: NonNegativeInt

    def followed(self, answer: str) -> bool:
        stars = re.findall(r"^[^\S\n]*\*[^*].*$", answer, re.MULTILINE)
        dashes = re.findall(r"^[^\S\n]*-", answer, re.MULTILINE)
        return len(stars) + len(dashes) == self.num_bullets


class ConstrainedResponse(Instruction):
    """One of three sentences occurs anywhere in the answer."""

    id: ClassVar[str] = "detectable_format:constrained_response"

    def followed(self, answer: str) -> bool:
        return any(f"My answer is {option}." in answer for option in ("yes", "no", "maybe"))


class NumberHighlightedSections(Instruction):
    """At least `num_highlights` times `*...*` or `**...**` that is not blank, each on one line."""

    id: ClassVar[str] = "detectable_format:number_highlighted_sections"

    num_highlights: NonNegativeInt

    def followed(self, answer: str) -> bool:
        # Asterisks are paired from the left, so `**a**` is `**`, `a` and `**`: no single highlight, but a double one.
        # `*a**b*` is two single highlights, and `***a***` counts as a single and as a double one.
        single = re.findall(r"\*([^\n*]*)\*", answer)
        double = re.findall(r"\*\*([^\n*]*)\*\*", answer)
        return sum(bool(text.strip()) for text in (*single, *double)) >= self.num_highlights


class MultipleSections(Instruction):
    """At least `num_sections` times the splitter with a number, anywhere: `Section 1`, `Section2`. Case matters."""

    id: ClassVar[str] = "detectable_format:multiple_sections"

    section_spliter: Pattern
    num_sections: NonNegativeInt

    def followed(self, answer: str) -> bool:
        pieces = re.split(rf"\s?{self.section_spliter.strip()}\s?\d+\s?", answer)
        return len(pieces) - 1 >= self.num_sections


class JsonFormat(Instruction):
    """JSON, bare or in a fence, which may be marked as JSON. A number or `NaN` counts as JSON."""

    id: ClassVar[str] = "detectable_format:json_format"

    def followed(self, answer: str) -> bool:
        text = answer.strip()
        for opening in ("```json", "```Json", "```JSON", "```"):
            text = text.removeprefix(opening)
        try:
            json.loads(text.removesuffix("```").strip())
        except (ValueError, RecursionError):
            return False
        return True


class Title(Instruction):
    """A text that is not blank between `<<` and `>>` on one line."""

    id: ClassVar[str] = "detectable_format:title"

    def followed(self, answer: str) -> bool:
        return any(self._has_title(line) for line in answer.split("\n"))

    @staticmethod
    def _has_title(line: str) -> bool:
        # The widest pair in the line, as a greedy regular expression matches it.
        start, end = line.find("<<"), line.rfind(">>")
        return start >= 0 and end > start + 2 and bool(line[start : end + 2].lstrip("<").rstrip(">").strip())


# Combinations, beginning and end, punctuation


class TwoResponses(Instruction):
    """Two different texts separated by `******`; blank ones are ignored at either end, and forbidden elsewhere."""

    id: ClassVar[str] = "combination:two_responses"

    def followed(self, answer: str) -> bool:
        texts = [text.strip() for text in answer.split("******")]
        given = [text for text in texts if text]
        return all(texts[1:-1]) and len(given) == 2 and given[0] != given[1]


class RepeatPrompt(Instruction):
    """The answer begins with the request, in any case."""

    id: ClassVar[str] = "combination:repeat_prompt"

    prompt_to_repeat: Text

    def followed(self, answer: str) -> bool:
        return answer.strip().lower().startswith(self.prompt_to_repeat.strip().lower())


class EndChecker(Instruction):
    """The answer ends with the phrase, in any case; a closing quotation mark may follow."""

    id: ClassVar[str] = "startend:end_checker"

    end_phrase: Text

    def followed(self, answer: str) -> bool:
        return answer.strip().strip('"').lower().endswith(self.end_phrase.strip().lower())


class Quotation(Instruction):
    """A straight double quotation mark at the beginning and another at the end."""

    id: ClassVar[str] = "startend:quotation"

    def followed(self, answer: str) -> bool:
        text = answer.strip()
        return len(text) > 1 and text.startswith('"') and text.endswith('"')


class NoComma(Instruction):
    """No `,`; commas of other scripts are allowed."""

    id: ClassVar[str] = "punctuation:no_comma"

    def followed(self, answer: str) -> bool:
        return "," not in answer


INSTRUCTIONS: dict[str, type[Instruction]] = {kind.id: kind for kind in Instruction.__subclasses__()}
"""Every kind of instruction by its id."""
