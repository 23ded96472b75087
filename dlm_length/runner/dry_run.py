"""A dry run: what a config would cost at most, from the sizes of its model alone."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from dlm_length.analysis.parameters import distinct_labels
from dlm_length.analysis.planned_costs import UTILISATION, Plan, PlannedRun, StudyPlan
from dlm_length.benchmarks import Prompt
from dlm_length.common import GIB, ConfigError, UserError
from dlm_length.common.plugin_faults import result_of
from dlm_length.config import Hardware, RunConfig, Study
from dlm_length.engine.estimate import ForwardSchedule, upper_bound
from dlm_length.engine.machine import Machine, matrix_rate
from dlm_length.models import AbsentCheckpointError, choose_device, logits_are_shifted
from dlm_length.papers import published_prompt_length
from dlm_length.policies import Policy
from dlm_length.runner.checks import check_context_limit
from dlm_length.runner.model import find_machine
from dlm_length.runner.prepare import PreparedRun, prepare, prompt_text

CHARACTERS_PER_TOKEN = 3.5
"""Of English text and code, with vocabularies of 100,000 tokens and more; used where there is no tokenizer."""
TOKENS_PER_TURN = 5
"""What LLaDA's chat template adds to each message: the role between two markers, a blank line, the end marker."""


def plan(config: RunConfig) -> Plan:
    """Estimate a run without loading weights. Raises UserError where neither the checkpoint nor its sizes are known.

    Raises ConfigError where `run` would, as no sample's canvas fits into the model.
    """
    (prepared,) = prepare([config])
    problems = prepared.problems
    planned = _with_sizes(prepared)
    lengths = _prompt_lengths(planned)
    check_context_limit(planned)
    architecture, budget = planned.architecture, planned.budget
    schedule = _worst_case(planned)
    fitting = Counter(length for length in lengths if length + schedule.longest_canvas <= architecture.max_length)
    totals = {length: schedule.ledger(architecture, length).total for length in fitting}
    executed = sum(totals[length].flops_executed * times for length, times in fitting.items())
    hardware = config.hardware
    rate = _rate(hardware, find_machine(hardware), budget.dtype)
    devices = (hardware.devices or 1) if budget.device == "cuda" else 1  # a CPU's rate is that of all its cores
    return Plan(
        benchmark=config.benchmark.name,
        samples=len(problems),
        too_long=len(problems) - fitting.total(),
        prompt_tokens=sum(lengths),
        published_prompt=published_prompt_length(config.benchmark.name),
        tokens_exact=planned.assumed_sizes is None,
        canvas_length=schedule.canvas_length,
        forwards=len(schedule.forwards) * fitting.total(),
        flops_reference=sum(totals[length].flops_reference * times for length, times in fitting.items()),
        flops_executed=executed,
        weight_bytes=budget.weight_bytes,
        max_batch_tokens=budget.tokens,
        activation_bytes=budget.activation_bytes,
        device_bytes=int(hardware.memory_gib * GIB) if hardware.memory_gib else None,
        hours=executed / rate / 3600 / devices if rate else None,
        rate=rate,
        rate_measured=hardware.peak_tflops is None,
        profile=hardware.profile,
    )


def plan_study(
    study: Study,
    watch: Callable[[Sequence[tuple[RunConfig, str]]], Iterable[tuple[RunConfig, str]]] = iter,
) -> StudyPlan:
    """Estimate every run of a study; `watch` yields the configs and their labels again, one by one, to show progress.

    A benchmark whose data are missing is left out, unless it is the only one: then its UserError is raised. A data file
    that a config names must exist. Raises what `plan` raises.
    """
    configs = [
        (config, f"{label} {block.apart}".strip())
        for block in study.blocks
        for config, label in zip(block.all, _labels(block.all), strict=True)
    ]
    runs: list[PlannedRun] = []
    absent: dict[str, UserError] = {}
    for config, label in watch(configs):
        name, repeats = config.benchmark.name, len(study.repeats(config))
        planned = None
        if name not in absent:
            try:
                planned = plan(config).times(repeats)
            except UserError as error:
                if isinstance(error, ConfigError) or config.benchmark.path is not None:
                    raise
                absent[name] = error
        runs.append(PlannedRun(name, label, repeats, planned))
    planned_study = StudyPlan(study.name, tuple(runs), {name: str(error) for name, error in absent.items()})
    if not planned_study.plans:
        raise next(iter(absent.values()))
    return planned_study


def _labels(configs: Sequence[RunConfig]) -> list[str]:
    """The policies' labels; equal ones are extended by the fields in which they differ."""
    policies = [config.policy.model_dump(mode="json", exclude_defaults=True) for config in configs]
    return distinct_labels([config.policy.label for config in configs], policies)


def _prompt_lengths(planned: PreparedRun) -> list[int]:
    """Tokens of every prompt; estimated where the checkpoint's tokenizer is not on this machine."""
    if planned.assumed_sizes is None:
        return [len(job.prompt_ids) for job in planned.jobs]
    return [_estimated_length(planned.config.benchmark.prompt(problem)) for problem in planned.problems]


def _worst_case(planned: PreparedRun) -> ForwardSchedule:
    """The forwards of a sample for which the policy needs the most."""
    policy, model = planned.config.policy, planned.config.model
    worst = result_of(policy, "worst_case", policy.worst_case, Policy, "a policy")  # type: ignore[type-abstract]
    # Not known where the sizes are assumed: the costlier case is counted.
    shifted = planned.assumed_sizes is not None or logits_are_shifted(model.path, model.revision, model.file)
    return upper_bound(worst, planned.architecture.max_length, shifted=shifted)


def _estimated_length(prompt: Prompt) -> int:
    """Tokens of a prompt, estimated without a tokenizer."""
    turns = (
        len(prompt.messages) + 1 if prompt.messages else 0
    )  # the last is the assistant's, which the answer continues
    return math.ceil(len(prompt_text(prompt)) / CHARACTERS_PER_TOKEN) + TOKENS_PER_TURN * turns


def _rate(hardware: Hardware, machine: Machine | None, dtype: str) -> float | None:
    """FLOPs per second that the run may reach: a share of the profile's peak, or of the device's measured rate."""
    if hardware.peak_tflops is not None:
        return UTILISATION * hardware.peak_tflops * 1e12
    if machine is None:
        return None
    return UTILISATION * matrix_rate(choose_device(machine.device), dtype)


def _with_sizes(planned: PreparedRun) -> PreparedRun:
    """The run; with the sizes that the config gives where its checkpoint is not on this machine.

    Raises CheckpointError, as a run does, for a checkpoint that is present and cannot be used.
    """
    try:
        _ = planned.architecture, planned.tokenizer
    except AbsentCheckpointError as error:
        if planned.config.model.architecture is None:
            raise UserError(f"{error} A dry run without the checkpoint needs model.architecture.") from error
        return replace(planned, assumed_sizes=planned.config.model.architecture)
    return planned
