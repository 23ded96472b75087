"""Runs made ready: what a config asks of which model, with which policy and budget, and where its records are.

`prepare` alone builds a `PreparedRun`, and whatever runs, plans, traces, probes, times or rescores a config takes one.
What takes time (data, tokenizer, prompts, earlier runs' records) is read when it is first asked for, and once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from dlm_length.benchmarks import Benchmark, Problem, Prompt
from dlm_length.common import ConfigError, listing
from dlm_length.config import RunConfig
from dlm_length.denoising import Denoiser, TwoPass
from dlm_length.denoising.adaptive_blocks import AdaptiveBlocks
from dlm_length.engine import Engine
from dlm_length.engine.estimate import first_canvas, upper_bound
from dlm_length.models import Architecture, ModelSpec, Tokenizer, check_adapter, load_architecture, load_tokenizer
from dlm_length.policies import Policy
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.records import RunFolder
from dlm_length.runner.lengths import resolve_policy
from dlm_length.runner.model import BatchBudget, ProgressListener, batch_budget, find_machine

_FIELDS = ("length", "initial_length")
"""Of policies, that say how long the first canvas is."""


@dataclass(frozen=True)
class Job:
    """One problem, ready for the model."""

    problem: Problem
    text: str
    """The prompt as the model sees it."""
    prompt_ids: list[int]


@dataclass(frozen=True)
class Inputs:
    """What runs of one benchmark and one checkpoint have in common, however many there are."""

    benchmark: Benchmark
    model: ModelSpec

    @cached_property
    def problems(self) -> list[Problem]:
        """Those that the config chooses, in the order of the data."""
        return self.benchmark.problems()

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's. Raises CheckpointError where there is none."""
        return load_tokenizer(self.model.path, self.model.revision, self.model.file)

    @cached_property
    def architecture(self) -> Architecture:
        """The checkpoint's sizes. Raises CheckpointError where it, or its adapter, is not here or cannot be used."""
        if self.model.adapter is not None:
            check_adapter(self.model.adapter)
        return load_architecture(self.model.path, self.model.revision, self.model.file)

    @cached_property
    def jobs(self) -> list[Job]:
        """Every problem with its prompt in tokens."""
        return [self.job(problem) for problem in self.problems]

    def job(self, problem: Problem) -> Job:
        """Render and tokenise one problem's prompt."""
        if problem.id not in self._rendered:
            self._rendered[problem.id] = _job(problem, self.benchmark.prompt(problem), self.tokenizer)
        return self._rendered[problem.id]

    @cached_property
    def _rendered(self) -> dict[str, Job]:
        return {}


@dataclass(frozen=True)
class PreparedRun:
    """One run, ready to be executed, planned, traced, probed, timed or scored again."""

    config: RunConfig
    inputs: Inputs
    folder: RunFolder
    """Of its records; nothing is written there before it is entered."""
    fresh: bool = False
    """Whether records that are there already are to be set aside, so that nothing is read of them."""
    assumed_sizes: Architecture | None = None
    """Sizes to plan with where the checkpoint is not on this machine."""

    @property
    def problems(self) -> list[Problem]:
        """Those that the run asks, in the order of the data."""
        return self.inputs.problems

    @property
    def ids(self) -> list[str]:
        """Of the problems, in their order."""
        return [problem.id for problem in self.problems]

    @property
    def jobs(self) -> list[Job]:
        """Every problem with its prompt in tokens."""
        return self.inputs.jobs

    @property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's."""
        return self.inputs.tokenizer

    @property
    def architecture(self) -> Architecture:
        """The model's sizes: the checkpoint's own, or those to plan with."""
        return self.assumed_sizes or self.inputs.architecture

    @cached_property
    def policy(self) -> Policy:
        """The config's policy, with its lengths where an earlier session or earlier runs tell them.

        Raises ConfigError where a run that it learns from is missing.
        """
        return resolve_policy(self.config, None if self.fresh else self.folder.lengths, self.ids)

    def with_kept_lengths(self) -> "PreparedRun":
        """The same run, which reads anew what lengths another session has kept."""
        return replace(self)

    @cached_property
    def budget(self) -> BatchBudget:
        """Tokens of a forward and what decides its memory; the same for a run and its dry run."""
        return batch_budget(self.config, self.architecture, find_machine(self.config.hardware))

    def policy_with_lengths(self, engine: Engine, listener: ProgressListener) -> Denoiser:
        """The policy; where it does not know its lengths yet, with those of a length pass over all problems."""
        if not isinstance(self.policy, PrecomputedLengths) or self.policy.lengths is not None:
            return self.policy
        listener.phase("finding the lengths")
        return engine.run_length_pass([job.prompt_ids for job in self.jobs], self.policy, self.ids)

    def check_answer_limit(self) -> None:
        """Raise ConfigError where a canvas may be longer than the benchmark allows an answer to be.

        A canvas is no limit to be cut at: its length is what the model sees and what a policy decides.
        """
        if (most := self.config.benchmark.max_answer_tokens) is None:
            return
        denoiser = _first_pass_policy(self.config)
        longest = 0 if denoiser is None else upper_bound(denoiser).longest_canvas
        if longest > most:
            raise ConfigError(
                f"policy: found a canvas of up to {longest} tokens, but {self.config.benchmark.label} allows an answer"
                f" at most {most} (max_gen_toks): give the policy a shorter one, or raise the limit with"
                f" benchmark.gen_kwargs.max_gen_toks={longest}."
            )

    def check_context_limit(self) -> None:
        """Raise ConfigError where every sample's first canvas alone is longer than the model takes.

        And where the policy needs a token that the model does not have, or the code of its file raises.

        The prompts are rendered only to tell which canvas would fit, and not where the sizes are assumed.
        """
        most = self.architecture.max_length
        denoiser = _first_pass_policy(self.config)
        if denoiser is None:
            return
        if isinstance(denoiser, AdaptiveBlocks):
            denoiser.check_delimiters(self.architecture.vocabulary)
        found = first_canvas(denoiser)
        if found <= most:
            return
        prompt_lengths = [] if self.assumed_sizes else [len(job.prompt_ids) for job in self.jobs]
        fields = [f"policy.{field}" for field in _FIELDS if getattr(self.config.policy, field, None) == found]
        raise ConfigError(
            f"{listing(fields or ['policy'])}: found a canvas of {found} tokens to begin with, but model"
            f" {self.config.model.short_name!r} takes at most {most}, prompt and canvas together;"
            f" allowed: {_allowed(most, prompt_lengths)}."
        )


def prepare(configs: Sequence[RunConfig], *, fresh: bool = False) -> list[PreparedRun]:
    """Make runs ready. Those of equal benchmark and checkpoint share problems, tokenizer and prompts.

    `fresh`: their earlier records are to be set aside.
    """
    shared: list[Inputs] = []
    prepared = []
    for config in configs:
        wanted = Inputs(config.benchmark, config.model)
        inputs = next((known for known in shared if known == wanted), None)
        if inputs is None:
            shared.append(inputs := wanted)
        prepared.append(PreparedRun(config, inputs, RunFolder(config.run_path), fresh))
    return prepared


def check_context_limits(runs: Iterable[PreparedRun]) -> None:
    """Raise ConfigError for the first of the runs left to do of which no sample could be run, or none as asked."""
    for run in runs:
        if run.fresh or not run.folder.finished:
            run.check_answer_limit()
            run.check_context_limit()


def prompt_text(prompt: Prompt) -> str:
    """The words of a prompt without any chat template."""
    return (prompt.text if prompt.text is not None else "".join(text for _, text in prompt.messages)) + prompt.prefill


def _job(problem: Problem, prompt: Prompt, tokenizer: Tokenizer) -> Job:
    templated = prompt.text is None
    text = tokenizer.chat_text(prompt.messages, prompt.prefill) if templated else prompt_text(prompt)
    return Job(problem, text, tokenizer.encode(text, templated=templated))


def _first_pass_policy(config: RunConfig) -> Denoiser | None:
    """What denoises each sample first; None where each has a length of its own, known or yet to be read."""
    policy = config.policy
    if not isinstance(policy, PrecomputedLengths):
        return policy
    return policy.length_pass() if isinstance(policy, TwoPass) else None


def _allowed(most: int, prompt_lengths: Sequence[int]) -> str:
    fitting = [length for length in prompt_lengths if length < most]
    if not fitting:
        return f"{most} less the tokens of the longest prompt"
    asked = len(prompt_lengths)
    those = "every prompt" if len(fitting) == asked else f"{len(fitting)} of {asked} prompts"
    return f"at most {most - max(fitting)}, which leaves room for {those} here (up to {max(fitting)} tokens)"
