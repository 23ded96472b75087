r"""Text as LaTeX that compiles, whatever stands in it.

The result is ASCII and needs no package nor other fonts than the document's own and those of mathematics: it can be
pasted into a paper of any input and font encoding.
"""

import re
import unicodedata

from dlm_length.reports.rendering.text import one_line

_ASCII = {  # no `\$` and the like: where they need fonts of companion symbols, a small installation has none
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"$\mathdollar$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",  # as it is, babel takes it for a shorthand
    # After the `\\` of a row, these would be read as its options.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}

_GREEK = "αβγδεζηθικλμνξοπρςστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ"
_GREEK_COMMANDS = (
    r"\alpha \beta \gamma \delta \epsilon \zeta \eta \theta \iota \kappa \lambda \mu \nu \xi o \pi \rho \varsigma"
    r" \sigma \tau \upsilon \phi \chi \psi \omega"
    r" \mathrm{A} \mathrm{B} \Gamma \Delta \mathrm{E} \mathrm{Z} \mathrm{H} \Theta \mathrm{I} \mathrm{K} \Lambda"
    r" \mathrm{M} \mathrm{N} \Xi \mathrm{O} \Pi \mathrm{P} \Sigma \mathrm{T} \Upsilon \Phi \mathrm{X} \Psi \Omega"
)

_MATHS = dict(zip(_GREEK, _GREEK_COMMANDS.split(), strict=True)) | {
    "ϵ": r"\epsilon",
    "ϕ": r"\phi",
    "µ": r"\mu",
    "×": r"\times",
    "÷": r"\div",
    "±": r"\pm",
    "·": r"\cdot",
    "−": "-",
    "≤": r"\leq",
    "≥": r"\geq",
    "≠": r"\neq",
    "≈": r"\approx",
    "≡": r"\equiv",
    "∼": r"\sim",
    "∝": r"\propto",
    "∞": r"\infty",
    "∈": r"\in",
    "∑": r"\sum",
    "√": r"\surd",
    "∆": r"\Delta",
    "←": r"\leftarrow",
    "→": r"\rightarrow",
    "↔": r"\leftrightarrow",
    "↑": r"\uparrow",
    "↓": r"\downarrow",
    "⇒": r"\Rightarrow",
    "°": r"^{\circ}",
    "²": "^{2}",
    "³": "^{3}",
    "¹": "^{1}",
    "«": r"\ll",
    "»": r"\gg",
    "•": r"\bullet",
    "†": r"\dagger",
    "‡": r"\ddagger",
    "§": r"\mathsection",
    "¶": r"\mathparagraph",
    "£": r"\mathsterling",
}

_SYMBOLS = {
    "–": r"\textendash{}",
    "—": r"\textemdash{}",
    "‐": "-",
    "‑": "-",
    "‘": r"\textquoteleft{}",
    "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}",
    "”": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "©": "(c)",
    "¿": r"\textquestiondown{}",
    "¡": r"\textexclamdown{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "ı": r"\i{}",
}

_ACCENTS = {
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0323": r"\d",
    "\u0327": r"\c",
}

_SPELT_OUT = ("<compat>", "<wide>", "<font>", "<noBreak>")
"""Kinds of characters that others say as well: a ligature, a full-width or a bold letter."""

_LONG_WORD = 24


def escape(text: str) -> str:
    """The text on one line. A character that plain LaTeX cannot set is told by its number, as `[U+8A9E]`."""
    words = unicodedata.normalize("NFC", one_line(text)).split(" ")
    # Two of these in a row would become a dash, a quotation mark or a turned question mark.
    return re.sub(r"(?<=[-'`,?!])(?=[-'`,])", "{}", " ".join(map(_word, words)))


def comment(text: str) -> str:
    """What may follow a `%`: printable ASCII on one line, anything else as Python writes it."""
    return text.encode("unicode_escape", "surrogatepass").decode("ascii")


def _word(word: str) -> str:
    """A word; a long one, as a path, may be broken within."""
    if len(word) <= _LONG_WORD:
        return "".join(map(_character, word))
    return "".join(_character(each) + r"\allowbreak{}" * (each in "_/=.:;") for each in word)


def _character(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    if " " <= character <= "~":
        return character
    if character in _MATHS:
        return f"${_MATHS[character]}$"
    if character in _SYMBOLS:
        return _SYMBOLS[character]
    parts = unicodedata.normalize("NFD", character)
    base, mark = parts[0], parts[1:]
    if base.isascii() and base.isalpha() and mark in _ACCENTS:
        return f"{_ACCENTS[mark]}{{{base}}}"
    if unicodedata.decomposition(character).startswith(_SPELT_OUT):
        spelt = unicodedata.normalize("NFKD", character)
        return "".join(map(_character, unicodedata.normalize("NFC", spelt)))
    return f"{{[}}U+{ord(character):04X}{{]}}"
