"""Code of every kind of statement, in every form that an answer can give it."""

import sys
import textwrap
from types import ModuleType
from unittest.mock import patch

import pytest

from dlm_length.benchmarks._code_extraction import answer_fence, completion_or_whole, first_fence

PROMPT = 'from typing import List\n\n\ndef tally(words: List[str]) -> int:\n    """Characters of all words.\n    """\n'
RETURN = "return sum(map(len, words))"
WHOLE = f"def tally(words):\n    {RETURN}\n"


def works(code: str | None, prompt: str = PROMPT) -> bool:
    assert code is not None
    module = ModuleType("program")
    scope = module.__dict__
    with patch.dict(sys.modules, program=module):
        exec(compile(code, "code", "exec"), scope)
    tally = scope["tally"]
    assert callable(tally)
    return tally(["ab", "c"]) == 3 and tally([]) == 0


BODIES = [
    "n = 0",
    "n: int = 0",
    "n: int",
    "n = 1\nn ^= 2",
    "n = 1\nn **= 2",
    "a = b = 0\ndel a, b",
    "a, *b = [0, 1]",
    "*b, = words",
    "(a, b) = 0, 1",
    "d = {}\nd['a', len(words)] = 2",
    "d = [0]\nd[len(d) - 1] += 1",
    "w = list(words)\nw[:] = words",
    "(n := 0)",
    "if (n := len(words)) == 0:\n    return 0",
    "if(not words): return 0",
    "while(False): pass",
    "for(i)in range(3): continue\nelse:\n    pass",
    "for i, (a, b) in []:\n    pass",
    "with (open('/dev/null') as f, open('/dev/null')):\n    pass",
    "try:\n    pass\nexcept (ValueError, KeyError) as e:\n    raise\nfinally:\n    pass",
    "try:\n    pass\nexcept* ValueError:\n    pass",
    "match words:\n    case []:\n        return 0\n    case [str(), *_]:\n        pass",
    "assert isinstance(words, list), 'no list'",
    "if words is None:\n    raise ValueError from None",
    "global QQ\nQQ = 1",
    "n = 0\ndef inc():\n    nonlocal n\n    n += 1\ninc()",
    "def add(a, b):\n    return a + b",
    "import functools\n@functools.cache\ndef one():\n    return 1",
    "async def co():\n    async with x as y:\n        await z\n    async for i in j:\n        yield i",
    "class A:\n    x = 0\n    def m(self):\n        return 1",
    "f = lambda x: x",
    "import math, os as o",
    "from collections import (\n    Counter,\n    deque as d,\n)",
    "'''Doc.'''",
    "'a text'",
    "f'{words}'",
    "# a comment",
    "...",
    "pass",
    "words.copy()",
    "[len][0](words)",
    "''.join(words).strip().lower()",
    "[w for w in words]",
    "a = 1; b = 2",
    "n = 1 + \\\n    2",
    "n = (\n    1 +\n    2\n)",
    "s = '''\nany text here\n  at column 0\n'''",
    "print('Sum of all words', end='')",
    "exec('n = 1')",
]


@pytest.mark.parametrize("statements", BODIES)
def test_a_body_may_begin_with_any_statement(statements: str) -> None:
    flat = f"{statements}\n{RETURN}\n"
    body = textwrap.indent(flat, "    ")
    whole = f"def tally(words):\n{body}"
    for answer in (
        body,
        body.strip(),
        f"```python\n{body}```",
        f"The body is:\n```python\n{flat}```\nIt adds them up.",
        f"~~~\n{body}~~~",
        f"This is the body.\n\n{body}\n\nIt adds the lengths of all words.",
        f"{body}\n\ndef main():\n    print(tally(['a']))\n",
        f"{body}\n\nif __name__ == '__main__':\n    print(tally(['a']))\n",
        PROMPT + body,
        whole,
        f"Sure. This is it:\n\n{whole}\n\nIt adds the lengths of all words.",
    ):
        assert works(first_fence(answer, PROMPT, "tally")), answer
        assert works(answer_fence(answer, PROMPT, "tally")), answer
    assert completion_or_whole(body, body, PROMPT, "tally") == PROMPT + body
    assert works(completion_or_whole(f"```python\n{whole}```", f"```python\n{whole}```", PROMPT, "tally"))


MODULES = [
    "K = 1",
    "K: int = 1",
    "T = {}\nT['k'] = 1",
    '"""Solution."""',
    "# -*- coding: utf-8 -*-",
    "import math\n'doc'\nK = 1",
    "from math import *",
    "from collections import (\n    Counter,\n)",
    "import sys\nif sys.version_info < (3,):\n    text = str\nelse:\n    text = bytes",
    "try:\n    import nothing_such\nexcept ImportError:\n    nothing_such = None",
    "for i in range(3):\n    K = i",
    "match 1:\n    case 1:\n        K = 1",
    "(K := 1)",
    "a, *b = [1, 2]",
    "K = 1; del K",
    "assert True",
    "class A: pass\nA.x = 1",
    "def helper(w):\n    return len(w)",
    "S = '''\na text of words\n'''",
    "async def co():\n    pass",
]


@pytest.mark.parametrize(
    "statements", [*MODULES, "from __future__ import annotations", "from __future__ import (\n    division,\n)"]
)
def test_a_module_may_begin_with_any_statement(statements: str) -> None:
    module = f"{statements}\n\n{WHOLE}"
    for prompt in (PROMPT, ""):
        for answer in (
            module,
            f"```python\n{module}```",
            f"Here is the code.\n\n{module}\nThis works for all lists.",
            f"{module}\n\nif __name__ == '__main__':\n    print(tally(['a']))",
        ):
            assert works(first_fence(answer, prompt, "tally")), answer


@pytest.mark.parametrize("statements", MODULES)
def test_a_module_may_go_on_with_any_statement(statements: str) -> None:
    assert works(first_fence(f"{WHOLE}\n{statements}\n", PROMPT, "tally"))


DEFINITIONS = [
    "if True:\n    " + WHOLE.replace("\n", "\n    "),
    "if False:\n    pass\nelse:\n    " + WHOLE.replace("\n", "\n    "),
    "try:\n    import nothing_such\nexcept ImportError:\n    " + WHOLE.replace("\n", "\n    "),
    "for _ in [0]:\n    " + WHOLE.replace("\n", "\n    "),
    "match 1:\n    case _:\n        " + WHOLE.replace("\n", "\n        "),
    "tally = lambda words: sum(map(len, words))",
    "x = 1; tally = lambda words: sum(map(len, words))",
    "tally: object = lambda words: sum(map(len, words))",
    "(tally := lambda words: sum(map(len, words)))",
    "tally, other = (lambda words: sum(map(len, words))), 1",
    "count = tally = lambda words: sum(map(len, words))",
    "from functools import partial\ntally = partial(lambda f, ws: sum(map(f, ws)), len)",
    "for tally in [lambda words: sum(map(len, words))]:\n    pass",
    "exec('def tally(words): return sum(map(len, words))')",
    "globals()['tally'] = lambda words: sum(map(len, words))",
    "globals().update(tally=lambda words: sum(map(len, words)))",
    "import builtins\nbuiltins.exec('def tally(words): return sum(map(len, words))')",
    "import sys\nsys.modules[__name__].tally = lambda words: sum(map(len, words))",
    "import sys\nsys.modules[__name__].__dict__['tally'] = lambda words: sum(map(len, words))",
    "def setup():\n    global tally\n    tally = lambda words: sum(map(len, words))\nsetup()",
    "def tally(words):\n    return 0\n\n" + WHOLE,
    "\fdef tally(words):\n    return sum(map(len, words))",
    "def \\\n  tally(words): return sum(map(len, words))",
    "@(lambda f: f)\ndef tally(\n    words,\n    *,\n    key=len,\n):\n    return sum(map(key, words))",
    "class tally:\n    def __new__(cls, words):\n        return sum(map(len, words))",
    "class Solution:\n    def tally(\n        self,\n        words,\n    ):\n        return sum(map(len, words))",
    "class Solution:\n    @staticmethod\n    def tally(\n        words\n    ):\n        return sum(map(len, words))",
    "class Solution:\n    @classmethod\n    def tally(cls, words):\n        return sum(map(len, words))",
    "class Solution:\n    def tally(words):\n        return sum(map(len, words))",
    "class Solution:\n    if True:\n        def tally(self, words):\n            return sum(map(len, words))",
    "class Solution:\n    tally = lambda self, words: sum(map(len, words))",
    "class Outer:\n    class Solution:\n        def tally(self, words):\n            return sum(map(len, words))",
]


@pytest.mark.parametrize("definition", DEFINITIONS)
def test_the_function_may_be_bound_in_any_way(definition: str) -> None:
    for prompt in (PROMPT, ""):
        for answer in (
            definition,
            f"```python\n{definition}\n```",
            f"This will do:\n\n{definition}\n\nThat is all of it.",
        ):
            assert works(first_fence(answer, prompt, "tally")), answer


def test_a_body_may_have_a_function_of_the_same_name() -> None:
    body = "    def tally(ws):\n        return sum(map(len, ws))\n    return tally(words)\n"
    assert works(first_fence(body, PROMPT, "tally"))
    assert works(first_fence(f"```python\n{body}```", PROMPT, "tally"))


def test_a_method_of_one_parameter_more_takes_the_object() -> None:
    method = "```python\nclass Solution:\n    def tally(this, words):\n        return sum(map(len, words))\n```"
    assert works(first_fence(method, PROMPT, "tally"))


def test_a_name_may_be_imported() -> None:
    code = first_fence("```python\nfrom operator import add as tally\n```", "", "tally")
    assert code is not None
    scope: dict[str, object] = {}
    exec(code, scope)
    assert scope["tally"](1, 2) == 3  # type: ignore[operator]


FENCED = [
    "````markdown\nText\n```python\n{0}```\n````",
    "~~~markdown\n```python\n{0}```\n~~~",
    "```markdown\n~~~python\n{0}~~~\n```",
    "`````md\n````markdown\n```python\n{0}```\n````\n`````",
    "~~~~\n~~~python\n{0}~~~\n~~~~",
    "```python\n{0}`````",
    '```python title="a.py" linenos\n{0}```',
    "```{{python}}\n{0}```",
    "```python:solution.py\n{0}```",
    "```bash\npip install x\n```\n\n~~~python\n{0}~~~",
    "```python\ntally(['a'])\n```\nwith\n```python\n{0}```",
    "<details>\n```python\n{0}```\n</details>",
    "1. So:\n   ```python\n{0}```\n",
    "```text\n{0}```",
    "```python\nF = '```'\n{0}```",
    "```python\n\ufeff{0}```",
    "[PYTHON]\n{0}[/PYTHON]",
]


@pytest.mark.parametrize("form", FENCED)
def test_fences_of_every_form_are_recognised(form: str) -> None:
    assert works(first_fence(form.format(WHOLE), PROMPT, "tally"))
    assert works(answer_fence(f"so</reasoning><answer>\n{form.format(WHOLE)}\n</answer>", PROMPT, "tally"))


@pytest.mark.parametrize("indentation", ["  ", "   ", "> ", "> 1. ", "    ", "- "])
def test_fences_inside_lists_and_quotations_are_recognised(indentation: str) -> None:
    inner = indentation.replace("1.", "  ").replace("-", " ")
    lines = f"```python\n{WHOLE}```".split("\n")
    answer = "\n".join([indentation + lines[0], *(inner + line for line in lines[1:])])
    assert works(first_fence(answer, PROMPT, "tally"))


@pytest.mark.parametrize(
    "answer",
    [
        "```python\ndef tally(words):\n    return sum(",
        "def tally(words):\n    if words:\n        return sum(map(len, words))\n    return (",
        f"{WHOLE}\n\ndef main():\n    print(tally(",
        "    n = 0\n    for w in words:\n        n += len(w",
    ],
)
def test_truncated_code_is_not_repaired(answer: str) -> None:
    code = first_fence(answer, PROMPT, "tally")
    assert code is not None
    with pytest.raises(SyntaxError):
        compile(code, "code", "exec")


def test_blanks_inside_a_string_are_kept() -> None:
    code = first_fence(f"```python\nS = '''\n  \n'''\n{WHOLE}```", PROMPT, "tally")
    assert code is not None
    assert "S = '''\n  \n'''" in code


@pytest.mark.parametrize("after", ["```\nThis adds them up.", "<|im_end|>", ">>> tally(['a'])\n1", "[/PYTHON]"])
def test_what_follows_a_body_without_a_fence_is_cut(after: str) -> None:
    answer = f"    n = 0\n    {RETURN}\n{after}\n"
    assert works(first_fence(answer, PROMPT, "tally"))
    assert works(answer_fence(answer, PROMPT, "tally"))


@pytest.mark.parametrize(
    "answer",
    [
        f"def other(words):\n    {RETURN}\n",
        f"class Solution:\n    def other(self, words):\n        {RETURN}\n",
        f"I would do it so:\n\ndef other(words):\n    n = 0\n    {RETURN}\n",
    ],
)
def test_the_body_of_another_function_is_not_the_answer(answer: str) -> None:
    assert not works(first_fence(answer, PROMPT, "tally"))
    assert not works(answer_fence(answer, PROMPT, "tally"))
