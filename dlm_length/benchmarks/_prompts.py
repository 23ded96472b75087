"""Prompt styles: texts with a version, kept as YAML in `prompts/`, one file a benchmark."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pydantic import PositiveInt
from ruamel.yaml import YAML

from dlm_length.benchmarks.base import Benchmark, Problem, Prompt, Role
from dlm_length.common import Parameters


class Style(Parameters):
    """How a problem is put to the model and where in the answer the solution stands."""

    version: PositiveInt
    """Raised when a text changes."""
    chat: bool
    """Turns of a chat, or one text to complete."""
    ask: str
    """The question's template."""
    reply: str = ""
    """The template of a worked example's answer."""
    shots: int = 0
    """Worked examples before the question."""
    prefill: str = ""
    """The template of the answer's beginning."""
    stop: tuple[str, ...] = ()
    """Where the answer is cut, at the first of any of these."""
    extraction: str
    """Name of the extraction that the main metric goes by."""


class PromptBook(Parameters):
    """A benchmark's prompt styles and worked examples."""

    styles: dict[str, Style]
    examples: tuple[dict[str, str], ...] = ()

    def render(self, style_name: str, fields: Mapping[str, str]) -> Prompt:
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


class StyledBenchmark(Benchmark):
    """A benchmark that is asked in the style of one evaluation or another, as its prompt book has it."""

    prompt_style: str
    """Whose evaluation the prompt and the extraction follow."""

    @property
    def style(self) -> Style:
        return prompt_book(self.name).styles[self.prompt_style]

    @property
    def prompt_version(self) -> str:
        return f"{self.prompt_style}/{self.style.version}"

    def prompt(self, problem: Problem) -> Prompt:
        return prompt_book(self.name).render(self.prompt_style, problem.fields)


@cache
def prompt_book(benchmark: str) -> PromptBook:
    text = files("dlm_length.benchmarks").joinpath("prompts", f"{benchmark}.yaml").read_text(encoding="utf-8")
    # YAML has lists where the models have tuples, hence not strict.
    return PromptBook.model_validate(YAML(typ="safe", pure=True).load(text), strict=False)


def cut(answer: str, stop: tuple[str, ...]) -> str:
    """The answer up to the first of the stop strings."""
    return answer[: min((at for at in map(answer.find, stop) if at >= 0), default=len(answer))]


def _filled(template: str, fields: Mapping[str, str]) -> str:
    # Not str.format: questions and templates contain braces of their own (`\\boxed{}`).
    head, *rest = template.split("{")
    parts = [head]
    for piece in rest:
        name, closed, tail = piece.partition("}")
        parts.append(fields[name] + tail if closed and name in fields else "{" + piece)
    return "".join(parts)
