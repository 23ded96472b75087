"""What runs would cost, as a dry run estimates it: the numbers, for reports."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dlm_length.papers import PublishedCell

UTILISATION = 0.4
"""Share of the peak matrix-product rate that a real run reaches, for the estimated hours."""
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
    """FLOPs per second behind `hours`: UTILISATION of the profile's peak, or of what was measured here."""
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


@dataclass(frozen=True)
class PlannedRun:
    """One config of a study."""

    benchmark: str
    label: str
    """Of its policy, with what tells it from the study's others."""
    repeats: int
    """How many runs it stands for, one a seed."""
    plan: Plan | None
    """Of all its repeats together; None where the benchmark's data are not at hand."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study would run."""

    name: str
    runs: tuple[PlannedRun, ...]
    absent: Mapping[str, str]
    """Why a benchmark could not be planned, by its name."""

    @property
    def plans(self) -> list[Plan]:
        """Of the runs that could be planned."""
        return [run.plan for run in self.runs if run.plan is not None]
