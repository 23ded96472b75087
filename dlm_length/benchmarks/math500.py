"""MATH500: competition mathematics, scored by comparing the final expression with the reference."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from dlm_length.benchmarks import _equivalence
from dlm_length.benchmarks._data import chosen, hub_rows, local_rows, problems_of
from dlm_length.benchmarks._latex import BLANK, FORMULA, last_boxed, tidied, tidied_formulas, without_boxes
from dlm_length.benchmarks._prompts import StyledBenchmark, cut
from dlm_length.benchmarks.base import Column, Problem, Score, detail_columns

FIELDS = ("problem", "solution", "answer", "subject", "unique_id")
LONGEST = 20_000
"""Characters at the end of an answer that are searched for an expression."""
_MIXED = re.compile(rf"(?<![0-9.,/^_])([0-9]{{1,9}})(?:\s|{BLANK})++([0-9]{{1,9}})/([0-9]{{1,9}})(?![0-9/])")
_BLANK_BEFORE_FRACTION = re.compile(rf"(?<=[0-9]){BLANK}(?=\\[cdt]?frac)")
_FORMULA_OR_MIXED = re.compile(f"{FORMULA.pattern}|{_MIXED.pattern}", re.DOTALL)
_BOLD = re.compile(r"(?<![\w)*])\*\*(?=[^\s*])([^*\n]+)(?<=\S)\*\*(?![\w(*])")
_BARE_ANSWER = re.compile(
    r"((?:answer|result|solution)\s+is:?\s+|(?:answer|result|solution):\s+)"
    r"((?=[^$\n]{0,300}?(?:[\\^_=<>|({\[,:]|\w\s?[-+]\s?\w))(?!\\[\[(])[^$\n]{1,600}?)(\.?\s*)\Z",
    re.IGNORECASE,
)
_TEXT = re.compile(r"\\(?:text\w*|mathrm|mbox|begin|end|operatorname)\s?\{[^{}]*\}")
_WORDS = re.compile(r"(?<![\\A-Za-z])(?:[a-z]{2,}|[A-Za-z]{3,})|[0-9]\s+\([A-Z]\)")
"""What an expression does not have: words, and the letter of a choice after a number."""
_STYLE = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?|text(?:bf|it|rm|tt|normal)?|math(?:rm|bf|it|tt|sf)|mbox|rm|bf|it|tt|operatorname"
    r"|underline|overline|boldsymbol|bm)(?![A-Za-z])|\\[,;:!]|[{}$~]"
)
_DIGITS_AND_BASE = (
    r"(?P<digits>(?=[A-F]*[0-9])[0-9A-F]++)[)\]]?\s?(?:_\s?\(?\s?(?:base)?|\(?(?:in\s)?base)\s?(?P<base>[0-9]+|[a-z]+)"
)
_BASED = re.compile(rf"\s?[(\[]?{_DIGITS_AND_BASE}\s?\)?\s?", re.IGNORECASE)
_BASED_IN_TEXT = re.compile(rf"(?<![A-Z0-9]){_DIGITS_AND_BASE}", re.IGNORECASE)
_BASES = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9"}
_BASES |= {"ten": "10", "eleven": "11", "twelve": "12", "sixteen": "16"}
_EMPTY = re.compile(r"\\(?:text|mbox|boxed)\s*\{\s*\}|[$\s]")


class MATH500(StyledBenchmark):
    r"""MATH500: 500 problems of competition mathematics with an expression as their answer.

    Answers are compared as expressions by math-verify: `0.5`, `\frac12` and `1/2` are equal. Two extractions are
    recorded: `boxed`, the last `\boxed{}`, and `flexible`, the same or the last expression if none is boxed.
    """

    version: ClassVar[int] = 4
    metric: ClassVar[str] = "math_verify"
    metric_title: ClassVar[str] = "accuracy"
    placeholders: ClassVar[tuple[str, ...]] = ("problem", "subject", "unique_id")
    title: ClassVar[str] = "MATH500"
    source: ClassVar[str] = "Lightman et al. 2023, arXiv 2305.20050; HuggingFaceH4/MATH-500, split test"

    name: Literal["math500"] = "math500"
    prompt_style: Literal["chat_boxed", "chat_tags"] = "chat_boxed"
    """The form of prompt and extraction; the words are ours.

    chat_boxed: zero-shot chat that asks for a boxed answer, last expression if none is boxed, as in LLaDA's evaluation.
    chat_tags: zero-shot chat with tags, boxed answer, as in DAEDAL's.
    """

    def problems(self) -> list[Problem]:
        rows = local_rows(self.path) if self.path is not None else hub_rows("HuggingFaceH4/MATH-500", None, "test")
        return chosen(problems_of(rows, FIELDS, math500_problem), self)

    def score(self, problem: Problem, answer: str) -> Score:
        answer = cut(answer, self.style.stop)[-LONGEST:]
        boxed = last_boxed(answer)
        if boxed is None:
            unboxed = _unboxed_verdict(problem.target, answer)
            verdicts = {"boxed": _verdict(problem.target, None), "flexible": unboxed}
        else:
            verdicts = dict.fromkeys(("boxed", "flexible"), _boxed_verdict(problem.target, boxed))
        extracted = {"boxed": boxed, "flexible": boxed if boxed is not None else verdicts["flexible"].parsed}
        main = self.style.extraction
        outcome = verdicts[main].outcome
        reason = {"equal": "correct", "different": "wrong_answer", "unreadable": "no_answer"}.get(outcome, outcome)
        details = {f"{self.metric}_{name}": float(verdict.outcome == "equal") for name, verdict in verdicts.items()}
        recorded = {"reason": reason, "extraction": main, "subject": problem.fields["subject"], **details}
        return Score(float(outcome == "equal"), extracted[main], extracted, recorded)

    def columns(self, scores: Mapping[str, Score]) -> dict[str, Column]:
        by_extraction = (f"{self.metric}_{name}" for name in ("boxed", "flexible"))
        return super().columns(scores) | detail_columns(scores, by_extraction)


def _boxed_verdict(reference: str, content: str) -> _equivalence.Verdict:
    content = tidied(content)
    if (same := _same_in_base(reference, content)) is not None:
        return _equivalence.Verdict("equal" if same else "different", content)
    return _verdict(reference, f"\\boxed{{{_mixed_as_fractions(content)}}}")


def _unboxed_verdict(reference: str, answer: str) -> _equivalence.Verdict:
    text = _BARE_ANSWER.sub(_as_formula, _BOLD.sub(r"\1", without_boxes(answer)))
    text = _FORMULA_OR_MIXED.sub(_with_fractions, text)
    if _in_base(reference) and (last := _last_based(text)):
        return _equivalence.Verdict("equal" if _same_in_base(reference, last) else "different", last)
    return _verdict(reference, tidied_formulas(text))


def _verdict(reference: str, answer: str | None) -> _equivalence.Verdict:
    if answer is None or not answer.strip():
        return _equivalence.Verdict("unreadable")
    if _plain(answer) == _plain(f"\\boxed{{{reference}}}"):
        return _equivalence.Verdict("equal", reference)
    verdict = _equivalence.compare(tidied(reference), answer)
    # math-verify ignores the base of a number.
    if verdict.outcome == "equal" and _same_in_base(reference, verdict.parsed or "") is False:
        return replace(verdict, outcome="different")
    return verdict


def _plain(text: str) -> str:
    """The text without blanks, except between digits: `1 1/2` is not `11/2`."""
    return re.sub(r"(?<![0-9])\s+|\s+(?![0-9])", "", text)


def _same_in_base(reference: str, answer: str) -> bool | None:
    """Whether digits and base are equal; None unless both numbers have a base."""
    expected, given = _in_base(reference), _in_base(answer)
    return expected == given if expected and given else None


def _in_base(latex: str) -> tuple[str, str] | None:
    """Digits and base of a number such as `52_8`; None for other expressions."""
    found = _BASED.fullmatch(re.sub(r"\s+|\\ ", " ", _STYLE.sub("", latex.rpartition("=")[2])))
    if found is None:
        return None
    base = found["base"].lower()
    return found["digits"].upper().lstrip("0"), _BASES.get(base, base)


def _as_formula(bare: re.Match[str]) -> str:
    """An answer's last expression in dollar signs, unless it has words."""
    words = _WORDS.search(_TEXT.sub("", bare[2]))
    return bare[0] if words else f"{bare[1]}${bare[2]}${bare[3]}"


def _last_based(text: str) -> str | None:
    """The number with a base that ends a text, as `= 52_{10}.` does; None where another number follows, or none is."""
    text = _STYLE.sub("", text)
    found = list(_BASED_IN_TEXT.finditer(text))
    return found[-1][0] if found and not re.search("[0-9]", text[found[-1].end() :]) else None


def _with_fractions(found: re.Match[str]) -> str:
    """A formula, or a mixed number in a text, with mixed numbers as LaTeX."""
    latex = _mixed_as_fractions(found[0])
    return latex if FORMULA.fullmatch(latex) else f"${latex}$"


def _mixed_as_fractions(latex: str) -> str:
    return _BLANK_BEFORE_FRACTION.sub("", _MIXED.sub(_as_fraction, latex))


def _as_fraction(mixed: re.Match[str]) -> str:
    r"""`1 1/2` as `1\frac{1}{2}`; math-verify would read only the first number."""
    return f"{mixed[1]}\\frac{{{mixed[2]}}}{{{mixed[3]}}}"


def math500_problem(index: int, fields: Mapping[str, Any]) -> Problem:
    """The problem of a row of the data set. Raises ValueError for a malformed one."""
    answer = fields["answer"]
    if not _EMPTY.sub("", answer) or not _balanced(answer):
        raise ValueError(f"expected an expression in LaTeX in 'answer', found {answer!r:.60}.")
    return Problem(id=fields["unique_id"], index=index, target=fields["answer"], fields=fields)


def _balanced(latex: str) -> bool:
    """Whether braces are balanced; a cheap check, as a full one by math-verify would take seconds to start."""
    depth = 0
    for brace in re.findall(r"\\.|([{}])", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(brace, 0)
        if depth < 0:
            return False
    return depth == 0
