"""SmartCrop: one forward's EOS probabilities predict the answer's end; the canvas is cropped there and denoised."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import Probability, TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec, SubCoroutine
from dlm_length.policies.base import FullCanvas, LongestCanvas


class Crop(LongestCanvas):
    """The probe: one forward on the full canvas predicts where the answer ends."""

    tau: Probability = 0.9
    """Crop at the first position where the termination CDF is at least this."""
    round_to: TokenCount = 1
    """Round the crop up to a multiple of this, never above `length`."""
    include_eot: bool = False
    """Count the end-of-turn token as an end, in addition to EOS."""

    def probe(self, canvas: Canvas) -> SubCoroutine[int]:
        """Give an empty canvas its full length; returns the crop, g_hat."""
        canvas.append_masks(self.length)
        probe = yield Query(canvas, canvas.all, StatSpec(Stat.EOS | Stat.EOT), probe=True)
        end = probe.eos + probe.eot if self.include_eot else probe.eos
        crop = first_crossing(termination_cdf(end), self.tau)
        return min(-(-crop // self.round_to) * self.round_to, self.length)


class SmartCrop(FullCanvas, Crop):
    """One probe on the full canvas, cropped where the termination CDF reaches tau (SC-tau)."""

    source: ClassVar[str] = "SmartCrop, arXiv 2603.06123"
    title: ClassVar[str] = "SmartCrop"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "tau")
    series_field: ClassVar[str | None] = "tau"
    palette_place: ClassVar[int | None] = 0
    name: Literal["smartcrop"] = "smartcrop"

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.crop((yield from self.probe(canvas)))
        yield from self.decode_rest(canvas)


def termination_cdf(end: NDArray[np.float64]) -> NDArray[np.float64]:
    """F(i) = 1 - prod_{j<=i} (1 - e_j), in log space (SmartCrop's termination CDF).

    `end`: (canvas,), probability that each position ends the answer. Returns (canvas,), float64, non-decreasing.
    """
    with np.errstate(divide="ignore"):  # e_j = 1 is a certain end: log1p(-1) is minus infinity, and F is 1
        survival: NDArray[np.float64] = np.cumsum(np.log1p(-np.minimum(end.astype(np.float64), 1.0)))
    return -np.expm1(survival)


def first_crossing(cdf: NDArray[np.float64], tau: float) -> int:
    """The smallest length whose F is at least `tau`, or the whole canvas where F never reaches it."""
    crossed = np.flatnonzero(cdf >= tau)
    return int(crossed[0]) + 1 if crossed.size else len(cdf)
