"""Denoising a canvas of known length: LLaDA's sampler and Fast-dLLM's threshold rule, as part of a coroutine."""

from collections.abc import Iterator
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeFloat, model_validator

from dlm_length.common import Parameters, Probability, TokenCount
from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import Again, Answer, Denoising, Head, Query, Want

Remasking = Literal["low_confidence", "random", "margin", "entropy"]

_WANTED = {
    "low_confidence": Want.CONFIDENCE,
    "random": Want.UNIFORM,
    "margin": Want.MARGIN,
    "entropy": Want.ENTROPY,
}


class Decoder(Parameters):
    """How masks become tokens on a canvas of known length (LLaDA, arXiv 2502.09992; Fast-dLLM, arXiv 2505.22618).

    Blocks are denoised left to right. In each forward the masked positions of the current block are ranked by
    `remasking` and the best are committed: as many as the schedule says, or with a `threshold` all that pass it.
    """

    block_length: TokenCount | None = None
    """Tokens in a block, the last one may be short; None: the whole canvas is one block (pure diffusion)."""
    tokens_per_step: TokenCount = 1
    """Tokens committed in one forward, where `steps` does not say otherwise."""
    threshold: Probability | None = None
    """Commit every position of the block with at least this confidence, and always the most confident one."""
    remasking: Remasking = "low_confidence"
    """What ranks positions: p(pred), chance, top-1 minus top-2 probability, or negative entropy."""
    temperature: NonNegativeFloat = 0.0
    """Gumbel-max sampling temperature; 0 is greedy."""
    logits_eos_inf: bool = False
    """Set the EOS logit to minus infinity before anything else."""
    confidence_eos_eot_inf: bool = False
    """Take EOS and EOT out of the confidences: a position that predicts one of them is committed last."""

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.threshold is not None and (self.remasking != "low_confidence" or self.tokens_per_step != 1):
            raise ValueError(
                "threshold decoding compares p(pred) and has no schedule: leave remasking at low_confidence and"
                " tokens_per_step at 1, or leave threshold out"
            )
        if self.remasking == "random" and self.confidence_eos_eot_inf:
            raise ValueError("remasking random ranks by no confidence: leave confidence_eos_eot_inf out of it")
        return self

    def decode(self, canvas: Canvas, steps: int | None = None) -> Denoising:
        """Commit every mask of `canvas`, in `steps` forwards where given (at least one a block)."""
        for start, end, share in self.schedule(len(canvas), steps):
            yield from self.decode_block(canvas, start, end, share)

    def decode_block(self, canvas: Canvas, start: int, end: int, steps: int | None) -> Denoising:
        """Commit every mask in `[start, end)`, in `steps` forwards where given."""
        if self.threshold is None:
            yield from self._by_schedule(canvas, start, end, steps)
            yield from self._without_mask(canvas, start, end)
        else:
            yield from self._by_threshold(canvas, start, end, self.threshold)

    def blocks(self, length: int) -> int:
        """Number of blocks in a canvas of that length."""
        return -(-length // (self.block_length or length))

    def schedule(self, length: int, steps: int | None) -> Iterator[tuple[int, int, int | None]]:
        """(start, end, forwards where `steps` is given) of each block. Cumulative shares make unequal blocks add up."""
        size = self.block_length or length
        for start in range(0, length, size):
            end = min(start + size, length)
            yield start, end, None if steps is None else max(1, steps * end // length - steps * start // length)

    def _by_schedule(self, canvas: Canvas, start: int, end: int, steps: int | None) -> Denoising:
        """LLaDA's linear schedule: step k commits m // steps tokens, one more while k < m % steps."""
        masks = len(canvas.masked(start, end))
        steps = -(-masks // self.tokens_per_step) if steps is None else steps
        for step in range(steps):
            positions = canvas.masked(start, end)
            answer = yield Query(canvas, positions, self._head(canvas))
            count = masks // steps + (step < masks % steps)
            best = _ranking(self._score(canvas, answer))[:count]
            canvas.commit(positions[best], answer.token[best])

    def _by_threshold(self, canvas: Canvas, start: int, end: int, threshold: float) -> Denoising:
        while (positions := canvas.masked(start, end)).size:
            answer = yield Query(canvas, positions, self._head(canvas))
            chosen = (
                answer.confidence >= threshold
            )  # inclusive, as Fast-dLLM's program; DAEDAL's and rho-EOS's are strict
            chosen[_ranking(answer.confidence)[0]] = True
            chosen &= answer.token != canvas.tokens.mask
            if chosen.any():
                canvas.commit(positions[chosen], answer.token[chosen])
            else:
                forced = yield Again(positions, self._head(canvas, Want.BEST_UNMASKED))
                _commit_best_unmasked(canvas, positions, forced)

    def _without_mask(self, canvas: Canvas, start: int, end: int) -> Denoising:
        """Fill what the schedule left where the model predicted MASK itself, one token a forward.

        The released sampler goes on to the next block and may leave MASK in its answer.
        """
        while (positions := canvas.masked(start, end)).size:
            answer = yield Query(canvas, positions, self._head(canvas, Want.BEST_UNMASKED))
            _commit_best_unmasked(canvas, positions, answer)

    def _head(self, canvas: Canvas, want: Want | None = None) -> Head:
        return Head(
            want=want or (Want.TOKEN | _WANTED[self.remasking]),
            suppress=(canvas.tokens.eos,) if self.logits_eos_inf else (),
            confidence_without=canvas.tokens.ends if self.confidence_eos_eot_inf else (),
            temperature=self.temperature,
        )

    def _score(self, canvas: Canvas, answer: Answer) -> NDArray[np.float64]:
        match self.remasking:
            case "low_confidence":
                return answer.confidence
            case "random":
                return answer.uniform
            case "margin":
                score = answer.margin
            case "entropy":
                score = -answer.entropy
        if self.confidence_eos_eot_inf:
            return np.where(np.isin(answer.token, canvas.tokens.ends), -np.inf, score)
        return score


def _commit_best_unmasked(canvas: Canvas, positions: Positions, answer: Answer) -> None:
    best = _ranking(answer.unmasked_confidence)[:1]
    canvas.commit(positions[best], answer.unmasked_token[best])


def _ranking(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices from the highest score to the lowest; the earlier position where scores are equal."""
    return np.argsort(-score, kind="stable")
