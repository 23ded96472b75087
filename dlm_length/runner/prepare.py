"""Runs made ready: what a config asks of which model, with which policy and budget, and where its records are.

`prepare` alone builds a `PreparedRun`, and whatever runs, plans, traces, probes, times or rescores a config takes one.
What takes time (data, tokenizer, prompts, earlier runs' records) is read when it is first asked for, and once.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from dlm_length.analysis.parameters import overrides_of
from dlm_length.benchmarks import Benchmark, Problem, Prompt
from dlm_length.common import ConfigError
from dlm_length.config import RunConfig
from dlm_length.denoising import Denoiser
from dlm_length.engine import Engine
from dlm_length.models import Architecture, ModelSpec, Tokenizer, check_adapter, load_architecture, load_tokenizer
from dlm_length.policies import Policy
from dlm_length.policies.precomputed_lengths import LengthsFromRuns, PrecomputedLengths
from dlm_length.records import RunFolder, find_holding, read_summaries
from dlm_length.runner.model import BatchBudget, batch_budget, find_machine
from dlm_length.runner.progress import ProgressListener


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


def prompt_text(prompt: Prompt) -> str:
    """The words of a prompt without any chat template."""
    return (prompt.text if prompt.text is not None else "".join(text for _, text in prompt.messages)) + prompt.prefill


def _job(problem: Problem, prompt: Prompt, tokenizer: Tokenizer) -> Job:
    templated = prompt.text is None
    text = tokenizer.chat_text(prompt.messages, prompt.prefill) if templated else prompt_text(prompt)
    return Job(problem, text, tokenizer.encode(text, templated=templated))


def resolve_policy(config: RunConfig, kept: Mapping[str, int] | None, sample_ids: Collection[str]) -> Policy:
    """The config's policy, with its lengths where an earlier session of the run `kept` them or earlier runs tell them.

    `sample_ids`: of the samples asked for now, which may be more than those of which lengths were kept. Raises
    ConfigError where a run of them is missing or was not scored.
    """
    policy = config.policy
    learning = isinstance(policy, LengthsFromRuns) and policy.lengths is None
    if isinstance(policy, PrecomputedLengths) and kept is not None and not (learning and set(sample_ids) - kept.keys()):
        return policy.with_lengths(kept)
    if not isinstance(policy, LengthsFromRuns) or policy.lengths is not None:
        return policy
    found = [(earlier, _run_of(config, earlier, sample_ids)) for earlier in policy.earlier()]
    if missing := [overrides_of(earlier) for earlier, run in found if run is None]:
        raise ConfigError(
            f"policy {policy.name!r}: learns from finished, scored runs on the same samples, and below"
            f" {config.output.directory} there is none with {'; '.join(missing)}. Run the same config with those"
            f" settings first.{_hint(config)}"
        )
    learnt = policy.fit([_scores(config, run, sample_ids) for _, run in found if run is not None])
    return learnt.with_lengths({**(learnt.lengths or {}), **(kept or {})})


def _run_of(config: RunConfig, policy: Policy, sample_ids: Collection[str]) -> Path | None:
    """The finished run that differs from `config` in nothing but its policy and holds these samples."""
    other = config.model_copy(update={"policy": policy})
    return find_holding(Path(config.output.directory), other.run_name, sample_ids)


def _hint(config: RunConfig) -> str:
    """What else a run of this benchmark needs to be scored."""
    runs_code = getattr(config.benchmark, "execute_code", True)
    return "" if runs_code else " Without benchmark.execute_code=true, in all of them and here, no answer is scored."


def _scores(config: RunConfig, run: Path, sample_ids: Collection[str]) -> dict[str, float | None]:
    scores = {record.id: record.score for record in read_summaries(run, only=sample_ids)}
    if all(score is None for score in scores.values()):
        raise ConfigError(
            f"run {run}: no sample there was scored, so that no length can be learnt from it.{_hint(config)}"
        )
    return scores
