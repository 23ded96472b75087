"""Crop, then insert: SmartCrop chooses the length, DAEDAL's second stage lengthens it where it is too short."""

import math
from typing import ClassVar, Literal, Self

from pydantic import NonNegativeFloat, model_validator

from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import Policy
from dlm_length.policies.mask_insertion import MaskInsertion
from dlm_length.policies.smartcrop import Crop


class CropInsert(Policy, Crop, MaskInsertion):
    """SmartCrop's length with a margin, then DAEDAL's denoising with mask insertion."""

    source: ClassVar[str] = "SmartCrop, arXiv 2603.06123, with DAEDAL's stage 2, arXiv 2508.00819"
    title: ClassVar[str] = "Crop and insert"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "tau", "margin")
    palette_place: ClassVar[int | None] = 4
    name: Literal["crop_insert"] = "crop_insert"
    margin: NonNegativeFloat = 0.1
    """Share of the crop that is added to it, never above `length`."""

    @model_validator(mode="after")
    def _begins_short(self) -> Self:
        self.check_longest(self.length, "length")
        return self

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        crop = yield from self.probe(canvas)
        longer = round(crop * (1 + self.margin), 6)  # 50 * 1.1 is 55.00000000000001, which must not become 56
        canvas.crop(math.ceil(min(longer, self.length)))
        yield from self.insert(canvas)

    def worst_case(self) -> Policy:
        return _MostInserted(**self.model_dump())


class _MostInserted(CropInsert):
    """The policy with as many insertions as possible, whose cost is an upper bound."""

    def insert(self, canvas: Canvas) -> DenoiseCoroutine:
        yield from self.insert_most(canvas)
