"""A dry run: what a config would cost, from the sizes of its model alone."""

import math
from collections import Counter
from dataclasses import dataclass

from dlm_length.common import GIB, UserError
from dlm_length.config import RunConfig
from dlm_length.engine.budget import activation_bytes
from dlm_length.engine.estimate import upper_bound
from dlm_length.engine.machine import matrix_rate
from dlm_length.models import Architecture, CheckpointError, Tokenizer, choose_device, load_architecture, load_tokenizer
from dlm_length.runner.fitting import check_canvas
from dlm_length.runner.jobs import prepare, prompt_text
from dlm_length.runner.loading import default_budget

UTILISATION = 0.4
"""Share of the peak matrix-product rate that a real run reaches, for the estimated hours."""
CHARACTERS_PER_TOKEN = 3.5
"""English text and code under vocabularies of 100,000 and more, where no tokenizer is at hand."""
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Plan:
    """What would run. Costs are upper bounds, except where a model predicts MASK and a schedule needs more forwards."""

    samples: int
    too_long: int
    """Samples whose prompt and canvas exceed the model's positions; they would be recorded with an error."""
    prompt_tokens: int
    tokens_exact: bool
    """False where the prompts were estimated from their characters, the tokenizer not being on this machine."""
    canvas_length: int
    """Longest canvas of a sample."""
    forwards: int
    flops_reference: int
    flops_executed: int
    weight_bytes: int
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


def plan(config: RunConfig) -> Plan:
    """Estimate a run without loading weights. Raises UserError where neither the checkpoint nor its sizes are known.

    Raises ConfigError where `run` would not begin, as no sample's canvas fits into the model.
    """
    problems = config.benchmark.problems()
    architecture, tokenizer = _model(config)
    if tokenizer is None:
        texts = (prompt_text(config.benchmark.prompt(problem)) for problem in problems)
        lengths = [math.ceil(len(text) / CHARACTERS_PER_TOKEN) for text in texts]
    else:
        lengths = [len(job.prompt_ids) for job in prepare(config.benchmark, problems, tokenizer)]
    check_canvas(config, architecture, lambda: [] if tokenizer is None else lengths)
    course = upper_bound(config.policy.costliest(), architecture.max_length)
    longest = max(canvas for canvas, _, _ in course.forwards)
    fitting = Counter(length for length in lengths if length + longest <= architecture.max_length)
    totals = {length: course.ledger(architecture, length).total for length in fitting}
    executed = sum(totals[length].flops_executed * times for length, times in fitting.items())
    rate = _rate(config)
    bytes_each = _BYTES[config.hardware.dtype]
    return Plan(
        samples=len(problems),
        too_long=len(problems) - fitting.total(),
        prompt_tokens=sum(lengths),
        tokens_exact=tokenizer is not None,
        canvas_length=course.canvas_length,
        forwards=len(course.forwards) * fitting.total(),
        flops_reference=sum(totals[length].flops_reference * times for length, times in fitting.items()),
        flops_executed=executed,
        weight_bytes=architecture.parameters * bytes_each,
        activation_bytes=activation_bytes(architecture, default_budget(config), bytes_each),
        device_bytes=int(config.hardware.memory_gib * GIB) if config.hardware.memory_gib else None,
        hours=executed / rate / 3600 if rate else None,
        rate=rate,
        rate_measured=config.hardware.peak_tflops is None,
        profile=config.hardware.profile,
    )


def _rate(config: RunConfig) -> float | None:
    """FLOPs a second that the run may reach: of the profile's peak, or of what the device is measured to do."""
    hardware = config.hardware
    if hardware.peak_tflops is not None:
        return UTILISATION * hardware.peak_tflops * 1e12
    try:
        device = choose_device(hardware.device)
    except CheckpointError:
        return None
    return UTILISATION * matrix_rate(device, hardware.dtype)


def _model(config: RunConfig) -> tuple[Architecture, Tokenizer | None]:
    """The checkpoint's own sizes and tokenizer, or the sizes that the config tells of it."""
    try:
        spec = config.model
        return load_architecture(spec.path, spec.revision), load_tokenizer(spec.path, spec.revision)
    except CheckpointError as error:
        if config.model.architecture is None:
            raise UserError(f"{error} A dry run without the checkpoint needs model.architecture.") from error
        return config.model.architecture, None
