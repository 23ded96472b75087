"""Prompts from a user's YAML file with the schema of `PromptFile`, such as the original words of an evaluation."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, Self

import jinja2
from jinja2 import meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from dlm_length.benchmarks.base import Prompt, Role
from dlm_length.common import Parameters, UserError, listing, suggestion

Where = tuple[str | int, ...]
"""Path of a field in the file, such as ("turns", 0, "content")."""


def _parsed(template: str) -> str:
    try:
        _ENVIRONMENT.parse(template)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"line {error.lineno} of the text is not a Jinja template: {error.message}") from None
    return template


# The settings with which lm-eval renders its tasks' templates, so that these can be used unchanged.
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
Template = Annotated[str, AfterValidator(_parsed)]
"""A Jinja template: `{{question}}` stands for the field `question`; single braces are literal."""


class Turn(Parameters):
    """One turn of a chat."""

    role: Literal["user", "assistant"]
    content: Template


class PromptFile(Parameters):
    """A prompt in a user's words: turns of a chat, or one text to complete.

    Texts are Jinja templates over the benchmark's placeholders; those of worked examples over the fields of each
    example.
    """

    source: str = ""
    """Origin of the words, such as a repository, commit and file; recorded with the run."""
    system: Template | None = None
    """The system message, before all turns."""
    examples: tuple[dict[str, Any], ...] = Field(default=(), strict=False)
    """Worked examples, each a mapping of fields, which precede the question in this order."""
    example_turns: tuple[Turn, ...] = Field(default=(), strict=False)
    """The turns of one worked example."""
    turns: tuple[Turn, ...] = Field(default=(), strict=False)
    """The turns of the question; the last is the user's. Earlier ones may be worked examples written out."""
    example_text: Template = ""
    """One worked example, where the prompt is a text to complete."""
    text: Template | None = None
    """The question as a text to complete, in place of `turns`: for models without a chat template."""
    assistant_prefix: Template = ""
    """The beginning of the answer, after the generation prompt; it is not part of the canvas."""
    stop: tuple[str, ...] = Field(default=(), strict=False)
    """Stop strings: the answer is cut at the first of any of these before it is scored."""
    extraction: str | None = None
    """How the solution is extracted from the answer, one of the extractions of the benchmark's prompt styles; None:
    that of `prompt_style`."""

    @model_validator(mode="after")
    def _chat_or_text(self) -> Self:
        if bool(self.turns) == (self.text is not None):
            raise ValueError("give either turns, for a chat, or text, for a text to complete")
        if self.turns and self.turns[-1].role != "user":
            raise ValueError("the last of the turns must be the user's; assistant_prefix begins the answer")
        unread, kind = (("example_text",), "turns") if self.turns else (("system", "example_turns"), "text")
        for field in unread:
            if getattr(self, field):
                raise ValueError(f"{field} has no use in a prompt of {kind}: leave it out")
        shown = self.example_turns or self.example_text
        if bool(self.examples) != bool(shown):
            form = "example_turns" if self.turns else "example_text"
            raise ValueError(f"examples and {form} belong together: give both or neither")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the file's fields; its name, place, comments and layout do not count."""
        fields = self.model_dump(mode="json", exclude_defaults=True)
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    @property
    def description(self) -> str:
        """For records: the digest, and the origin of the words if the file names it."""
        return f"prompt file sha256 {self.digest[:12]}{self.source and f', {self.source}'}"

    def check(self, placeholders: Collection[str], extractions: Collection[str]) -> None:
        """Raise ValidationError, by field, for a placeholder or an extraction that the benchmark does not have."""
        faults = [
            *_unknown(self._question_templates(), placeholders),
            *self._without_question(),
            *_lacking(self._example_templates(), self.examples),
            *_unknown_extraction(self.extraction, extractions),
        ]
        if faults:
            details = [
                InitErrorDetails(
                    type=PydanticCustomError("value_error", "{error}", {"error": ValueError(sentence)}),
                    loc=where,
                    input=None,
                )
                for where, sentence in faults
            ]
            raise ValidationError.from_exception_data(type(self).__name__, details)

    def _without_question(self) -> Iterator[tuple[Where, str]]:
        if not any(_names(template) for _, template in self._question_templates()):
            yield ("turns" if self.turns else "text",), "has no placeholder: every problem would have the same prompt"

    def render(self, sample_id: str, fields: Mapping[str, Any]) -> Prompt:
        """The prompt of a problem with these `fields`. Raises UserError where a template cannot be filled in."""
        question = _all_filled(self._question_templates(), fields, sample_id)
        examples = [_all_filled(self._example_templates(), example, sample_id) for example in self.examples]
        prefill = question["assistant_prefix",]
        if self.text is not None:
            shots = "".join(example["example_text",] for example in examples)
            return Prompt(text=shots + question["text",], prefill=prefill)
        messages: list[tuple[Role, str]] = [] if self.system is None else [("system", question["system",])]
        for example in examples:
            messages += _messages("example_turns", self.example_turns, example)
        return Prompt(messages=(*messages, *_messages("turns", self.turns, question)), prefill=prefill)

    def _question_templates(self) -> Iterator[tuple[Where, str]]:
        """(path, template) of every template that is filled in for a problem."""
        for field in ("system", "text", "assistant_prefix"):
            if (template := getattr(self, field)) is not None:
                yield (field,), template
        yield from _contents("turns", self.turns)

    def _example_templates(self) -> Iterator[tuple[Where, str]]:
        """(path, template) of every template that is filled in for a worked example."""
        if self.example_text:
            yield ("example_text",), self.example_text
        yield from _contents("example_turns", self.example_turns)


def _contents(field: str, turns: tuple[Turn, ...]) -> Iterator[tuple[Where, str]]:
    for number, turn in enumerate(turns):
        yield (field, number, "content"), turn.content


def _messages(field: str, turns: tuple[Turn, ...], filled: Mapping[Where, str]) -> list[tuple[Role, str]]:
    return [(turn.role, filled[field, number, "content"]) for number, turn in enumerate(turns)]


def _unknown(templates: Iterator[tuple[Where, str]], known: Collection[str]) -> Iterator[tuple[Where, str]]:
    for where, template in templates:
        for name in _names(template):
            if name not in known:
                fault = f"there is no placeholder {name!r}; allowed: {listing(known)}.{suggestion(name, known)}"
                yield where, fault


def _lacking(
    templates: Iterator[tuple[Where, str]], examples: tuple[Mapping[str, Any], ...]
) -> Iterator[tuple[Where, str]]:
    for where, template in templates:
        for name in _names(template):
            lacking = [number for number, example in enumerate(examples) if name not in example]
            if lacking:
                has = examples[lacking[0]]
                near = suggestion(name, map(str, has))
                yield where, f"examples[{lacking[0]}] has no field {name!r}; it has {listing(has)}.{near}"


def _unknown_extraction(extraction: str | None, known: Collection[str]) -> Iterator[tuple[Where, str]]:
    if extraction is not None and extraction not in known:
        fault = f"found {extraction!r}; allowed: {listing(known)}.{suggestion(extraction, known)}"
        yield ("extraction",), fault


def _names(template: str) -> list[str]:
    """The sorted names of a template's placeholders."""
    return sorted(meta.find_undeclared_variables(_ENVIRONMENT.parse(template)) - _ENVIRONMENT.globals.keys())


@cache
def _compiled(template: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(template)


def _all_filled(templates: Iterator[tuple[Where, str]], fields: Mapping[str, Any], sample_id: str) -> dict[Where, str]:
    return {where: _filled(template, fields, where, sample_id) for where, template in templates}


def _filled(template: str, fields: Mapping[str, Any], where: Where, sample_id: str) -> str:
    try:
        return _compiled(template).render(fields)
    except Exception as error:  # whatever a template raises for values that it was not written for
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")
        raise UserError(
            f"benchmark.prompt_file: {field}: cannot be filled in for {sample_id!r} ({type(error).__name__}: {error})."
        ) from error
