"""A dry run: what a config would cost, from the sizes of its model alone."""

import math
from collections import Counter
from dataclasses import dataclass, replace

from dlm_length.benchmarks import Prompt
from dlm_length.common import GIB, UserError
from dlm_length.config import Hardware, RunConfig
from dlm_length.engine.estimate import upper_bound
from dlm_length.engine.machine import Machine, matrix_rate
from dlm_length.models import AbsentCheckpointError, choose_device
from dlm_length.papers import PublishedCell, published_prompt_length
from dlm_length.runner.model import find_machine
from dlm_length.runner.prepare import PreparedRun, prepare, prompt_text

UTILISATION = 0.4
"""Share of the peak matrix-product rate that a real run reaches, for the estimated hours."""
CHARACTERS_PER_TOKEN = 3.5
"""English text and code under vocabularies of 100,000 and more, where no tokenizer is at hand."""
TOKENS_PER_TURN = 5
"""What LLaDA's chat template puts around each message: the role between two marks, a blank line, the end's mark."""
PROMPT_TOLERANCE = 0.2
"""Share by which a mean prompt length may differ from the published one before it is remarked upon."""


@dataclass(frozen=True)
class Plan:
    """What would run. Costs are upper bounds, except where a model predicts MASK and a schedule needs more forwards."""

    benchmark: str
    samples: int
    too_long: int
    """Samples whose prompt and canvas exceed the model's positions; they would be recorded with an error."""
    prompt_tokens: int
    published_prompt: PublishedCell | None
    """The mean prompt length that a paper has for this benchmark, in tokens."""
    tokens_exact: bool
    """False where the prompts were estimated from their characters, the tokenizer not being on this machine."""
    canvas_length: int
    """Longest canvas of a sample."""
    forwards: int
    flops_reference: int
    flops_executed: int
    weight_bytes: int
    max_batch_tokens: int
    """Tokens of a forward."""
    activation_bytes: int
    device_bytes: int | None
    """Memory of the hardware profile."""
    hours: float | None
    """None where the device has no known rate and is not on this machine to be measured."""
    rate: float | None
    """FLOPs a second behind `hours`: UTILISATION of the profile's peak, or of what was measured here."""
    rate_measured: bool
    profile: str
    """Name of the hardware profile."""

    @property
    def prompt_length(self) -> float:
        """Mean over the samples, in tokens."""
        return self.prompt_tokens / self.samples

    @property
    def prompt_excess(self) -> float | None:
        """By what share the mean prompt is longer than the published one (negative: shorter).

        None within `PROMPT_TOLERANCE` of it, and where there is none.
        """
        if self.published_prompt is None:
            return None
        excess = self.prompt_length / self.published_prompt.value - 1.0
        return excess if abs(excess) > PROMPT_TOLERANCE else None

    def times(self, runs: int) -> "Plan":
        """So many runs that differ in their seed alone, one after the other."""
        return replace(
            self,
            samples=self.samples * runs,
            too_long=self.too_long * runs,
            prompt_tokens=self.prompt_tokens * runs,
            forwards=self.forwards * runs,
            flops_reference=self.flops_reference * runs,
            flops_executed=self.flops_executed * runs,
            hours=None if self.hours is None else self.hours * runs,
        )


def plan(config: RunConfig) -> Plan:
    """Estimate a run without loading weights. Raises UserError where neither the checkpoint nor its sizes are known.

    Raises ConfigError where `run` would not begin, as no sample's canvas fits into the model.
    """
    (planned,) = prepare([config])
    problems = planned.problems
    planned = _with_sizes(planned)
    if planned.assumed_sizes:
        lengths = [_estimated_length(config.benchmark.prompt(problem)) for problem in problems]
    else:
        lengths = [len(job.prompt_ids) for job in planned.jobs]
    planned.check_context_limit()
    architecture, budget = planned.architecture, planned.budget
    course = upper_bound(config.policy.worst_case(), architecture.max_length)
    longest = max(canvas for canvas, _, _ in course.forwards)
    fitting = Counter(length for length in lengths if length + longest <= architecture.max_length)
    totals = {length: course.ledger(architecture, length).total for length in fitting}
    executed = sum(totals[length].flops_executed * times for length, times in fitting.items())
    hardware = config.hardware
    rate = _rate(hardware, find_machine(hardware), budget.dtype)
    return Plan(
        benchmark=config.benchmark.name,
        samples=len(problems),
        too_long=len(problems) - fitting.total(),
        prompt_tokens=sum(lengths),
        published_prompt=published_prompt_length(config.benchmark.name),
        tokens_exact=planned.assumed_sizes is None,
        canvas_length=course.canvas_length,
        forwards=len(course.forwards) * fitting.total(),
        flops_reference=sum(totals[length].flops_reference * times for length, times in fitting.items()),
        flops_executed=executed,
        weight_bytes=budget.weight_bytes,
        max_batch_tokens=budget.tokens,
        activation_bytes=budget.activation_bytes,
        device_bytes=int(hardware.memory_gib * GIB) if hardware.memory_gib else None,
        hours=executed / rate / 3600 if rate else None,
        rate=rate,
        rate_measured=hardware.peak_tflops is None,
        profile=hardware.profile,
    )


def _estimated_length(prompt: Prompt) -> int:
    """Tokens of a prompt, where no tokenizer is at hand."""
    turns = len(prompt.messages) + 1 if prompt.messages else 0  # the last is the assistant's, which the answer goes on
    return math.ceil(len(prompt_text(prompt)) / CHARACTERS_PER_TOKEN) + TOKENS_PER_TURN * turns


def _rate(hardware: Hardware, machine: Machine | None, dtype: str) -> float | None:
    """FLOPs a second that the run may reach: of the profile's peak, or of what the device is measured to do."""
    if hardware.peak_tflops is not None:
        return UTILISATION * hardware.peak_tflops * 1e12
    if machine is None:
        return None
    return UTILISATION * matrix_rate(choose_device(machine.device), dtype)


def _with_sizes(planned: PreparedRun) -> PreparedRun:
    """The run; where its checkpoint is not on this machine, with the sizes that the config gives.

    Raises CheckpointError, as a run does, for a checkpoint that is here and cannot be used.
    """
    try:
        _ = planned.architecture, planned.tokenizer
    except AbsentCheckpointError as error:
        if planned.config.model.architecture is None:
            raise UserError(f"{error} A dry run without the checkpoint needs model.architecture.") from error
        return replace(planned, assumed_sizes=planned.config.model.architecture)
    return planned
