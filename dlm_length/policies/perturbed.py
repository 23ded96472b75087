"""Perturbed crop: a control that changes SmartCrop's length by a given factor."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas, Role
from dlm_length.policies.smartcrop import Crop


class Perturbed(FullCanvas, Crop):
    """SmartCrop's crop, made longer or shorter by a given share of it."""

    source: ClassVar[str] = "SmartCrop, arXiv 2603.06123, figure 2"
    title: ClassVar[str] = "Perturbed length"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "tau", "delta")
    role: ClassVar[Role] = "control"
    series_field: ClassVar[str | None] = "delta"
    variant_of: ClassVar[str | None] = "smartcrop"
    palette_place: ClassVar[int | None] = 0
    name: Literal["perturbed"] = "perturbed"
    delta: Annotated[float, Field(ge=-1.0)] = 0.0
    """The crop becomes round(crop * (1 + delta)), from 1 to `length`; the paper goes from -0.5 to 0.5."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        crop = yield from self.probe(canvas)
        canvas.crop(max(round(min(crop * (1 + self.delta), self.length)), 1))
        yield from self.decode_rest(canvas)
