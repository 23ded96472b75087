"""What must hold before a run begins or continues: canvases fit into the model, records answer the same problems.

`check_answers` is the one place where recorded answers are compared with the problems of a config.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dlm_length.benchmarks import Problem
from dlm_length.common import ConfigError, counted, first_few, listing
from dlm_length.config import RunConfig
from dlm_length.denoising import Denoiser, TwoPass
from dlm_length.denoising.adaptive_blocks import AdaptiveBlocks
from dlm_length.engine.estimate import first_canvas, upper_bound
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.records import RecordError, RunFolder, SampleRecord, read_samples
from dlm_length.runner.prepare import Job, PreparedRun

DATA_CHANGED = "Did the data set change under its name? --fresh begins again."
"""What to do about a folder whose answers are to other problems."""
_OTHER_PROMPT = "another prompt, in its text or its number of tokens"
_FIELDS = ("length", "initial_length")
"""Of policies, that give the length of the first canvas."""


def check_runs_together(configs: Sequence[RunConfig]) -> None:
    """Raise ConfigError where configs cannot be executed as one group, or two of them are the same run."""
    for config in configs:
        if config.benchmark.repeats > 1:
            raise ConfigError(
                f"benchmark.repeats: found {config.benchmark.repeats} for one run; `repeated` makes a config of each."
            )
        for section in ("model", "benchmark", "hardware"):
            if getattr(config, section) != getattr(configs[0], section):
                raise ConfigError(f"runs made together differ in their policies alone; found another {section}.")
    paths = [config.run_path for config in configs]
    if twice := [path for path in paths if paths.count(path) > 1]:
        raise ConfigError(f"two of the runs to be made together are the same: {twice[0]}.")


def check_source_runs(run: PreparedRun) -> None:
    """Raise ConfigError where the runs that its policy is fitted to are not there; they are read by this."""
    _ = run.policy


def check_limits(runs: Iterable[PreparedRun]) -> None:
    """Raise ConfigError for the first unfinished run whose canvases exceed the model's or the benchmark's limit."""
    for run in runs:
        if run.fresh or not run.folder.finished:
            check_answer_limit(run)
            check_context_limit(run)


def check_answer_limit(run: PreparedRun) -> None:
    """Raise ConfigError where a canvas may be longer than the benchmark allows an answer to be.

    And where a policy from outside the package does not end on a model that is never confident. The canvas is not cut
    at that limit: its length is what the model sees and what a policy decides.
    """
    if (most := run.config.benchmark.max_answer_tokens) is None:
        return
    denoiser = _first_pass_policy(run.config)
    model_limit = run.architecture.max_length
    longest = 0 if denoiser is None else upper_bound(denoiser, model_limit).longest_canvas
    # A sample fails where its canvas outgrows the model, so that no answer is longer than the model's limit.
    needed = min(longest, model_limit)
    if needed > most:
        raise ConfigError(
            f"policy: found a canvas of up to {needed} tokens{', the most that the model takes' * (longest > needed)},"
            f" but {run.config.benchmark.label} allows an answer at most {most} (max_gen_toks): give the policy a"
            f" shorter one, or raise the limit with benchmark.gen_kwargs.max_gen_toks={needed}."
        )


def check_context_limit(run: PreparedRun) -> None:
    """Raise ConfigError where every sample's first canvas alone exceeds the model's context limit.

    And where the policy needs a token that the model does not have, or the code of its file raises.

    The prompts are rendered only to report which canvas would fit, and not where the sizes are assumed.
    """
    most = run.architecture.max_length
    denoiser = _first_pass_policy(run.config)
    if denoiser is None:
        return
    if isinstance(denoiser, AdaptiveBlocks):
        denoiser.check_delimiters(run.architecture.vocabulary)
    length = first_canvas(denoiser)
    if length <= most:
        return
    prompt_lengths = [] if run.assumed_sizes else [len(job.prompt_ids) for job in run.jobs]
    fields = [f"policy.{field}" for field in _FIELDS if getattr(run.config.policy, field, None) == length]
    raise ConfigError(
        f"{listing(fields or ['policy'])}: found a canvas of {length} tokens to begin with, but model"
        f" {run.config.model.short_name!r} takes at most {most}, prompt and canvas together;"
        f" allowed: {_allowed(most, prompt_lengths)}."
    )


def _first_pass_policy(config: RunConfig) -> Denoiser | None:
    """What denoises each sample first; None where each sample has its own precomputed length."""
    policy = config.policy
    if not isinstance(policy, PrecomputedLengths):
        return policy
    return policy.length_pass() if isinstance(policy, TwoPass) else None


def _allowed(most: int, prompt_lengths: Sequence[int]) -> str:
    fitting = [length for length in prompt_lengths if length < most]
    if not fitting:
        return f"{most} less the tokens of the longest prompt"
    count = len(prompt_lengths)
    those = "every prompt" if len(fitting) == count else f"{len(fitting)} of {count} prompts"
    return f"at most {most - max(fitting)}, which leaves room for {those} here (up to {max(fitting)} tokens)"


def check_answers(
    folder: RunFolder,
    records: Mapping[str, SampleRecord],
    problems: Mapping[str, Problem],
    remedy: str,
    *,
    jobs: Sequence[Job] | None = None,
    complete: bool = False,
) -> None:
    """Raise RecordError where records are not answers to these problems, saying which and why.

    `records`, `problems`: by sample id. `remedy`: sentences on what to do. `jobs`: the problems whose prompts are
    compared too. `complete`: every problem must have its record, made from the same row of the data.
    """
    if faults := list(_differences(records, problems, jobs or (), complete=complete)):
        raise RecordError(
            f"run {folder.path}: recorded samples answer other problems than the config has: {'; '.join(faults)}."
            f" {remedy}"
        )


def check_recorded(run: PreparedRun, folder: RunFolder, jobs: Sequence[Job] | None = None) -> Collection[str]:
    """The ids of the samples recorded in a folder. Raises RecordError where they answer other problems than the run's.

    `jobs`: the problems with their prompts; None where only reference answers are compared.
    """
    records = {record.id: record for record in read_samples(folder.path)}
    problems = {problem.id: problem for problem in run.problems}
    if not records.keys() <= problems.keys():  # an earlier call may have chosen other problems of the benchmark
        problems = {problem.id: problem for problem in run.config.benchmark.with_every_problem().problems()}
    check_answers(folder, records, problems, DATA_CHANGED, jobs=jobs)
    return records.keys()


def _differences(
    records: Mapping[str, SampleRecord], problems: Mapping[str, Problem], jobs: Sequence[Job], *, complete: bool
) -> Iterator[str]:
    both = [(record, problems[name]) for name, record in records.items() if name in problems]
    prompted = [(records[job.problem.id], job) for job in jobs if job.problem.id in records]
    differing: dict[tuple[str, str], list[str]] = {
        ("has no recorded answer", "have no recorded answer"): [
            name for name in problems if complete and name not in records
        ],
        ("is not among the config's problems", "are not among the config's problems"): [
            name for name in records if name not in problems
        ],
        (f"has {_OTHER_PROMPT}", f"have {_OTHER_PROMPT}"): [
            record.id
            for record, job in prompted
            if record.prompt != job.text or (complete and record.prompt_length != len(job.prompt_ids))
        ],
        ("has another reference answer", "have another reference answer"): [
            record.id for record, problem in both if record.target != problem.target
        ],
        ("is another row of the data", "are other rows of the data"): [
            record.id for record, problem in both if complete and record.doc_id != problem.index
        ],
    }
    return (
        f"{counted(len(names), f'sample {one}', f'samples {several}')}: {first_few(names)}"
        for (one, several), names in differing.items()
        if names
    )
