"""A dry run: what a config would cost, from the sizes of its model alone."""

import math
from collections import Counter
from dataclasses import dataclass, replace

from dlm_length.benchmarks import Prompt
from dlm_length.common import GIB, UserError
from dlm_length.config import Hardware, RunConfig
from dlm_length.engine.budget import activation_bytes
from dlm_length.engine.estimate import upper_bound
from dlm_length.engine.machine import Machine, describe_machine, matrix_rate
from dlm_length.models import (
    AbsentCheckpointError,
    Architecture,
    CheckpointError,
    Tokenizer,
    choose_device,
    load_architecture,
    load_tokenizer,
)
from dlm_length.papers import PublishedCell, published_prompt_length
from dlm_length.runner.context_limit import check_canvas
from dlm_length.runner.jobs import prepare, prompt_text
from dlm_length.runner.loading import BYTES, batch_budget, fused, planned_dtype

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
    problems = config.benchmark.problems()
    architecture, tokenizer = _model(config)
    if tokenizer is None:
        lengths = [_estimated_length(config.benchmark.prompt(problem)) for problem in problems]
    else:
        lengths = [len(job.prompt_ids) for job in prepare(config.benchmark, problems, tokenizer)]
    check_canvas(config, architecture, lambda: [] if tokenizer is None else lengths)
    course = upper_bound(config.policy.worst_case(), architecture.max_length)
    longest = max(canvas for canvas, _, _ in course.forwards)
    fitting = Counter(length for length in lengths if length + longest <= architecture.max_length)
    totals = {length: course.ledger(architecture, length).total for length in fitting}
    executed = sum(totals[length].flops_executed * times for length, times in fitting.items())
    hardware = config.hardware
    machine = _machine(hardware)
    rate = _rate(hardware, machine)
    bytes_each = BYTES[planned_dtype(hardware, machine)]
    device = "cpu" if (machine.device if machine else hardware.device) == "cpu" else "cuda"
    budget = batch_budget(hardware, architecture, machine)
    return Plan(
        benchmark=config.benchmark.name,
        samples=len(problems),
        too_long=len(problems) - fitting.total(),
        prompt_tokens=sum(lengths),
        published_prompt=published_prompt_length(config.benchmark.name),
        tokens_exact=tokenizer is not None,
        canvas_length=course.canvas_length,
        forwards=len(course.forwards) * fitting.total(),
        flops_reference=sum(totals[length].flops_reference * times for length, times in fitting.items()),
        flops_executed=executed,
        weight_bytes=architecture.parameters * bytes_each,
        max_batch_tokens=budget,
        activation_bytes=activation_bytes(
            architecture, budget, bytes_each, device=device, fused=fused(hardware, device)
        ),
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


def _machine(hardware: Hardware) -> Machine | None:
    """The device of the profile, where it is here."""
    try:
        return describe_machine(choose_device(hardware.device))
    except CheckpointError:
        return None


def _rate(hardware: Hardware, machine: Machine | None) -> float | None:
    """FLOPs a second that the run may reach: of the profile's peak, or of what the device is measured to do."""
    if hardware.peak_tflops is not None:
        return UTILISATION * hardware.peak_tflops * 1e12
    if machine is None:
        return None
    return UTILISATION * matrix_rate(choose_device(machine.device), planned_dtype(hardware, machine))


def _model(config: RunConfig) -> tuple[Architecture, Tokenizer | None]:
    """The checkpoint's own sizes and tokenizer, or where it is not on this machine the sizes that the config gives.

    Raises CheckpointError, as a run does, for a checkpoint that is here and cannot be used.
    """
    try:
        spec = config.model
        return (
            load_architecture(spec.path, spec.revision, spec.file),
            load_tokenizer(spec.path, spec.revision, spec.file),
        )
    except AbsentCheckpointError as error:
        if config.model.architecture is None:
            raise UserError(f"{error} A dry run without the checkpoint needs model.architecture.") from error
        return config.model.architecture, None
