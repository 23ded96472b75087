"""The numbers of a dry run: what runs would cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dlm_length.papers import PublishedCell

UTILISATION = 0.4
"""Assumed share of the peak matrix-product rate that a run reaches, for the estimated hours."""
PROMPT_TOLERANCE = 0.2
"""Largest relative difference of a mean prompt length from the published one that needs no remark."""


@dataclass(frozen=True)
class Plan:
    """What a config would run. Costs are upper bounds unless the model predicts MASK, which takes more forwards."""

    benchmark: str
    samples: int
    too_long: int
    """Number of samples whose prompt and canvas exceed the model's positions; they would be recorded with an error."""
    prompt_tokens: int
    """Tokens of all prompts."""
    published_prompt: PublishedCell | None
    """The mean prompt length, in tokens, that a paper has for this benchmark."""
    tokens_exact: bool
    """False where the prompts were estimated from their characters, the tokenizer not being on this machine."""
    canvas_length: int
    """The longest canvas of a sample, in tokens."""
    forwards: int
    flops_reference: int
    flops_executed: int
    weight_bytes: int
    max_batch_tokens: int
    """The most tokens of a forward."""
    activation_bytes: int
    device_bytes: int | None
    """Memory of the hardware profile."""
    hours: float | None
    """Estimated time; None where the device's rate is unknown and the device is not here to be measured."""
    rate: float | None
    """FLOPs per second behind `hours`: UTILISATION of the profile's peak, or of the rate measured here."""
    rate_measured: bool
    profile: str
    """Name of the hardware profile."""

    @property
    def prompt_length(self) -> float:
        """Mean over the samples, in tokens."""
        return self.prompt_tokens / self.samples

    @property
    def prompt_excess(self) -> float | None:
        """The relative difference of the mean prompt length from the published one.

        None within `PROMPT_TOLERANCE`, and without a published length.
        """
        if self.published_prompt is None:
            return None
        excess = self.prompt_length / self.published_prompt.value - 1.0
        return excess if abs(excess) > PROMPT_TOLERANCE else None

    def times(self, runs: int) -> "Plan":
        """The plan of so many runs that differ only in their seed, one after the other."""
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
    """The label of its policy, with what distinguishes it from others of the study."""
    repeats: int
    """Number of its runs, one per seed."""
    plan: Plan | None
    """The plan of all its repeats together; None where the benchmark's data are not on this machine."""


@dataclass(frozen=True)
class StudyPlan:
    """What a study would run."""

    name: str
    runs: tuple[PlannedRun, ...]
    absent: Mapping[str, str]
    """Why a benchmark could not be planned, by its name."""

    @property
    def plans(self) -> list[Plan]:
        """The plans of the runs that could be planned."""
        return [run.plan for run in self.runs if run.plan is not None]
