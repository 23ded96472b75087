"""Early stopping on a fixed canvas: common practice, and the baseline that savings should be compared with."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from dlm_length.common import TokenCount
from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas


class StopAtEos(FullCanvas):
    """A fixed canvas in blocks that stops after a finished block with EOS: `fixed` with a stop rule."""

    source: ClassVar[str] = (
        "dInfer (early_stop), DPad (early_termination), Streaming-dLLM, BD3LM; the canvas itself is LLaDA's,"
        " arXiv 2502.09992"
    )
    title: ClassVar[str] = "Fixed canvas, early stop"
    label_fields: ClassVar[tuple[str, ...]] = ("length", "stop")
    variant_of: ClassVar[str | None] = "fixed"
    palette_place: ClassVar[int | None] = 3
    name: Literal["stop_at_eos"] = "stop_at_eos"
    block_length: TokenCount = 32
    """Tokens per block; the last block may be shorter."""
    stop: Literal["block_any", "block_last"] = "block_any"
    """When a finished block ends the answer. block_any: if it has an end token anywhere; the rest of the canvas becomes
    EOS, as in dInfer and others. block_last: if its last token is an end token; the rest of the canvas is dropped, so
    that n_token is the number of denoised tokens."""
    include_eot: bool = False
    """Count the end-of-turn token as an end token, in addition to EOS. The implementations for LLaDA test EOS alone."""

    @property
    def version(self) -> int:
        """At least 2: by default `stop` is block_any and EOS alone is tested; see `Policy.version`."""
        return max(2, super().version)

    @property
    def undecisive(self) -> frozenset[str]:
        """`stop` was always part of the hash, at its default too."""
        return super().undecisive - {"stop"}

    @model_validator(mode="after")
    def _ends_are_said_once(self) -> Self:
        self._refuse_unread(["stop_tokens"], "stop_at_eos, which has include_eot")
        return self

    @property
    def stops_at_eot(self) -> bool:
        return self.include_eot

    def end_tokens(self, canvas: Canvas) -> tuple[int, ...]:
        return canvas.tokens.ends if self.include_eot else (canvas.tokens.eos,)

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length)
        yield from self.decode(canvas, self.steps)
