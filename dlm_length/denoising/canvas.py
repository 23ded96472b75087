"""The canvas: the generated part of one sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import SpecialTokens

Positions = NDArray[np.int64]
ChangeKind = Literal["append", "insert", "remove", "crop"]
"""crop drops everything from a position on, remove drops masks that an insertion had put there."""


@dataclass(frozen=True)
class LengthChange:
    """One change of a canvas's length."""

    forward: int
    """The forward after which it came, counted from 1; 0 is before the first."""
    kind: ChangeKind
    position: int
    """Where: the first appended position, the mask that was expanded or else the first one inserted, or the first
    position that was dropped."""
    before: int
    """Canvas lengths in tokens."""
    after: int


@dataclass(frozen=True)
class Blocks:
    """Block-causal attention: a token sees its own block and those before it, in prompt and canvas alike."""

    size: int
    """Tokens of a block."""
    into: int = 0
    """How far the prompt's first token is into its block."""
    unseen: int | None = None
    """A token that no other sees and that counts no position, where it stands before `unseen_before` on the canvas."""
    unseen_before: int = 0


class Canvas:
    """Token ids of one sample's answer, `[MASK]` where nothing is committed yet. Owned by the sample's coroutine.

    Positions count from the canvas's first token; the prompt before it is known only by its length.
    """

    def __init__(
        self,
        prompt_length: int,
        tokens: SpecialTokens,
        sample_id: str = "0",
        decode: Callable[[Sequence[int]], str] | None = None,
    ) -> None:
        """`decode`: the text of token ids, special tokens included; None where there is no tokenizer, as in a plan."""
        self.prompt_length = prompt_length
        self.tokens = tokens
        self.sample_id = sample_id
        self.ids: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.forwards = 0
        """Forwards over this canvas so far; counted by whoever runs them."""
        self.sees: Blocks | None = None
        """What a token of the next forwards sees; None: every other."""
        self.changes: list[LengthChange] = []
        """Every change of its length, in order."""
        self.stops: list[str] = []
        """Names of the stop rule and the early commit that ended the answer before every mask was denoised."""
        self._decode = decode

    def __repr__(self) -> str:
        return f"<Canvas of {self.sample_id!r}: {len(self)} tokens, {len(self.masked())} of them masks>"

    def __len__(self) -> int:
        """Canvas length `g`, in tokens."""
        return len(self.ids)

    @property
    def text(self) -> str:
        """Its tokens as text, special ones included; empty without a tokenizer."""
        return "" if self._decode is None else self._decode(self.ids.tolist())

    @property
    def all(self) -> Positions:
        """Every position, in order."""
        return np.arange(len(self.ids), dtype=np.int64)

    def masked(self, start: int = 0, end: int | None = None) -> Positions:
        """Positions in `[start, end)` that hold no token yet, in order."""
        return np.flatnonzero(self.ids[start:end] == self.tokens.mask) + start

    def append_masks(self, count: int) -> None:
        """Lengthen the canvas by `count` masks at its end."""
        self._append(self.tokens.mask, count)

    def append_eos(self, count: int) -> None:
        """Lengthen the canvas by `count` committed EOS tokens at its end."""
        self._append(self.tokens.eos, count)

    def expand(self, position: int, count: int, limit: int) -> None:
        """Turn the mask at `position` into `count` masks. What would then stand past `limit` is cut off."""
        assert self.ids[position] == self.tokens.mask, "a committed token would be expanded"
        masks = np.full(count - 1, self.tokens.mask, dtype=np.int64)
        ids = np.concatenate([self.ids[:position], masks, self.ids[position:]])
        self._replace("insert", position, ids[:limit])

    def insert_masks(self, position: int, count: int) -> None:
        """Put `count` masks before what stands at `position`, or at the end."""
        assert 0 <= position <= len(self.ids), f"no position {position} in a canvas of {len(self.ids)}"
        masks = np.full(count, self.tokens.mask, dtype=np.int64)
        self._replace("insert", position, np.concatenate([self.ids[:position], masks, self.ids[position:]]))

    def remove_masks(self, position: int, count: int) -> None:
        """Take back `count` masks from `position` on."""
        taken = self.ids[position : position + count]
        assert taken.tolist() == [self.tokens.mask] * count, "a committed token would be removed"
        self._replace("remove", position, np.concatenate([self.ids[:position], self.ids[position + count :]]))

    def crop(self, length: int) -> None:
        """Keep the first `length` positions."""
        assert 0 <= length <= len(self.ids), f"cannot crop a canvas of {len(self.ids)} to {length}"
        self._replace("crop", length, self.ids[:length].copy())

    def commit(self, positions: Positions, token_ids: NDArray[np.int64]) -> None:
        """Write tokens at masked positions. A committed token is never overwritten."""
        assert (self.ids[positions] == self.tokens.mask).all(), "a committed token would be overwritten"
        self.ids[positions] = token_ids

    def _append(self, token: int, count: int) -> None:
        added = np.full(count, token, dtype=np.int64)
        self._replace("append", len(self.ids), np.concatenate([self.ids, added]))

    def _replace(self, kind: ChangeKind, position: int, ids: NDArray[np.int64]) -> None:
        if len(ids) != len(self.ids):
            self.changes.append(LengthChange(self.forwards, kind, position, len(self.ids), len(ids)))
        self.ids = ids
