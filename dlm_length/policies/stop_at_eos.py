"""Early stopping on a fixed canvas: what practitioners do today, and so what a saving is to be held against."""

from typing import ClassVar, Literal

from dlm_length.common import TokenCount
from dlm_length.denoising import Canvas, Denoising
from dlm_length.policies.base import FullCanvas


class StopAtEos(FullCanvas):
    """A fixed canvas in blocks that is left as soon as a finished block ends in EOS or the end of the turn."""

    source: ClassVar[str] = "common practice; the canvas itself is LLaDA's, arXiv 2502.09992"
    told: ClassVar[tuple[str, ...]] = ("length",)
    name: Literal["stop_at_eos"] = "stop_at_eos"
    block_length: TokenCount = 32
    """Tokens in a block, the last one may be short; what comes after the last finished block is dropped."""

    def denoise(self, canvas: Canvas) -> Denoising:
        canvas.append_masks(self.length)
        for start, end, steps in self.schedule(self.length, self.steps):
            yield from self.decode_block(canvas, start, end, steps)
            if canvas.ids[end - 1] in canvas.tokens.ends:
                canvas.crop(end)
                break
