"""Rendering a checkpoint's chat template, which is a program, with limits of CPU time, memory and length."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Environment, TemplateSyntaxError
from transformers import PreTrainedTokenizerFast

from dlm_length.common import GIB
from dlm_length.models.bounded import bounded

CPU_SECONDS = 5.0
"""CPU time limit of rendering one prompt; most take less than a millisecond."""
MEMORY = GIB // 2
"""Bytes that rendering one prompt may allocate."""
ADDED_CHARACTERS = 1_000_000
"""Characters that a rendered prompt may have beyond `REPEATED` times those of its messages; no model reads so many."""
REPEATED = 4
"""How often a template may repeat the messages."""


class TemplateError(Exception):
    """A template that cannot be used; the message says why, without the checkpoint."""


def render(
    tokenizer: PreTrainedTokenizerFast, turns: Sequence[Mapping[str, str]], variables: Mapping[str, Any] | None = None
) -> str:
    """`turns` (role and content) in the tokenizer's chat template, up to where the assistant's answer begins.

    `variables`: further template variables.

    Transformers renders in Jinja's sandbox, which keeps a template from Python and from ranges above 100,000. Beyond
    that, CPU time, memory and the text's length are limited here, and the power operator is refused: one power of large
    numbers is a single instruction, which may run for hours and cannot be interrupted.
    Raises TemplateError for any failure of the template.
    """
    try:
        if _has_power(tokenizer.get_chat_template()):
            raise TemplateError("it has the operator **, which no prompt needs and which may never end")
        with bounded(cpu_seconds=CPU_SECONDS, memory_bytes=MEMORY):
            text = tokenizer.apply_chat_template(
                list(map(dict, turns)), add_generation_prompt=True, tokenize=False, **(variables or {})
            )
    except TemplateError:
        raise
    except MemoryError as error:
        raise TemplateError(f"it took more than {MEMORY / GIB:g} GiB of memory") from error
    except Exception as error:  # whatever the template does
        raise TemplateError(" ".join(str(error).split()) or type(error).__name__) from error
    assert isinstance(text, str)
    return _checked(text, sum(len(turn["content"]) for turn in turns))


def _checked(text: str, given: int) -> str:
    """`text`, rendered from messages of `given` characters. Raises TemplateError where it cannot be a prompt."""
    if not text.strip():
        raise TemplateError("it renders an empty text")
    if len(text) > REPEATED * given + ADDED_CHARACTERS:
        raise TemplateError(f"it renders {len(text):,} characters for messages of {given:,}")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise TemplateError("it renders a lone surrogate, which is not text")
    return text


def _has_power(template: str) -> bool:
    """Whether a template raises to a power; `**` in front of an argument unpacks a mapping and is not a power."""
    before = ""
    for operator in _operators(template):
        if operator == "**" and before not in ("(", ","):
            return True
        before = operator
    return False


def _operators(template: str) -> Iterator[str]:
    """The template's operators, names and values, in order, as written."""
    try:
        for _, kind, value in Environment().lex(template):
            if kind not in ("data", "whitespace"):
                yield value
    except TemplateSyntaxError:
        return  # rendering reports the syntax error
