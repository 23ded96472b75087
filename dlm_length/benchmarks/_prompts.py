"""Prompt styles: versioned texts in YAML files in `prompts/`, one file per benchmark."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveInt, field_validator
from ruamel.yaml import YAML

from dlm_length.benchmarks._prompt_file import PromptFile
from dlm_length.benchmarks.base import Benchmark, Problem, Prompt, Role
from dlm_length.common import Parameters


class Style(Parameters):
    """How a problem is presented to the model, and how the solution is extracted from the answer."""

    version: PositiveInt
    """Raised when a text changes."""
    form: str | None = None
    """The evaluation whose form the style has: chat or text, worked examples, tags, position of the answer."""
    wording: Literal["ours", "the data set's own"] = "ours"
    """Origin of the words. No style has the words of a published evaluation; `prompt_file` can provide those."""
    former: str | None = None
    """Its former name, which was that of the evaluation."""
    chat: bool
    """Whether the prompt is turns of a chat; else it is one text to complete."""
    ask: str
    """Template of the question."""
    reply: str = ""
    """Template of a worked example's answer."""
    shots: int = 0
    """Number of worked examples before the question."""
    prefill: str = ""
    """Template of the beginning of the answer."""
    stop: tuple[str, ...] = ()
    """Stop strings: the answer is cut at the first of any of these."""
    extraction: str
    """Name of the extraction that determines the main metric."""

    @property
    def description(self) -> str:
        """For listings and records: `form of X, our wording`."""
        form = "no published form" if self.form is None else f"form of {self.form}"
        return f"{form}, {'our' if self.wording == 'ours' else self.wording} wording"


class PromptBook(Parameters):
    """A benchmark's prompt styles and worked examples."""

    styles: dict[str, Style]
    examples: tuple[dict[str, str], ...] = ()

    def render(self, style_name: str, fields: Mapping[str, str]) -> Prompt:
        """The prompt of a problem with these `fields` in a style."""
        style = self.styles[style_name]
        examples = self.examples[: style.shots]
        prefill = _filled(style.prefill, fields)
        if not style.chat:
            shots = [_filled(style.ask + style.reply, example) for example in examples]
            return Prompt(text="".join([*shots, _filled(style.ask, fields)]), prefill=prefill)
        messages: list[tuple[Role, str]] = []
        for example in examples:
            messages += [("user", _filled(style.ask, example)), ("assistant", _filled(style.reply, example))]
        return Prompt(messages=(*messages, ("user", _filled(style.ask, fields))), prefill=prefill)


def _or_the_name_of_its_file(schema: dict[str, Any]) -> None:
    """Allow a file's name in the schema: it is replaced by the file's content when a config is read."""
    schema["anyOf"].insert(0, {"type": "string", "pattern": ".", "description": "the name of a YAML file"})


class StyledBenchmark(Benchmark):
    """A benchmark whose prompts have a style of its prompt book, or come from a prompt file."""

    placeholders: ClassVar[tuple[str, ...]]
    """Fields of a problem that a prompt file may use; the reference answer is not among them."""

    prompt_style: str
    """The form of prompt and extraction."""
    prompt_file: PromptFile | None = Field(default=None, json_schema_extra=_or_the_name_of_its_file)
    """A YAML file with a prompt of your own, such as an evaluation's original, in place of the prompt style's words. A
    relative name is relative to the config that names it."""

    @field_validator("prompt_style", mode="before")
    @classmethod
    def _present_name(cls, name: object) -> object:
        for present, style in prompt_book(str(cls.model_fields["name"].default)).styles.items():
            if name is not None and name == style.former:
                raise ValueError(
                    f"found prompt_style {name!r}, which is called {present!r} now: it has the {style.description}, and"
                    " not the original text, as the old name suggests; prompt_file can provide the original"
                )
        return name

    @field_validator("prompt_file")
    @classmethod
    def _fits_the_benchmark(cls, prompt_file: PromptFile | None) -> PromptFile | None:
        if prompt_file is not None:
            book = prompt_book(str(cls.model_fields["name"].default))
            prompt_file.check(cls.placeholders, dict.fromkeys(style.extraction for style in book.styles.values()))
        return prompt_file

    @classmethod
    def remarks(cls) -> tuple[str, ...]:
        styles = prompt_book(str(cls.model_fields["name"].default)).styles
        return (
            *(f"prompt_style {name}: {style.description}" for name, style in styles.items()),
            f"prompt_file may use {', '.join(f'{{{{{name}}}}}' for name in cls.placeholders)}",
        )

    @property
    def style(self) -> Style:
        """The prompt style, with stop strings and extraction of the prompt file if there is one."""
        style = prompt_book(self.name).styles[self.prompt_style]
        if self.prompt_file is None:
            return style
        extraction = self.prompt_file.extraction or style.extraction
        return style.model_copy(update={"stop": self.prompt_file.stop, "extraction": extraction})

    @property
    def prompt_version(self) -> str:
        return f"{self.prompt_style}/{self.style.version}"

    @property
    def prompt_digest(self) -> str | None:
        return None if self.prompt_file is None else self.prompt_file.digest

    @property
    def prompt_description(self) -> str:
        if self.prompt_file is not None:
            return self.prompt_file.description
        return f"{self.prompt_version}, {self.style.description}"

    def prompt(self, problem: Problem) -> Prompt:
        if self.prompt_file is None:
            return prompt_book(self.name).render(self.prompt_style, problem.fields)
        fields = {name: problem.fields[name] for name in self.placeholders if name in problem.fields}
        return self.prompt_file.render(problem.id, fields)


@cache
def prompt_book(benchmark: str) -> PromptBook:
    text = files("dlm_length.benchmarks").joinpath("prompts", f"{benchmark}.yaml").read_text(encoding="utf-8")
    # Not strict, as YAML has lists where the classes have tuples.
    return PromptBook.model_validate(YAML(typ="safe", pure=True).load(text), strict=False)


def cut(answer: str, stop: tuple[str, ...]) -> str:
    """The answer up to the first stop string."""
    return answer[: min((at for at in map(answer.find, stop) if at >= 0), default=len(answer))]


def _filled(template: str, fields: Mapping[str, str]) -> str:
    # Not str.format: questions and templates contain braces of their own (`\\boxed{}`).
    head, *rest = template.split("{")
    parts = [head]
    for piece in rest:
        name, closed, tail = piece.partition("}")
        parts.append(fields[name] + tail if closed and name in fields else "{" + piece)
    return "".join(parts)
