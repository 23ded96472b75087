"""The fixed canvas (FC): the length is chosen by hand, the same for every prompt."""

from typing import ClassVar, Literal

from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas, Role


class Fixed(FullCanvas):
    """A canvas of fixed length, denoised by LLaDA's sampler or, with a threshold, Fast-dLLM's."""

    source: ClassVar[str] = "LLaDA, arXiv 2502.09992; Fast-dLLM, arXiv 2505.22618"
    title: ClassVar[str] = "Fixed canvas"
    label_fields: ClassVar[tuple[str, ...]] = ("length",)
    role: ClassVar[Role] = "baseline"
    palette_place: ClassVar[int | None] = 0
    name: Literal["fixed"] = "fixed"

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        yield from self.decode(canvas, self.steps)
