"""Early stopping on a fixed canvas: what practitioners do today, and so what a saving is to be held against."""

from typing import ClassVar, Literal

import numpy as np

from dlm_length.common import TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas


class StopAtEos(FullCanvas):
    """A fixed canvas in blocks that is left as soon as a finished block holds EOS."""

    source: ClassVar[str] = (
        "dInfer (early_stop), DPad (early_termination), Streaming-dLLM, BD3LM; the canvas itself is LLaDA's,"
        " arXiv 2502.09992"
    )
    label_fields: ClassVar[tuple[str, ...]] = ("length", "stop")
    palette_place: ClassVar[int | None] = 3
    name: Literal["stop_at_eos"] = "stop_at_eos"
    block_length: TokenCount = 32
    """Tokens in a block, the last one may be short."""
    stop: Literal["block_any", "block_last"] = "block_any"
    """When a finished block is the last one. block_any: it holds an end token anywhere; the rest of the canvas becomes
    EOS, as in the released programs. block_last: its last token is an end token; the rest of the canvas is dropped, so
    that n_token is what was denoised."""
    include_eot: bool = False
    """Count the end-of-turn token as an end token, beside EOS. The programs for LLaDA test EOS alone."""

    @property
    def version(self) -> int:
        """2: by default `stop` is block_any and EOS alone is tested; see `Policy.version`."""
        return 2

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        ends = canvas.tokens.ends if self.include_eot else (canvas.tokens.eos,)
        for start, end, steps in self.block_shares(self.length, self.steps):
            yield from self.decode_block(canvas, start, end, steps)
            tested = canvas.ids[start:end] if self.stop == "block_any" else canvas.ids[end - 1 : end]
            if np.isin(tested, ends).any():
                self._leave(canvas, end)
                break

    def _leave(self, canvas: Canvas, end: int) -> None:
        """Give up the masks of `canvas` behind `end`."""
        if self.stop == "block_last":
            canvas.crop(end)
        else:
            rest = canvas.masked(end)
            canvas.commit(rest, np.full(len(rest), canvas.tokens.eos))
