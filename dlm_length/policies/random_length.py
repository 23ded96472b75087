"""Random length: SmartCrop's lengths, permuted over the prompts."""

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import NonNegativeInt, model_validator

from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas, Policy, Role
from dlm_length.policies.fixed import Fixed
from dlm_length.policies.precomputed_lengths import PrecomputedLengths
from dlm_length.policies.smartcrop import Crop


class CropOnly(Crop):
    """SmartCrop's probe alone: leaves a canvas of only masks, with the length of the crop."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.crop((yield from self.probe(canvas)))


class RandomLength(PrecomputedLengths, FullCanvas, Crop):
    """Each prompt gets the length that SmartCrop chose for another, by a seeded permutation over all samples.

    The distribution of lengths is kept, and only the pairing with prompts is lost. The cost of
    SmartCrop's probes is not counted.
    """

    source: ClassVar[str] = "SmartCrop, arXiv 2603.06123, random-length baseline"
    title: ClassVar[str] = "Random length"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "tau")
    role: ClassVar[Role] = "control"
    lengths_charged: ClassVar[bool] = False
    palette_place: ClassVar[int | None] = 1
    name: Literal["random_length"] = "random_length"
    permutation_seed: NonNegativeInt = 0
    """Seed of the permutation."""

    @model_validator(mode="after")
    def _within_the_canvas(self) -> Self:
        longest = max((self.lengths or {}).values(), default=0)
        if longest > self.length:
            raise ValueError(f"lengths must be at most length, found {longest} and {self.length}")
        return self

    @property
    def depends_on_other_samples(self) -> bool:
        return self.lengths is None

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.precomputed_length(canvas))
        yield from self.decode_rest(canvas)

    def length_pass(self) -> CropOnly | None:
        """The denoiser that determines the lengths, for all samples; None where they are given."""
        if self.lengths is not None:
            return None
        return CropOnly(**{field: getattr(self, field) for field in Crop.model_fields})

    def after_length_pass(self, lengths: Mapping[str, int | None]) -> Self:
        """The same policy with the crops of all samples, by sample id, permuted. Does not depend on their order.

        A sample whose probe failed gets the full canvas, on which it fails too.
        """
        crops = {sample_id: crop for sample_id in sorted(lengths) if (crop := lengths[sample_id]) is not None}
        permuted = np.random.default_rng(self.permutation_seed).permutation(list(crops.values()))
        full = dict.fromkeys(lengths, self.length)
        return self.with_lengths(full | dict(zip(crops, permuted.tolist(), strict=True)))

    def worst_case(self) -> Policy:
        return Fixed(**{field: getattr(self, field) for field in FullCanvas.model_fields if field != "name"})
