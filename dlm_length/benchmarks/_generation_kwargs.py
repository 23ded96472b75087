"""The `generation_kwargs` of an lm-eval task, as far as they apply to a diffusion language model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlm_length.common import ConfigError, listing

MOST_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""Names of the token limit; if there are several, lm-eval reads the first."""
_IGNORED = ("top_p", "top_k", "min_p", "typical_p", "seed")
"""Keywords of sampling, which have no effect where nothing is sampled."""
_NEUTRAL: Mapping[str, Any] = {"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1}
"""Keywords that are accepted only with the value that has no effect."""


@dataclass(frozen=True)
class GenerationLimits:
    """Where an answer ends, as defined by its task."""

    until: tuple[str, ...]
    """Stop strings; the answer is cut before the first occurrence of any."""
    max_gen_toks: int | None
    """Most tokens of an answer; None where the task has no limit."""

    def cut(self, answer: str) -> str:
        """The answer up to its first stop string, as lm-eval's models return it."""
        for stop in self.until:
            answer = answer.split(stop)[0]
        return answer


def generation_limits(kwargs: Mapping[str, Any], task: str, remedy: str) -> GenerationLimits:
    """The limits in a task's `generation_kwargs`. A keyword that is None counts as absent.

    `remedy`: how a user overrides them, with `{kwargs}` in place of JSON, such as `benchmark.gen_kwargs={kwargs}`.
    Raises ConfigError for keywords that no policy can follow.
    """
    given = {name: value for name, value in kwargs.items() if value is not None}
    until = given.pop("until", [])
    stops = [until] if isinstance(until, str) else until
    if not isinstance(stops, list | tuple) or not all(isinstance(stop, str) for stop in stops):
        raise ConfigError(f"task {task!r}: generation_kwargs.until: found {until!r:.60}, expected a list of texts.")
    limits = [given.pop(name) for name in MOST_TOKENS if name in given]
    if limits and (isinstance(limits[0], bool) or not isinstance(limits[0], int) or limits[0] < 1):
        raise ConfigError(
            f"task {task!r}: generation_kwargs: found {limits[0]!r} as {listing(MOST_TOKENS)}, expected a positive"
            " integer."
        )
    _refuse_sampling(given, task, remedy)
    others = [name for name in given if name not in _IGNORED and given[name] != _NEUTRAL.get(name)]
    if others:
        raise ConfigError(
            f"task {task!r}: its generation_kwargs have {', '.join(f'{name}: {given[name]!r}' for name in others)},"
            f" which no policy here follows; {remedy.format(kwargs=json.dumps(dict.fromkeys(others)))} leaves them out."
        )
    return GenerationLimits(tuple(stop for stop in stops if stop), limits[0] if limits else None)


def _refuse_sampling(given: dict[str, Any], task: str, remedy: str) -> None:
    """Raise ConfigError where the task samples its answers; remove the keywords of sampling from `given`."""
    temperature, sample = given.pop("temperature", 0.0), given.pop("do_sample", None)
    if (sample or sample is None) and temperature:
        raise ConfigError(
            f"task {task!r}: samples its answers (do_sample: {sample}, temperature: {temperature}), while here the"
            f" policy decides how tokens are drawn; {remedy.format(kwargs=json.dumps({'do_sample': False}))} and"
            f" policy.temperature={temperature} run it so."
        )
