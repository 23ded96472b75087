"""What a run asks: the problems of its benchmark as prompts in tokens."""

from dataclasses import dataclass

from dlm_length.benchmarks import Benchmark, Problem, Prompt
from dlm_length.models import Tokenizer


@dataclass(frozen=True)
class Job:
    """One problem, ready for the model."""

    problem: Problem
    text: str
    """The prompt as the model sees it."""
    prompt_ids: list[int]


def prepare(benchmark: Benchmark, problems: list[Problem], tokenizer: Tokenizer) -> list[Job]:
    """Render and tokenise the problems' prompts."""
    return [_job(problem, benchmark.prompt(problem), tokenizer) for problem in problems]


def prompt_text(prompt: Prompt) -> str:
    """The words of a prompt without any chat template."""
    return (prompt.text if prompt.text is not None else "".join(text for _, text in prompt.messages)) + prompt.prefill


def _job(problem: Problem, prompt: Prompt, tokenizer: Tokenizer) -> Job:
    templated = prompt.text is None
    text = tokenizer.chat_text(prompt.messages, prompt.prefill) if templated else prompt_text(prompt)
    return Job(problem, text, tokenizer.encode(text, templated=templated))
