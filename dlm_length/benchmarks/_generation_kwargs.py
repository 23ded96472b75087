"""What an lm-eval task's `generation_kwargs` ask of an answer, as far as a diffusion language model can give it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dlm_length.common import ConfigError, listing

MOST_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
"""Names of the token limit; of several, lm-eval reads the first."""
_NO_PART = ("top_p", "top_k", "min_p", "typical_p", "seed")
"""Keywords of sampling, which change nothing where nothing is sampled."""
_NEUTRAL: Mapping[str, Any] = {"num_beams": 1, "num_return_sequences": 1, "repetition_penalty": 1}
"""Keywords that are taken at the value that changes nothing."""


@dataclass(frozen=True)
class GenerationLimits:
    """Where an answer ends by its task's own definition."""

    until: tuple[str, ...]
    """Stop strings: the answer is cut before the first of any of them."""
    max_gen_toks: int | None
    """The most tokens of an answer, None where the task does not say."""

    def cut(self, answer: str) -> str:
        """The answer without its first stop string and what follows, as lm-eval's models return it."""
        for stop in self.until:
            answer = answer.split(stop)[0]
        return answer


def generation_limits(kwargs: Mapping[str, Any], task: str, remedy: str) -> GenerationLimits:
    """The limits that `generation_kwargs` set. Raises ConfigError for those that no policy here can follow.

    `remedy`: how a user overrides one of them, such as `benchmark.gen_kwargs`. A keyword that is None counts as absent.
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
    others = [name for name in given if name not in _NO_PART and given[name] != _NEUTRAL.get(name)]
    if others:
        raise ConfigError(
            f"task {task!r}: its generation_kwargs have {', '.join(f'{name}: {given[name]!r}' for name in others)},"
            f" which no policy here follows; {remedy.format(kwargs=json.dumps(dict.fromkeys(others)))} leaves them out."
        )
    return GenerationLimits(tuple(stop for stop in stops if stop), limits[0] if limits else None)


def _refuse_sampling(given: dict[str, Any], task: str, remedy: str) -> None:
    """Raise ConfigError where the task samples; take the keywords that say that it does not."""
    temperature, sample = given.pop("temperature", 0.0), given.pop("do_sample", None)
    if (sample or sample is None) and temperature:
        raise ConfigError(
            f"task {task!r}: samples its answers (do_sample: {sample}, temperature: {temperature}), while here the"
            f" policy decides how tokens are drawn; {remedy.format(kwargs=json.dumps({'do_sample': False}))} and"
            f" policy.temperature={temperature} run it so."
        )
