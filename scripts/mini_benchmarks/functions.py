"""Small Python functions, one step a line, with unit tests, in the form of HumanEval."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .item import Item

_Step = tuple[str, str]
"""What the docstring says, and the expression; `{v}` is the variable, `{k}` a small number, `{c}` and `{d}` letters."""


@dataclass(frozen=True)
class _Kind:
    """Functions on one type of argument."""

    argument: str
    names: tuple[str, ...]
    steps: tuple[_Step, ...]
    ends: tuple[_Step, ...]
    result: str
    """The docstring's last step where the variable itself is returned."""
    empty: str | None
    """How the docstring calls an argument that is false; None where there is no such case."""
    inputs: tuple[str, ...]


_NUMBERS = _Kind(
    "the numbers",
    ("xs", "nums", "values", "data"),
    (
        ("keep only the even ones", "[x for x in {v} if x % 2 == 0]"),
        ("keep only the odd ones", "[x for x in {v} if x % 2 == 1]"),
        ("keep only those greater than {k}", "[x for x in {v} if x > {k}]"),
        ("drop those greater than {k}", "[x for x in {v} if x <= {k}]"),
        ("keep only the multiples of {k}", "[x for x in {v} if x % {k} == 0]"),
        ("remove every {k}", "[x for x in {v} if x != {k}]"),
        ("add {k} to each", "[x + {k} for x in {v}]"),
        ("subtract {k} from each", "[x - {k} for x in {v}]"),
        ("multiply each by {k}", "[x * {k} for x in {v}]"),
        ("square each", "[x * x for x in {v}]"),
        ("negate each", "[-x for x in {v}]"),
        ("take the absolute value of each", "[abs(x) for x in {v}]"),
        ("sort them in ascending order", "sorted({v})"),
        ("sort them in descending order", "sorted({v}, reverse=True)"),
        ("reverse their order", "{v}[::-1]"),
        ("remove the duplicates", "list(dict.fromkeys({v}))"),
        ("take the first {k}", "{v}[:{k}]"),
        ("take the last {k}", "{v}[-{k}:]"),
        ("drop the first {k}", "{v}[{k}:]"),
        ("take every second one", "{v}[::2]"),
        ("append {k} at the end", "{v} + [{k}]"),
    ),
    (
        ("their sum", "sum({v})"),
        ("the largest, or 0 if there is none", "max({v}, default=0)"),
        ("the smallest, or 0 if there is none", "min({v}, default=0)"),
        ("how many there are", "len({v})"),
        ("how many of them are equal to {k}", "{v}.count({k})"),
        ("whether {k} is among them", "{k} in {v}"),
        ("whether there are more than {k}", "len({v}) > {k}"),
        ("the sum of their squares", "sum(x * x for x in {v})"),
    ),
    "the list",
    "empty",
    ("[]", "[3, 1, 2]", "[5, -4, 8, 8, 0, 7]", "[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]", "[-3, 6, -9, 12, 6, 4]", "[7]"),
)
_TEXT = _Kind(
    "the text",
    ("s", "text", "word", "line"),
    (
        ("make it lower case", "{v}.lower()"),
        ("make it upper case", "{v}.upper()"),
        ("remove all spaces", '{v}.replace(" ", "")'),
        ("remove every '{c}'", '{v}.replace("{c}", "")'),
        ("replace '{c}' by '{d}'", '{v}.replace("{c}", "{d}")'),
        ("reverse it", "{v}[::-1]"),
        ("keep only the letters", '"".join(c for c in {v} if c.isalpha())'),
        ("keep only the digits", '"".join(c for c in {v} if c.isdigit())'),
        ("remove the vowels", '"".join(c for c in {v} if c not in "aeiou")'),
        ("take the first {k} characters", "{v}[:{k}]"),
        ("drop the first {k} characters", "{v}[{k}:]"),
        ("take the last {k} characters", "{v}[-{k}:]"),
        ("repeat it {k} times", "{v} * {k}"),
        ("strip the spaces at both ends", "{v}.strip()"),
        ("capitalize every word", "{v}.title()"),
        ("put '{c}' in front", '"{c}" + {v}'),
        ("put '{c}' at the end", '{v} + "{c}"'),
        ("sort its characters", '"".join(sorted({v}))'),
    ),
    (
        ("its length", "len({v})"),
        ("how often '{c}' occurs", '{v}.count("{c}")'),
        ("whether it begins with '{c}'", '{v}.startswith("{c}")'),
        ("whether it ends with '{c}'", '{v}.endswith("{c}")'),
        ("whether it is a palindrome", "{v} == {v}[::-1]"),
        ("whether it is longer than {k} characters", "len({v}) > {k}"),
        ("the list of its words", "{v}.split()"),
        ("the number of its words", "len({v}.split())"),
    ),
    "the text",
    "empty",
    ('""', '"banana"', '"  The quick brown fox "', '"abc 123 cba"', '"A man, a plan"', '"tenet"'),
)
_WORDS = _Kind(
    "the words",
    ("words", "names", "items", "parts"),
    (
        ("keep only those longer than {k} letters", "[w for w in {v} if len(w) > {k}]"),
        ("keep only those of at most {k} letters", "[w for w in {v} if len(w) <= {k}]"),
        ("keep only those that begin with '{c}'", '[w for w in {v} if w.startswith("{c}")]'),
        ("keep only those that contain '{c}'", '[w for w in {v} if "{c}" in w]'),
        ("drop those that contain '{c}'", '[w for w in {v} if "{c}" not in w]'),
        ("make each upper case", "[w.upper() for w in {v}]"),
        ("make each lower case", "[w.lower() for w in {v}]"),
        ("reverse each", "[w[::-1] for w in {v}]"),
        ("put '{c}' at the end of each", '[w + "{c}" for w in {v}]'),
        ("cut each to {k} letters", "[w[:{k}] for w in {v}]"),
        ("sort them alphabetically", "sorted({v})"),
        ("sort them by length", "sorted({v}, key=len)"),
        ("reverse their order", "{v}[::-1]"),
        ("remove the duplicates", "list(dict.fromkeys({v}))"),
        ("take the first {k}", "{v}[:{k}]"),
        ("take the last {k}", "{v}[-{k}:]"),
        ("drop the first {k}", "{v}[{k}:]"),
    ),
    (
        ("them joined by '{c}'", '"{c}".join({v})'),
        ("their total number of letters", "sum(len(w) for w in {v})"),
        ("the longest, or '' if there is none", 'max({v}, key=len, default="")'),
        ("how many there are", "len({v})"),
        ("whether '{c}' is among them", '"{c}" in {v}'),
        ("the list of their lengths", "[len(w) for w in {v}]"),
    ),
    "the list",
    "empty",
    (
        "[]",
        '["pear", "fig", "plum"]',
        '["Oslo", "rome", "lima", "rome", "a"]',
        '["on", "the", "quick", "brown", "table"]',
        '["abc"]',
    ),
)
_INTEGER = _Kind(
    "the number",
    ("n", "x", "num", "value"),
    (
        ("add {k}", "{v} + {k}"),
        ("subtract {k}", "{v} - {k}"),
        ("multiply it by {k}", "{v} * {k}"),
        ("square it", "{v} * {v}"),
        ("negate it", "-{v}"),
        ("take its absolute value", "abs({v})"),
        ("divide it by {k} without remainder", "{v} // {k}"),
        ("take the remainder by {k}", "{v} % {k}"),
        ("take the smaller of it and {k}", "min({v}, {k})"),
        ("take the larger of it and {k}", "max({v}, {k})"),
    ),
    (
        ("whether it is even", "{v} % 2 == 0"),
        ("whether it is greater than {k}", "{v} > {k}"),
        ("it as a text", "str({v})"),
        ("whether it is a multiple of {k}", "{v} % {k} == 0"),
        ("the number of its digits", "len(str(abs({v})))"),
    ),
    "the result",
    "0",
    ("0", "1", "7", "-12", "100", "35"),
)
_KINDS = (_NUMBERS, _NUMBERS, _TEXT, _WORDS, _INTEGER)
_STEPS = (0, 1, 2, 3, 4, 5)
_WEIGHTS = (2, 4, 4, 3, 2, 1)
_VERBS = ("make", "change", "solve", "pick", "compute", "process", "handle", "build")
_NOUNS = ("it", "this", "result", "all", "task", "answer", "output", "case")
_LETTERS = "aeiorstnlm"
_OPENINGS = ("Take {what}: ", "Given {what}, ", "With {what} in {v}: ", "From {what} {v}, ")


def function(rng: Random) -> Item:
    """A function of up to five steps on a list of numbers, a text, a list of words or a number."""
    kind = rng.choice(_KINDS)
    variable = rng.choice(kind.names)
    name = f"{rng.choice(_VERBS)}_{rng.choice(_NOUNS)}"
    steps = [_filled(rng, step) for step in rng.sample(kind.steps, rng.choices(_STEPS, _WEIGHTS)[0])]
    guard = rng.randint(0, 9) if rng.random() < 0.2 else None
    end = _filled(rng, rng.choice(kind.ends)) if not steps or rng.random() < 0.6 else (kind.result, "{v}")

    said = [words for words, _ in steps]
    body = [f"{variable} = {code.replace('{v}', variable)}" for _, code in steps]
    if guard is not None:
        said.insert(0, f"return {guard} if {'it is' if kind is _TEXT or kind is _INTEGER else 'they are'} {kind.empty}")
        test = f"{variable} == 0" if kind is _INTEGER else f"not {variable}"
        body[:0] = [f"if {test}:", f"    return {guard}"]
    body.append(f"return {end[1].replace('{v}', variable)}")
    opening = rng.choice(_OPENINGS).format(what=kind.argument, v=variable)
    joiner = rng.choice((", ", ", then ", "; "))
    docstring = opening + joiner.join([*said, f"return {end[0]}"]) + "."

    header = f"def {name}({variable}):\n"
    prompt = f'{header}    """{docstring}"""\n'
    indented = "".join(f"    {line}\n" for line in body)
    answer = (header + indented).rstrip("\n")
    meaning = "humaneval " + kind.argument + " | ".join([str(guard), *(code for _, code in [*steps, end])])
    row = {
        "prompt": prompt,
        "entry_point": name,
        "canonical_solution": indented,
        "test": _tests(answer, name, kind.inputs),
    }
    return Item(prompt, answer, meaning, row)


def _filled(rng: Random, step: _Step) -> _Step:
    """The same number and letters in words and code."""
    c, d = rng.sample(_LETTERS, 2)
    number = str(rng.randint(2, 9))

    def fill(text: str) -> str:
        return re.sub(r"\{([kcd])\}", lambda hole: {"k": number, "c": c, "d": d}[hole[1]], text)

    return fill(step[0]), fill(step[1])


def _tests(solution: str, name: str, inputs: Sequence[str]) -> str:
    """A `check` in HumanEval's form. What is right, the solution says: the generator trusts it and runs it here."""
    space: dict[str, object] = {}
    exec(solution, space)
    lines = []
    for text in inputs:
        expected = eval(f"{name}({text})", space)
        lines.append(f"    assert candidate({text}) == {expected!r}\n")
    return "def check(candidate):\n" + "".join(lines)
