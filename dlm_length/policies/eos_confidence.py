"""The EOS confidence: DAEDAL's estimate that the answer ends within the canvas, also in rho-EOS's implementation."""

from typing import ClassVar, Literal

import numpy as np

from dlm_length.common import Parameters, TokenCount
from dlm_length.denoising import Canvas, FollowUp, Positions, Query, Stat, StatSpec, SubCoroutine

_HEAD = StatSpec(Stat.TOKEN | Stat.EOS)
_FEWEST = 16
"""Smallest number of positions to query at once: fewer cost the same."""


class EosConfidence(Parameters):
    """The EOS confidence of a forward, in [0, 1] (DAEDAL, arXiv 2508.00819)."""

    scans_canvas: ClassVar[bool] = True
    """Whether a forward may query the whole canvas, which cost estimates then count for every forward."""

    eos_window: TokenCount = 32
    """W: number of positions over which the EOS confidence is a mean."""
    eos_scan: Literal["released", "window"] = "released"
    """released: the last W positions that predict EOS, wherever they are, missing ones counting as 0, as in the
    reference implementation; window: the last W positions of the canvas, as the paper says."""

    def eos_confidence(self, canvas: Canvas, *, probe: bool = False) -> SubCoroutine[np.float32]:
        """EOS confidence of the latest forward, or of a new forward if `probe`.

        The canvas is scanned from its end, and the scan stops at the W-th EOS prediction, as no earlier position has an
        effect.
        """
        values: list[float] = []
        end = len(canvas)
        while end > 0 and len(values) < self.eos_window:
            missing = self.eos_window - len(values)
            start = max(0, end - (missing if self.eos_scan == "window" else max(missing, _FEWEST)))
            positions = np.arange(start, end, dtype=np.int64)
            answer = yield _query(canvas, positions, probe=probe and end == len(canvas))
            eos = answer.eos.astype(np.float32)
            counted = eos if self.eos_scan == "window" else eos[answer.token == canvas.tokens.eos]
            values += counted[::-1][:missing].tolist()
            end = start
        # In float32, as in the reference implementation: in float64 a mean of 0.9 from float32 values may be below 0.9.
        return np.float32(sum(values) / self.eos_window)


def _query(canvas: Canvas, positions: Positions, *, probe: bool) -> Query | FollowUp:
    return Query(canvas, positions, _HEAD, probe=True) if probe else FollowUp(positions, _HEAD)
