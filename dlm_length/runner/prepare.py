"""Preparing runs: a config with its problems, prompts, tokenizer, policy, token budget and folder of records.

`prepare` alone builds a `PreparedRun`; executing, planning, tracing, probing, timing and rescoring all take one.
What takes time (data, tokenizer, prompts, earlier runs' records) is read once, when it is first needed.
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
from dlm_length.models import (
    Architecture,
    MaskPredictor,
    ModelSpec,
    Tokenizer,
    check_adapter,
    load_architecture,
    load_tokenizer,
)
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
    """What all runs of one benchmark and one checkpoint share."""

    benchmark: Benchmark
    model: ModelSpec

    @cached_property
    def problems(self) -> list[Problem]:
        """The problems that the config chooses, in the order of the data.

        Raises ConfigError for a benchmark that ignores this choice.
        """
        problems = self.benchmark.problems()
        _check_choice(problems, self.benchmark)
        return problems

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The checkpoint's. Raises CheckpointError where there is none."""
        return load_tokenizer(self.model.path, self.model.revision, self.model.file)

    @cached_property
    def architecture(self) -> Architecture:
        """The checkpoint's sizes. Raises CheckpointError where it, or its adapter, is missing or cannot be used."""
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
    """One run, ready to be executed, planned, traced, probed, timed or rescored."""

    config: RunConfig
    inputs: Inputs
    folder: RunFolder
    """Folder of its records; nothing is written there before it is entered."""
    fresh: bool = False
    """Whether earlier records will be set aside, so that nothing of them is read."""
    assumed_sizes: Architecture | None = None
    """Sizes for planning where the checkpoint is not on this machine."""

    @property
    def problems(self) -> list[Problem]:
        """The problems of the run, in the order of the data."""
        return self.inputs.problems

    @property
    def ids(self) -> list[str]:
        """Ids of the problems, in their order."""
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
        """The model's sizes: those of the checkpoint, or the assumed ones."""
        return self.assumed_sizes or self.inputs.architecture

    @cached_property
    def policy(self) -> Policy:
        """The config's policy, with its lengths where an earlier session or earlier runs determine them.

        Raises ConfigError where a run that it is fitted to is missing.
        """
        return resolve_policy(self.config, None if self.fresh else self.folder.lengths, self.ids)

    def with_kept_lengths(self) -> "PreparedRun":
        """The same run, its policy resolved again, with the lengths that another session has recorded since."""
        return replace(self)

    @cached_property
    def budget(self) -> BatchBudget:
        """The token budget of a forward; the same for a run and its dry run."""
        return batch_budget(self.config, self.architecture, find_machine(self.config.hardware))

    def engine(self, model: MaskPredictor) -> Engine:
        """An engine for the run on its model, once that is loaded."""
        return Engine(model, self.budget.tokens, self.config.hardware.seed)

    def policy_with_lengths(self, engine: Engine, listener: ProgressListener) -> Denoiser:
        """The policy; if its lengths are not known yet, with those of a length pass over all problems."""
        if not isinstance(self.policy, PrecomputedLengths) or self.policy.lengths is not None:
            return self.policy
        listener.phase("finding the lengths")
        return engine.run_length_pass([job.prompt_ids for job in self.jobs], self.policy, self.ids)


def prepare(configs: Sequence[RunConfig], *, fresh: bool = False) -> list[PreparedRun]:
    """Prepare runs. Those with equal benchmark and checkpoint share problems, tokenizer and prompts.

    `fresh`: their earlier records will be set aside.
    """
    shared: list[Inputs] = []
    prepared = []
    for config in configs:
        own = Inputs(config.benchmark, config.model)
        inputs = next((known for known in shared if known == own), None)
        if inputs is None:
            shared.append(inputs := own)
        prepared.append(PreparedRun(config, inputs, RunFolder(config.run_path), fresh))
    return prepared


def _check_choice(problems: Sequence[Problem], benchmark: Benchmark) -> None:
    """Raise ConfigError where there are more rows than the benchmark's fields select, as code from outside may do."""
    rows = len({problem.index for problem in problems})  # a row may be several samples
    named = None if benchmark.sample_ids is None else len(benchmark.sample_ids)
    for field, most in (("limit", benchmark.limit), ("sample_ids", named)):
        if most is not None and rows > most:
            raise ConfigError(
                f"benchmark {benchmark.name}: problems() gave {rows} problems, but benchmark.{field} selects {most};"
                " it ends with `return chosen(problems, self)`, with `chosen` of dlm_length.benchmarks."
            )


def prompt_text(prompt: Prompt) -> str:
    """The text of a prompt without a chat template."""
    return (prompt.text if prompt.text is not None else "".join(text for _, text in prompt.messages)) + prompt.prefill


def _job(problem: Problem, prompt: Prompt, tokenizer: Tokenizer) -> Job:
    templated = prompt.text is None
    text = tokenizer.chat_text(prompt.messages, prompt.prefill) if templated else prompt_text(prompt)
    return Job(problem, text, tokenizer.encode(text, templated=templated))


def resolve_policy(config: RunConfig, kept: Mapping[str, int] | None, sample_ids: Collection[str]) -> Policy:
    """The config's policy, with its lengths where an earlier session `kept` them or earlier runs determine them.

    `sample_ids`: of this call's samples, which may be more than those whose lengths were kept. Raises ConfigError where
    one of the earlier runs is missing or was not scored.
    """
    policy = config.policy
    is_fitted = isinstance(policy, LengthsFromRuns) and policy.lengths is None
    if (
        isinstance(policy, PrecomputedLengths)
        and kept is not None
        and not (is_fitted and set(sample_ids) - kept.keys())
    ):
        return policy.with_lengths(kept)
    if not isinstance(policy, LengthsFromRuns) or policy.lengths is not None:
        return policy
    sources = [(earlier, _run_of(config, earlier, sample_ids)) for earlier in policy.earlier()]
    if missing := [overrides_of(earlier) for earlier, run in sources if run is None]:
        raise ConfigError(
            f"policy {policy.name!r}: learns from finished, scored runs on the same samples, and below"
            f" {config.output.directory} there is none with {'; '.join(missing)}. Run the same config with those"
            f" settings first.{_hint(config)}"
        )
    fitted = policy.fit([_scores(config, run, sample_ids) for _, run in sources if run is not None])
    return fitted.with_lengths({**(fitted.lengths or {}), **(kept or {})})


def _run_of(config: RunConfig, policy: Policy, sample_ids: Collection[str]) -> Path | None:
    """The finished run that differs from `config` in its policy alone and has these samples."""
    other = config.model_copy(update={"policy": policy})
    return find_holding(Path(config.output.directory), other.run_name, sample_ids)


def _hint(config: RunConfig) -> str:
    """What else a run of this benchmark needs for its answers to be scored."""
    runs_code = getattr(config.benchmark, "execute_code", True)
    return "" if runs_code else " Without benchmark.execute_code=true, in all of them and here, no answer is scored."


def _scores(config: RunConfig, run: Path, sample_ids: Collection[str]) -> dict[str, float | None]:
    scores = {record.id: record.score for record in read_summaries(run, only=sample_ids)}
    if all(score is None for score in scores.values()):
        raise ConfigError(
            f"run {run}: no sample there was scored, so that no length can be learnt from it.{_hint(config)}"
        )
    return scores
