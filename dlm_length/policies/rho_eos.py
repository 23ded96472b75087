"""rho-EOS: the canvas grows or shrinks during denoising, by the share of its masks that predict EOS."""

import math
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import NonNegativeFloat, model_validator

from dlm_length.common import Probability, TokenCount
from dlm_length.denoising import (
    Answer,
    Canvas,
    DenoiseCoroutine,
    FollowUp,
    Query,
    Stat,
    StatSpec,
    SubCoroutine,
    next_masked_window,
    select_confident,
)
from dlm_length.denoising.stop_rules import StopRule
from dlm_length.policies.base import Policy
from dlm_length.policies.eos_confidence import EosConfidence

_ADJUSTMENTS = 64
"""Number of forwards after which the length no longer changes, in the reference implementation."""
_SEGMENT = np.float32(0.1)
"""Distance of the signal from the band that counts as one step of the scheduler."""
_MOST_UNITS = 8


class RhoEos(Policy, EosConfidence, StopRule):
    """Bidirectional length control: keep the density of EOS predictions within a band.

    A stop rule treats the window as its block, and is tested before the length changes, as in VoidPadding's evaluation.
    """

    source: ClassVar[str] = "rho-EOS, arXiv 2601.22527"
    title: ClassVar[str] = "ρ-EOS"
    label_fields: ClassVar[tuple[str, ...]] = ("initial_length", "signal")
    palette_place: ClassVar[int | None] = 2
    name: Literal["rho_eos"] = "rho_eos"
    initial_length: TokenCount = 64
    """L_init: length of the first canvas, in tokens."""
    max_length: TokenCount = 2048
    """L_max: the longest canvas, in tokens, and the most forwards."""
    block_length: TokenCount = 32
    """B: positions in the window that is being denoised."""
    tau_high: Probability = 0.9
    """Commit predictions with a confidence above this."""
    signal: Literal["density", "confidence"] = "density"
    """density: share of the masks that predict EOS, as the paper defines it; confidence: DAEDAL's EOS confidence, which
    the first version of the reference implementation passed as the density; `eos_window` and `eos_scan` belong to it.
    Later versions pass the density, put new masks before the first committed EOS (`insert_at: first_eos`), and
    lengthen a canvas without masks; here a canvas without masks keeps its length."""
    rho_low: Probability = 0.4
    """Lengthen where the signal is below this."""
    rho_high: Probability = 0.6
    """Shorten where the signal is above this."""
    insert_at: Literal["first_eos", "end"] = "end"
    """Where a canvas is lengthened. end: after its last position, as in the first reference implementation; first_eos:
    before its first committed EOS, at the end where there is none, as in later versions and VoidPadding's evaluation
    (arXiv 2606.17999)."""
    unit: TokenCount = 8
    """Smallest change of the length, in tokens."""
    scheduler: Literal["const", "linear", "exp"] = "exp"
    """Number of units by which the length changes if the signal is n tenths outside the band: 1, n or 2^(n-1), at most
    8. If nearly all masks predict EOS, `exp` may drop the whole canvas, as in the reference implementation; the answer
    is then empty."""
    temperature: NonNegativeFloat = 0.0
    """Gumbel-max sampling temperature; 0 is greedy."""

    @model_validator(mode="after")
    def _band_and_canvas(self) -> Self:
        if self.rho_low > self.rho_high:
            raise ValueError(f"rho_low must be at most rho_high, found {self.rho_low} and {self.rho_high}")
        if self.signal == "density":
            self._refuse_unread(EosConfidence.model_fields, "signal: density")
        if self.initial_length > self.max_length:
            raise ValueError(
                f"initial_length must be at most max_length, found {self.initial_length} and {self.max_length}"
            )
        return self

    @property
    def undecisive(self) -> frozenset[str]:
        """`insert_at` was added later: at its default a run is the same as before."""
        return super().undecisive | ({"insert_at"} if self.insert_at == "end" else set())

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        head = StatSpec(Stat.TOKEN | Stat.CONFIDENCE, temperature=self.temperature)
        canvas.append_masks(self.initial_length)
        cursor, forwards, may_change = 0, 0, True
        while cursor < len(canvas) and forwards < self.max_length:
            may_change = may_change and len(canvas) < self.max_length and forwards < _ADJUSTMENTS
            window = canvas.masked(cursor, cursor + self.block_length)
            answer = yield Query(canvas, window, head)
            forwards += 1
            fill, tokens = yield from select_confident(canvas, window, answer, self.tau_high)
            change = self._change((yield from self._signal(canvas, answer))) if may_change else 0
            canvas.commit(window[fill], tokens[fill])
            if (yield from self.stop_in_window(canvas, tokens[fill], cursor, cursor + self.block_length, head)):
                return
            cursor = next_masked_window(canvas, cursor, self.block_length)
            if change > 0 and forwards < self.max_length:  # otherwise no forward would be left for the new masks
                cursor = self._lengthen(canvas, cursor, min(change, self.max_length - len(canvas)))
            elif change < 0:
                canvas.crop(max(len(canvas) + change, 0))
        if (left := canvas.masked()).size:  # the reference implementation leaves these masks in its answer
            forced = yield FollowUp(left, StatSpec(Stat.BEST_UNMASKED))
            canvas.commit(left, forced.unmasked_token)

    def _lengthen(self, canvas: Canvas, cursor: int, count: int) -> int:
        """Add `count` masks where `insert_at` says; returns the cursor, moved back to the first of them if needed."""
        eos = np.flatnonzero(canvas.ids == canvas.tokens.eos)
        if self.insert_at == "end" or not eos.size:
            canvas.append_masks(count)
            return cursor
        canvas.insert_masks(int(eos[0]), count)
        return min(cursor, int(eos[0]))

    def _signal(self, canvas: Canvas, answer: Answer) -> SubCoroutine[float]:
        """The signal of the latest forward, before its commits. `answer`: that of the window, the first masks."""
        if self.signal == "confidence":
            return float((yield from self.eos_confidence(canvas)))
        masks, eos = canvas.masked(), canvas.tokens.eos
        if not masks.size:
            return self.rho_low  # undefined: keep the length
        known = answer.token if self.temperature == 0 else answer.token[:0]  # predictions without noise
        if len(known) < len(masks):
            others = yield FollowUp(masks[len(known) :], StatSpec(Stat.TOKEN))
            known = np.concatenate([known, others.token])
        return float(np.mean(known == eos))

    def _change(self, measured: float) -> int:
        """Tokens to append, or if negative to drop (rho-EOS's scheduler); in float32, as in its implementation."""
        signal, low, high = np.float32(measured), np.float32(self.rho_low), np.float32(self.rho_high)
        if low <= signal <= high:
            return 0
        segments: int = math.ceil(max(low - signal, signal - high) / _SEGMENT)
        units: int = {"const": 1, "linear": segments, "exp": 2 ** (segments - 1)}[self.scheduler]
        return self.unit * min(units, _MOST_UNITS) * (1 if signal < low else -1)
