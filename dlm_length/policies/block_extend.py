"""Block extension: the canvas grows by one block of masks at a time, until a finished block holds an end."""

from typing import ClassVar, Literal

import numpy as np

from dlm_length.common import TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas


class BlockExtend(FullCanvas):
    """A canvas that grows block by block: no mask stands behind the block that is being denoised."""

    source: ClassVar[str] = "iLLaDA (var_generate); the sampler in a block is LLaDA's, arXiv 2502.09992"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "block_length")
    name: Literal["block_extend"] = "block_extend"
    block_length: TokenCount = 32
    """Tokens of a block, the last one may be short. `length` is the longest canvas, and `steps` are those of all its
    blocks, of which each takes its share."""
    include_eot: bool = False
    """Count the end-of-turn token as an end, beside EOS."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        ends = canvas.tokens.ends if self.include_eot else (canvas.tokens.eos,)
        for start, end, steps in self.block_shares(self.length, self.steps):
            canvas.append_masks(end - start)
            yield from self.decode_block(canvas, start, end, steps)
            if np.isin(canvas.ids[start:end], ends).any():
                break
