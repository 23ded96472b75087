"""What a length policy is."""

from abc import abstractmethod
from typing import Self

from pydantic import PositiveInt, model_validator

from dlm_length.common import Named
from dlm_length.denoising import Canvas, Decoder, Denoising


class Policy(Named):
    """How long the answer is and how it is denoised: a paper's pseudo-code for one sample, as a coroutine.

    A policy is a frozen set of parameters; everything that changes during a sample lives in its coroutine and canvas.
    """

    @abstractmethod
    def denoise(self, canvas: Canvas) -> Denoising:
        """Fill `canvas`, which comes empty: yields queries, receives answers, leaves no mask behind."""


class FullCanvas(Policy, Decoder):
    """A policy that begins with a canvas of a given length."""

    length: PositiveInt = 256
    """Canvas length in tokens; where the policy crops, the longest."""
    steps: PositiveInt | None = None
    """Forwards for the full canvas, of which a cropped one takes its share; None: one for every `tokens_per_step`."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.steps is None:
            return self
        if self.threshold is not None or self.tokens_per_step != 1:
            raise ValueError("steps, tokens_per_step and threshold are three ways to say the same: give one of them")
        blocks = self.blocks(self.length)
        if not blocks <= self.steps <= self.length:
            raise ValueError(
                f"steps must be from {blocks} (one for each block) to {self.length} (one for each token of the"
                f" canvas), found {self.steps}"
            )
        return self
