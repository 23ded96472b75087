"""Whether the canvases of runs fit into their models at all: told of a run at once, not of each of its samples."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

from dlm_length.common import ConfigError, listing
from dlm_length.config import RunConfig
from dlm_length.denoising import Denoiser, TwoPass
from dlm_length.engine.estimate import first_canvas
from dlm_length.models import Architecture, load_architecture, load_tokenizer
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.records import RunFolder
from dlm_length.runner.jobs import prepare

_FIELDS = ("length", "initial_length")
"""Of policies, that say how long the first canvas is."""


def check_context_limit(configs: Iterable[RunConfig], *, fresh: bool) -> None:
    """Raise ConfigError for the first of the runs left to do of which no sample could be run; see `check_canvas`."""
    sizes = cache(load_architecture)  # many runs have one model
    for config in configs:
        if fresh or not RunFolder(config.run_path).finished:
            architecture = sizes(config.model.path, config.model.revision, config.model.file)
            check_canvas(config, architecture, partial(_prompt_lengths, config))


def check_canvas(config: RunConfig, architecture: Architecture, prompt_lengths: Callable[[], Sequence[int]]) -> None:
    """Raise ConfigError where every sample's first canvas alone is longer than the model takes.

    `prompt_lengths`: in tokens, none where they are not known; asked for only to tell which canvas would fit.
    """
    most = architecture.max_length
    denoiser = _first_pass_policy(config)
    if denoiser is None or (found := first_canvas(denoiser)) <= most:
        return
    fields = [f"policy.{field}" for field in _FIELDS if getattr(config.policy, field, None) == found]
    raise ConfigError(
        f"{listing(fields or ['policy'])}: found a canvas of {found} tokens to begin with, but model"
        f" {config.model.short_name!r} takes at most {most}, prompt and canvas together;"
        f" allowed: {_allowed(most, prompt_lengths())}."
    )


def _first_pass_policy(config: RunConfig) -> Denoiser | None:
    """What a run lets loose on each sample first; None where each has a length of its own, known or yet to be read."""
    policy = config.policy
    if not isinstance(policy, PrecomputedLengths):
        return policy
    return policy.length_pass() if isinstance(policy, TwoPass) else None


def _prompt_lengths(config: RunConfig) -> list[int]:
    tokenizer = load_tokenizer(config.model.path, config.model.revision, config.model.file)
    return [len(job.prompt_ids) for job in prepare(config.benchmark, config.benchmark.problems(), tokenizer)]


def _allowed(most: int, prompt_lengths: Sequence[int]) -> str:
    fitting = [length for length in prompt_lengths if length < most]
    if not fitting:
        return f"{most} less the tokens of the longest prompt"
    asked = len(prompt_lengths)
    those = "every prompt" if len(fitting) == asked else f"{len(fitting)} of {asked} prompts"
    return f"at most {most - max(fitting)}, which leaves room for {those} here (up to {max(fitting)} tokens)"
