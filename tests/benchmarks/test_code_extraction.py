import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.benchmarks._code_extraction import answer_fence, completion, first_fence

PROMPT = 'import math\n\n\ndef helper(x):\n    return x\n\n\ndef area(r):\n    """Of a circle."""\n'
PREAMBLE = "import math\n\n\ndef helper(x):\n    return x\n\n\n"
BODY = "    r = helper(r)\n    return math.pi * r * r"
WHOLE = f"def area(r):\n{BODY}"


def result_of(code: str | None) -> float:
    assert code is not None
    scope: dict[str, object] = {}
    exec(compile(code, "code", "exec"), scope)
    area = scope["area"]
    assert callable(area)
    return float(area(1))


@pytest.mark.parametrize(
    "answer",
    [
        f"```python\n{WHOLE}\n```",
        f"Sure!\n```py\n{WHOLE}\n```\nThis uses `math`.\n```python\nprint(1)\n```",
        f"```\n{WHOLE}\n```",
        f"```python\n{WHOLE}",
        f"```python\r\n{WHOLE}```",
        f"``` Python3  \n{WHOLE}\n```",
        f"```python\n{BODY}\n```",
        "```python\nr = helper(r)\nreturn math.pi * r * r\n```",
        "```python\n    from math import pi\n\n    def square(x):\n        return x * x\n    return pi * square(r)\n",
        "1. First:\n   ```python\n   def area(r):\n       r = helper(r)\n       return math.pi * r * r\n   ```",
        f"```python\n\n```\n```python\n{WHOLE}\n```",
        f"```python\nfrom __future__ import annotations\n{WHOLE}\n```",
        "```python\narea = lambda r: math.pi * helper(r) ** 2\n```",
        f"Here it is:\n\n{WHOLE}\n\nIt multiplies pi by the square.",
        f"{WHOLE}\nNote that r is a radius.",
        f"import math\n{WHOLE}",
        BODY,
        f"The body is\n{BODY}\nas you wanted.",
        "    if r:\n        return math.pi * r * r\n    return 0\n\nDone.",
        PROMPT + BODY,
        f"```python\n{PROMPT}{BODY}\n```",
        f"~~~python\n{WHOLE}\n~~~",
        f"````python\n{WHOLE}\n````",
        f"```python3\n{WHOLE}\n```",
        f"```python3.11\n{WHOLE}\n```",
        f"```{{.python}}\n{WHOLE}\n```",
        f'```python title="area.py"\n{WHOLE}\n```',
        f"```markdown\n# Solution\n```python\n{WHOLE}\n```\n```",
        f"```python\nimport math\n```python\n{WHOLE}\n```",
        f"Install it:\n```bash\npip install numpy\n```\n{WHOLE}\n",
        f"Install it:\n```bash\npip install numpy\n```\n```\n{BODY}\n```\n",
        f"For example\n```python\narea(2) == 12.5\n```\nis what this does:\n```python\n{WHOLE}\n```",
        f"Fences look like ```this``` or ```that```.\n```python\n{WHOLE}\n```",
        f"{WHOLE}\n```\nThe fence was opened in the prompt.",
        'Fences inside:\n```python\ndef area(r):\n    """Of a circle.\n\n    ```python\n    >>> area(1)\n'
        '    3.14\n    ```\n    """\n    return math.pi * r * r\n```\nDone.',
        '```python\ndef area(r):\n    # so: """\n    return math.pi * r * r\n```\nwith quotes that never close',
        f"```python\n{WHOLE}\n```".replace("\n", "\r\n"),
        f"Prose.\n\n{WHOLE}\n\nMore.".replace("\n", "\r\n"),
        "```python\ndef area(r):\n\tr = helper(r)\n\tif r:\n\t\treturn math.pi * r * r\n\treturn 0\n```",
        "```python\n\tr = helper(r)\n\tif r:\n\t\treturn math.pi * r * r\n\treturn 0\n```",
        "```python\nr = helper(r)\n    return math.pi * r * r\n```",
        "```python\nif r:\n        return math.pi * r * r\n    return 0\n```",
        "```python\nreturn (math.pi *\n    helper(r) * r)\n```",
        "```python\nclass Solution:\n    def area(self, r):\n        return self.twice(r) * r / 2\n\n"
        "    def twice(self, r):\n        return 2 * math.pi * r\n```",
        "```python\nclass Circle:\n    @staticmethod\n    def area(r):\n        return math.pi * r * r\n```",
        f"```python\nclass Circle:\n    def area(self):\n        return 0\n\n{WHOLE}\n```",
    ],
)
def test_code_is_extracted_from_chat_and_joined_to_the_prompts_part(answer: str) -> None:
    assert result_of(first_fence(answer, PROMPT, "area")) == pytest.approx(3.14159, abs=1e-4)


def test_a_whole_function_keeps_the_prompts_preamble_and_a_body_the_whole_prompt() -> None:
    assert first_fence(f"```python\n{WHOLE}\n```", PROMPT, "area") == f"{PREAMBLE}\n{WHOLE}\n"
    assert first_fence(f"```python\n{BODY}\n```", PROMPT, "area") == (
        f"{PROMPT}    r = helper(r)\n    return math.pi * r * r\n"
    )


def test_the_fence_of_the_answer_counts_and_not_that_of_the_reasoning() -> None:
    draft = "```python\ndef area(r):\n    return 0\n```"
    fence = f"```python\n{WHOLE}\n```"
    for text in (
        f"{draft}</reasoning>\n<answer>\n{fence}\n</answer> {draft}",
        f"{draft}</reasoning>\n<answer>{WHOLE}</answer>",
        f"{draft}</reasoning>\n<answer>\n```python\n{WHOLE}",
        f"{draft}</reasoning>\n{fence}",
        f"</reasoning>\n{WHOLE}",
        f"{draft}</reasoning>\n{fence}\n```python\nprint(area(2))\n```",
    ):
        assert result_of(answer_fence(text, PROMPT, "area")) > 3
    assert answer_fence(f"{fence}<answer>  </answer>", PROMPT, "area") is None


def test_a_completion_is_used_verbatim() -> None:
    assert completion("    return 1", PROMPT) == PROMPT + "    return 1"
    assert completion("return 1", PROMPT) == PROMPT + "return 1"


@pytest.mark.parametrize("answer", ["", "  \n\t", "```", "```python\n```", "I cannot do that.", "It is easy: think."])
def test_an_answer_without_code_gives_none(answer: str) -> None:
    assert first_fence(answer, PROMPT, "area") is None
    assert answer_fence(answer, PROMPT, "area") is None
    assert completion(answer, PROMPT) is None or answer.strip()


@given(
    st.text()
    | st.lists(
        st.sampled_from(
            [
                "```",
                "~~~",
                '"""',
                "class A:",
                "    def area(self):",
                "python",
                "\n",
                " ",
                "def area(",
                "<answer>",
                "return",
                "x=",
                ")",
            ]
        )
    ).map("".join)
)
def test_no_text_raises(text: str) -> None:
    for find in (first_fence, answer_fence):
        code = find(text, PROMPT, "area")
        assert code is None or code.strip()


@pytest.mark.parametrize(
    "unit",
    [
        "```",
        "``` ",
        " ",
        "\n",
        "\t",
        "a,",
        "a ",
        "a.",
        "x = ",
        "def ",
        "(",
        ")",
        "[a]",
        "~~~\n",
        '```"""',
        "```'''\n",
        "class A:\n",
        "<answer>",
        "a\n ",
        "return\n",
    ],
)
def test_long_texts_are_processed_in_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    for hostile in (text, "```" + text, "x" + text, "f(" + text, "def f():\n" + text + "!"):
        first_fence(hostile, PROMPT, "area")
        answer_fence(hostile, PROMPT, "area")
