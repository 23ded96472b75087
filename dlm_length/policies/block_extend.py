"""Block extension: the canvas grows by one block of masks at a time, until a finished block has an end token."""

from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from dlm_length.common import TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.denoising.adaptive_blocks import AdaptiveBlocks
from dlm_length.denoising.early_commit import EarlyCommit
from dlm_length.policies.base import FullCanvas


class BlockExtend(FullCanvas):
    """A canvas that grows block by block: no mask follows the block that is being denoised."""

    source: ClassVar[str] = "iLLaDA (var_generate); the sampler in a block is LLaDA's, arXiv 2502.09992"
    title: ClassVar[str] = "Block extension"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "block_length")
    name: Literal["block_extend"] = "block_extend"
    block_length: TokenCount = 32
    """Tokens per block; the last block may be shorter. `length` is the longest canvas, and `steps` are divided among
    all of its blocks."""
    include_eot: bool = False
    """Count the end-of-turn token as an end, in addition to EOS."""
    stop_strings: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(strict=False)] = ()
    """Texts that end the answer as EOS does, once a finished block completes one: a task's stop strings, such as
    `Question:` for a base model, as in iLLaDA's implementation. They are searched in the text of all blocks with
    special tokens. Nothing is cut off here; a benchmark cuts at its own stop strings."""

    @property
    def undecisive(self) -> frozenset[str]:
        """In addition to the decoder's: `stop_strings`, a later addition, while it is empty."""
        return super().undecisive | (frozenset() if self.stop_strings else {"stop_strings"})

    @model_validator(mode="after")
    def _canvas_is_not_laid_out(self) -> Self:
        unread = [*EarlyCommit.model_fields, *AdaptiveBlocks.model_fields]
        self._refuse_unread(unread, "block_extend, whose canvas ends with the block that is denoised")
        if self.stop in ("block_any", "block_last"):
            raise ValueError(f"stop: {self.stop} is what block_extend does by itself, with include_eot: leave it out")
        if self.logits_eos_inf and not self.include_eot:
            raise ValueError(
                "block_extend ends with EOS, which logits_eos_inf forbids: leave it out, or choose include_eot: true"
            )
        return self

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        growing = self._grow(canvas)
        yield from self.stopping(canvas, growing, self._head(canvas)) if self.stops_after_commit else growing

    def _grow(self, canvas: Canvas) -> DenoiseCoroutine:
        ends = canvas.tokens.ends if self.include_eot else (canvas.tokens.eos,)
        for start, end, steps in self.block_shares(self.length, self.steps):
            canvas.append_masks(end - start)
            yield from self.decode_block(canvas, start, end, steps)
            if self.stop_behind(canvas, start, end) or np.isin(canvas.ids[start:end], ends).any():
                break
            text = canvas.text if self.stop_strings else ""
            if any(stop in text for stop in self.stop_strings):
                break
