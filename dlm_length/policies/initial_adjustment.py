"""DAEDAL's first stage: lengthen a short canvas until the model is confident that the answer ends within it."""

from typing import Self

from pydantic import NonNegativeInt, model_validator

from dlm_length.common import Probability, TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.eos_confidence import EosConfidence


class Growth(EosConfidence):
    """How far and how fast a canvas grows, in both of DAEDAL's stages."""

    max_length: TokenCount = 2048
    """L_max: the longest canvas, in tokens."""
    expansion_factor: TokenCount = 8
    """E: masks appended at a time in the first stage; masks that one mask becomes in the second."""

    def check_longest(self, length: int, field: str) -> None:
        """Raise ValueError if the first canvas, `length` tokens by `field`, would be longer than `max_length`."""
        if length > self.max_length:
            raise ValueError(f"{field} must be at most max_length, found {length} and {self.max_length}")


class InitialAdjustment(Growth):
    """Initial length adjustment (DAEDAL, arXiv 2508.00819, stage 1)."""

    initial_length: TokenCount = 64
    """L_init: length of the first canvas, in tokens."""
    tau_eos: Probability = 0.5
    """Lengthen while the EOS confidence is below this."""
    tail_eos: NonNegativeInt | None = None
    """EOS tokens appended once the length is determined; None: half of `eos_window`, as in the reference
    implementation."""

    @model_validator(mode="after")
    def _begins_short(self) -> Self:
        self.check_longest(self.initial_length, "initial_length")
        return self

    def refuse_tail_as_end(self, stop: str) -> None:
        """Raise ValueError if the stop rule would treat the EOS of the tail as the end of an answer."""
        if stop == "crop_fill" and self.tail_eos != 0:
            raise ValueError(
                "stop: crop_fill would treat the EOS that the first stage appends as the answer's end:"
                " give tail_eos: 0, or choose another rule, such as stop: cut"
            )

    def adjust(self, canvas: Canvas) -> DenoiseCoroutine:
        """Fill an empty canvas with as many masks as the answer needs, followed by the tail of EOS."""
        canvas.append_masks(self.initial_length)
        while (yield from self.eos_confidence(canvas, probe=True)) < self.tau_eos and len(canvas) < self.max_length:
            canvas.append_masks(min(self.expansion_factor, self.max_length - len(canvas)))
        tail = self.eos_window // 2 if self.tail_eos is None else self.tail_eos
        canvas.append_eos(min(tail, self.max_length - len(canvas)))
