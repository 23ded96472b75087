"""The canvas: the generated part of one sample."""

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import SpecialTokens

Positions = NDArray[np.int64]


class Canvas:
    """Token ids of one sample's answer, `[MASK]` where nothing is committed yet. Owned by the sample's coroutine.

    Positions count from the canvas's first token; the prompt before it is known only by its length.
    """

    def __init__(self, prompt_length: int, tokens: SpecialTokens, sample_id: str = "0") -> None:
        self.prompt_length = prompt_length
        self.tokens = tokens
        self.sample_id = sample_id
        self.ids: NDArray[np.int64] = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        """Canvas length `g`, in tokens."""
        return len(self.ids)

    @property
    def all(self) -> Positions:
        """Every position, in order."""
        return np.arange(len(self.ids), dtype=np.int64)

    def masked(self, start: int = 0, end: int | None = None) -> Positions:
        """Positions in `[start, end)` that hold no token yet, in order."""
        return np.flatnonzero(self.ids[start:end] == self.tokens.mask) + start

    def append_masks(self, count: int) -> None:
        """Lengthen the canvas by `count` masks at its end."""
        self.ids = np.concatenate([self.ids, np.full(count, self.tokens.mask, dtype=np.int64)])

    def crop(self, length: int) -> None:
        """Keep the first `length` positions."""
        assert 0 < length <= len(self.ids), f"cannot crop a canvas of {len(self.ids)} to {length}"
        self.ids = self.ids[:length].copy()

    def commit(self, positions: Positions, token_ids: NDArray[np.int64]) -> None:
        """Write tokens at masked positions. A committed token is never overwritten."""
        assert (self.ids[positions] == self.tokens.mask).all(), "a committed token would be overwritten"
        self.ids[positions] = token_ids
