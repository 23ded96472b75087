"""DAEDAL's second stage: denoising that inserts masks where the model is uncertain and EOS is not yet likely."""

from typing import Self

import numpy as np
from pydantic import NonNegativeFloat, model_validator

from dlm_length.common import Probability, TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine, Query, Stat, StatSpec, next_masked_window, select_confident
from dlm_length.denoising.stop_rules import StopRule
from dlm_length.policies.initial_adjustment import Growth


class MaskInsertion(Growth, StopRule):
    """Iterative denoising with mask insertion (DAEDAL, arXiv 2508.00819, stage 2).

    A stop rule treats the window as its block, and is tested before masks are inserted.
    """

    block_length: TokenCount = 32
    """B: positions in the window that is being denoised."""
    tau_high: Probability = 0.9
    """Commit predictions with a confidence above this."""
    tau_low: Probability = 0.1
    """A mask whose prediction has a confidence below this may be expanded."""
    tau_expand: Probability = 0.9
    """Expand only while the EOS confidence is below this."""
    temperature: NonNegativeFloat = 0.0
    """Gumbel-max sampling temperature; 0 is greedy."""

    @model_validator(mode="after")
    def _thresholds_apart(self) -> Self:
        if self.tau_low >= self.tau_high:
            raise ValueError(f"tau_low must be below tau_high, found {self.tau_low} and {self.tau_high}")
        return self

    def insert(self, canvas: Canvas) -> DenoiseCoroutine:
        """Commit every mask of `canvas`, which may grow meanwhile."""
        head = StatSpec(Stat.TOKEN | Stat.CONFIDENCE, temperature=self.temperature)
        cursor, may_grow = 0, True
        while (cursor := next_masked_window(canvas, cursor, self.block_length)) < len(canvas):
            window = canvas.masked(cursor, cursor + self.block_length)
            may_grow = may_grow and len(canvas) < self.max_length
            answer = yield Query(canvas, window, head)
            fill, tokens = yield from select_confident(canvas, window, answer, self.tau_high)
            unsure = ~fill & (answer.confidence < self.tau_low)
            expand = may_grow and unsure.any() and (yield from self.eos_confidence(canvas)) < self.tau_expand
            canvas.commit(window[fill], tokens[fill])
            if (yield from self.stop_in_window(canvas, tokens[fill], cursor, cursor + self.block_length, head)):
                return
            if expand:
                least = np.where(unsure, answer.confidence, np.inf).argmin()
                canvas.expand(int(window[least]), self.expansion_factor, self.max_length)

    def insert_most(self, canvas: Canvas) -> DenoiseCoroutine:
        """`insert` at its highest cost: on the longest canvas, and with committed tokens pushed past its end."""
        canvas.append_masks(self.max_length - len(canvas))
        yield from MaskInsertion.insert(self, canvas)
        for _ in range(self.expansion_factor - 1):
            yield Query(canvas, canvas.all[-self.block_length :], StatSpec(Stat.TOKEN | Stat.CONFIDENCE))
