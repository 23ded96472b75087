r"""Any text as LaTeX in UTF-8 that compiles.

ASCII, accented Latin letters, dashes and quotation marks are kept: pdfLaTeX's default input encoding knows them, and
every font encoding has them. Greek and mathematical symbols become mathematics; `n = 50` and `p < 0.05` are set as
formulas. Any other character has no font in pdfLaTeX and is shown by its code, such as `[U+8A9E]`.
"""

import re
import unicodedata
from collections.abc import Iterator

from dlm_length.common.printable import one_line

_SPECIAL = {
    **{each: rf"\{each}" for each in "{}&%#_"},
    "$": r"$\mathdollar$",  # `\$` needs fonts of companion symbols, which a small installation lacks
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # Without T1 fonts these three are other characters.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\symbol{34}",  # as it is, babel takes it for a shorthand
    # After the `\\` of a row, these would be read as its options.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
_COMMANDS = (
    "α alpha β beta γ gamma δ delta ε epsilon ζ zeta η eta θ theta ι iota κ kappa λ lambda μ mu ν nu ξ xi π pi ρ rho"
    " ς varsigma σ sigma τ tau υ upsilon φ phi χ chi ψ psi ω omega Γ Gamma Δ Delta Θ Theta Λ Lambda Ξ Xi Π Pi Σ Sigma"
    " Υ Upsilon Φ Phi Ψ Psi Ω Omega µ mu × times ÷ div ± pm · cdot ≤ le ≥ ge ≠ ne ≈ approx ∞ infty √ surd"
    " ← leftarrow → rightarrow ↑ uparrow ↓ downarrow † dagger ‡ ddagger"
)
_WORDS = _COMMANDS.split()
_MATHS = {
    **dict(zip(_WORDS[::2], (rf"\{name}" for name in _WORDS[1::2]), strict=True)),
    **{"−": "-", "°": r"^{\circ}"},
    **{raised: f"^{{{digit}}}" for digit, raised in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}
_KEPT = set("–—‘’“”…ÆæŒœØøŁłßı")
_ACCENTS = set("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327")

_FORMULA = re.compile(
    r"(?<![\w./=-])(?:(?P<symbol>[A-Za-zα-ωΓΔΘΛΞΠΣΥΦΨΩ]) (?P<relation>[=<>≤≥]) (?P<number>-?\d+(?:,\d{3})*(?:\.\d+)?)"
    r"(?![\w%]|[.,]\d)|(?P<letter>[A-Za-z])_(?P<subscript>[a-z]{2,})(?![\w/=]|\.\w))"
)
"""A letter related to a number, or with a word below it: `n = 1,319`, `E_token`."""
_LONG_WORD = 24


def escape(text: str) -> str:
    """The text on one line."""
    line = unicodedata.normalize("NFC", one_line(text))
    return "".join(_formula(found) if found else _prose(between) for between, found in _cut(line))


def _cut(line: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """The text between formulas (with None), and each formula's match, in order."""
    end = 0
    for found in _FORMULA.finditer(line):
        yield line[end : found.start()], None
        yield "", found
        end = found.end()
    yield line[end:], None


def comment(text: str) -> str:
    """Text that can follow a `%`: ASCII on one line, with any other character as Python's escape."""
    return text.encode("unicode_escape", "surrogatepass").decode("ascii")


def _formula(found: re.Match[str]) -> str:
    r"""`$\tau = 0.9$`, with a minus sign and without a space after a comma; `$E_{\mathrm{token}}$`."""
    if found["subscript"]:
        return rf"${found['letter']}_{{\mathrm{{{found['subscript']}}}}}$"
    symbol, relation = (_MATHS.get(found[part], found[part]) for part in ("symbol", "relation"))
    return f"${symbol} {relation} {found['number'].replace(',', '{,}')}$"


def _prose(text: str) -> str:
    # Two of these in a row would become a dash, a quotation mark or a turned question mark.
    return re.sub(r"(?<=[-'`,?!])(?=[-'`,])", "{}", " ".join(map(_word, text.split(" "))))


def _word(word: str) -> str:
    """A word; a long one, such as a path, gets places where LaTeX can break it."""
    if len(word) <= _LONG_WORD:
        return "".join(map(_character, word))
    return "".join(_character(each) + r"\allowbreak{}" * (each in "_/=.:;") for each in word)


def _character(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if " " <= character <= "~" or character in _KEPT or _is_accented(character):
        return character
    if character in _MATHS:
        return f"${_MATHS[character]}$"
    return f"{{[}}U+{ord(character):04X}{{]}}"


def _is_accented(character: str) -> bool:
    """Whether it is an ASCII letter with one accent that every font encoding can set."""
    parts = unicodedata.normalize("NFD", character)
    return character <= "ž" and len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS
