"""Adaptive block sizes: AdaBlock's blocks, which end at delimiters of the text."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, NonNegativeInt, model_validator

from dlm_length.common import ConfigError, Parameters, Probability
from dlm_length.denoising.query import Answer

DEFAULT_BLOCK = 32
"""Tokens of AdaBlock's block if no delimiter ends it."""


class AdaptiveBlocks(Parameters):
    """Length of the next block (AdaBlock, arXiv 2509.26432)."""

    blocks: Literal["fixed", "adaptive"] = "fixed"
    """fixed: blocks have `block_length` tokens. adaptive: the next block ends with the most confident delimiter that
    the model predicts in a window after the last block; if none is confident enough, it has `block_length` tokens, or
    32 by default. The forward that finds the end commits the block's first tokens."""
    delimiters: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1, strict=False)] = (198,)
    """Token ids that may end a block; 198 is the newline of LLaDA's tokenizer."""
    delimiter_threshold: Probability = 0.3
    """Minimum probability of the delimiter: 0.3 for LLaDA, 0.5 for Dream."""
    delimiter_share: Probability = 0.25
    """Length of the window as a share of the canvas length, rounded down."""

    @model_validator(mode="after")
    def _blocks_read_their_fields(self) -> Self:
        for field in ("delimiters", "delimiter_threshold", "delimiter_share"):
            if self.blocks == "fixed" and getattr(self, field) != AdaptiveBlocks.model_fields[field].default:
                raise ValueError(f"{field} has no effect with blocks: fixed: leave it out, or choose blocks: adaptive")
        return self

    def check_delimiters(self, vocabulary: int) -> None:
        """Raise ConfigError if a delimiter is not a token id of a model with `vocabulary` tokens."""
        beyond = [token for token in self.delimiters if token >= vocabulary]
        if self.blocks == "adaptive" and beyond:
            raise ConfigError(
                f"policy.delimiters: found token {beyond[0]}, which is outside the vocabulary of {vocabulary} tokens;"
                f" allowed: token ids from 0 to {vocabulary - 1}."
            )

    def window(self, length: int, rest: int) -> int:
        """Number of positions to search. `length`: of the canvas; `rest`: positions after the last block."""
        return min(int(self.delimiter_share * length), rest)

    def block_size(self, answer: Answer, default: int) -> int:
        """Tokens of the next block; `default` if no delimiter ends it. `answer`: TOKEN and CONFIDENCE of the window.

        The first of equally confident delimiters ends the block.
        """
        delimiters = np.isin(answer.token, self.delimiters)
        if not delimiters.any():
            return default
        confidence = answer.float32_confidence
        best = int(np.where(delimiters, confidence, -np.inf).argmax())
        return best + 1 if confidence[best] >= self.delimiter_threshold else default
