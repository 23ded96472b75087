"""How sure a model is that its answer ends within the canvas: DAEDAL's signal, which rho-EOS's program uses too."""

from typing import ClassVar, Literal

import numpy as np

from dlm_length.common import Parameters, TokenCount
from dlm_length.denoising import Canvas, FollowUp, Positions, Query, Stat, StatSpec, SubCoroutine

_HEAD = StatSpec(Stat.TOKEN | Stat.EOS)
_LEAST = 16
"""Positions asked for at once, at least: a small question costs as much as this one."""


class EosConfidence(Parameters):
    """The EOS confidence of a forward, in [0, 1] (DAEDAL, arXiv 2508.00819)."""

    scans_canvas: ClassVar[bool] = True
    """Whether a forward may be asked for the whole canvas, as long as its length may change: estimates count that for
    every forward."""

    eos_window: TokenCount = 32
    """W: how many positions the EOS confidence is a mean of."""
    eos_scan: Literal["released", "window"] = "released"
    """released: the last W positions that predict EOS, wherever they stand, fewer counting as zeros, as the released
    program does; window: the last W positions of the canvas, as the paper says."""

    def eos_confidence(self, canvas: Canvas, *, probe: bool = False) -> SubCoroutine[np.float32]:
        """EOS confidence of the latest forward, or of a forward of its own where this is a `probe`.

        The scan begins at the end of the canvas and asks for no more positions than it may need: what stands before
        the W-th EOS prediction from the end changes nothing.
        """
        found: list[float] = []
        end = len(canvas)
        while end > 0 and len(found) < self.eos_window:
            missing = self.eos_window - len(found)
            start = max(0, end - (missing if self.eos_scan == "window" else max(missing, _LEAST)))
            positions = np.arange(start, end, dtype=np.int64)
            answer = yield _question(canvas, positions, probe=probe and end == len(canvas))
            counted = answer.eos if self.eos_scan == "window" else answer.eos[answer.token == canvas.tokens.eos]
            found += counted[::-1][:missing].tolist()
            end = start
        # In float32, as the reference compares: as a float64, nine certainties of ten would be below 0.9.
        return np.float32(sum(found) / self.eos_window)


def _question(canvas: Canvas, positions: Positions, *, probe: bool) -> Query | FollowUp:
    return Query(canvas, positions, _HEAD, probe=True) if probe else FollowUp(positions, _HEAD)
