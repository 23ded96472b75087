"""DAEDAL: begin short, lengthen until the model is confident of the end, insert masks where it is uncertain."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine
from dlm_length.denoising.stop_rules import StopRule
from dlm_length.policies.base import Policy
from dlm_length.policies.initial_adjustment import InitialAdjustment
from dlm_length.policies.mask_insertion import MaskInsertion


class Daedal(Policy, InitialAdjustment, MaskInsertion):
    """Variable length in two stages: initial length adjustment, then denoising with mask insertion."""

    source: ClassVar[str] = "DAEDAL, arXiv 2508.00819"
    title: ClassVar[str] = "DAEDAL"
    label_fields: ClassVar[tuple[str, ...]] = ("initial_length", "stages")
    palette_place: ClassVar[int | None] = 1
    name: Literal["daedal"] = "daedal"
    stages: Literal["both", "initial", "insertion"] = "both"
    """initial: the length found by the first stage is denoised as a fixed canvas, one token per forward in blocks;
    insertion: the second stage alone, from a canvas of `initial_length` masks. The paper's ablations."""

    @model_validator(mode="after")
    def _stages_read_their_fields(self) -> Self:
        unread = {
            "both": (),
            "initial": ("tau_high", "tau_low", "tau_expand"),
            "insertion": ("tau_eos", "tail_eos"),
        }
        self._refuse_unread(unread[self.stages], f"stages: {self.stages}")
        if self.stages != "insertion":
            self.refuse_tail_as_end(self.stop)
        return self

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        if self.stages == "insertion":
            canvas.append_masks(self.initial_length)
        else:
            yield from self.adjust(canvas)
        if self.stages == "initial":
            own = ("block_length", "temperature", *StopRule.model_fields)
            yield from Decoder(**{field: getattr(self, field) for field in own}).decode(canvas)
        else:
            yield from self.insert(canvas)

    def worst_case(self) -> Policy:
        return self if self.stages == "initial" else _MostInserted(**self.model_dump())


class _MostInserted(Daedal):
    """The policy with as many insertions as possible, whose cost is an upper bound."""

    def insert(self, canvas: Canvas) -> DenoiseCoroutine:
        yield from self.insert_most(canvas)
