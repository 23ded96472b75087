"""Combinations of the parts of several methods: a choice of the length, and a way of denoising."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dlm_length.common import Parameters, TokenCount
from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine
from dlm_length.policies.base import LongestCanvas, Policy
from dlm_length.policies.initial_adjustment import InitialAdjustment
from dlm_length.policies.mask_insertion import MaskInsertion
from dlm_length.policies.smartcrop import Crop

_LENGTHS: dict[str, type[Parameters]] = {
    "smartcrop": Crop,
    "initial_adjustment": InitialAdjustment,
    "fixed": LongestCanvas,
}
_DECODINGS: dict[str, type[Parameters]] = {"schedule": Decoder, "threshold": Decoder, "insertion": MaskInsertion}


class Composed(Policy, Crop, InitialAdjustment, MaskInsertion, Decoder):
    """The length of one method, denoised by another."""

    source: ClassVar[str] = "parts of SmartCrop, DAEDAL, LLaDA and Fast-dLLM; no paper's method"
    title: ClassVar[str] = "Composed"
    label_fields: ClassVar[tuple[str, ...]] = ("length_from", "then")
    palette_place: ClassVar[int | None] = 5
    name: Literal["composed"] = "composed"
    length_from: Literal["smartcrop", "initial_adjustment", "fixed"] = "smartcrop"
    """What chooses the length: SmartCrop's crop, DAEDAL's first stage, or `length` itself."""
    then: Literal["schedule", "threshold", "insertion"] = "insertion"
    """What denoises it: LLaDA's schedule, Fast-dLLM's threshold, or DAEDAL's second stage."""
    block_length: TokenCount | None = None  # type: ignore[assignment]  # insertion, which needs a number, gets one
    """B: positions per block, or in the window of insertion; None: 32 for insertion, else the whole canvas."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        read = {
            "name",
            "length_from",
            "then",
            *_LENGTHS[self.length_from].model_fields,
            *_DECODINGS[self.then].model_fields,
        }
        choice = f"length_from: {self.length_from} with then: {self.then}"
        self._refuse_unread([field for field in type(self).model_fields if field not in read], choice)
        if self.then == "threshold" and not self.commits_by_confidence:
            raise ValueError("then: threshold needs a threshold, such as 0.9, or a factor, and no schedule")
        if self.then == "schedule" and self.threshold is not None:
            raise ValueError("threshold has no effect with then: schedule: leave it out, or choose then: threshold")
        if self.then == "schedule" and self.factor is not None:
            raise ValueError("factor has no effect with then: schedule: leave it out, or choose then: threshold")
        if self.length_from == "initial_adjustment":
            self.refuse_tail_as_end(self.stop)
        return self

    @model_validator(mode="after")
    def _begins_short(self) -> Self:
        """Replaces the first stage's own check, as `initial_length` may be unused here."""
        if self.length_from == "initial_adjustment":
            self.check_longest(self.initial_length, "initial_length")
        elif self.then == "insertion":
            self.check_longest(self.length, "length")
        return self

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        match self.length_from:
            case "smartcrop":
                canvas.crop((yield from self.probe(canvas)))
            case "initial_adjustment":
                yield from self.adjust(canvas)
            case "fixed":
                canvas.append_masks(self.length)
        if self.then == "insertion":
            own = MaskInsertion.model_fields["block_length"].default
            yield from self.model_copy(update={"block_length": self.block_length or own}).insert(canvas)
        else:
            yield from self.decode(canvas)

    def worst_case(self) -> Policy:
        return _MostInserted(**self.model_dump()) if self.then == "insertion" else self


class _MostInserted(Composed):
    """The policy with as many insertions as possible, whose cost is an upper bound."""

    def insert(self, canvas: Canvas) -> DenoiseCoroutine:
        yield from self.insert_most(canvas)
