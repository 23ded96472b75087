"""The fixed canvas (FC): the length is chosen by hand, the same for every prompt."""

from typing import ClassVar, Literal, Self

from pydantic import PositiveInt, model_validator

from dlm_length.denoising import Canvas, Decoder, Denoising
from dlm_length.policies.base import Policy


class Fixed(Policy, Decoder):
    """A canvas of fixed length, denoised by LLaDA's sampler or, with a threshold, Fast-dLLM's."""

    source: ClassVar[str] = "LLaDA, arXiv 2502.09992; Fast-dLLM, arXiv 2505.22618"
    name: Literal["fixed"] = "fixed"
    length: PositiveInt = 256
    """Canvas length in tokens."""
    steps: PositiveInt | None = None
    """Forwards for the whole canvas; None: one for every `tokens_per_step` tokens."""

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        check_steps(self, self.length, self.steps)
        return self

    def denoise(self, canvas: Canvas) -> Denoising:
        canvas.append_masks(self.length)
        yield from self.decode(canvas, self.steps)


def check_steps(decoder: Decoder, length: int, steps: int | None) -> None:
    """Raises ValueError where `steps` contradicts the decoder's other fields or cannot fill a canvas of that length."""
    if steps is None:
        return
    if decoder.threshold is not None or decoder.tokens_per_step != 1:
        raise ValueError("steps, tokens_per_step and threshold are three ways to say the same: give one of them")
    if not decoder.blocks(length) <= steps <= length:
        raise ValueError(
            f"steps must be from {decoder.blocks(length)} (one for each block) to {length} (one for each token of the"
            f" canvas), found {steps}"
        )
