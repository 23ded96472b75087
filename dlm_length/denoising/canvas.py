"""The canvas: the generated part of one sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import SpecialTokens, counted

Positions = NDArray[np.int64]
ChangeKind = Literal["append", "insert", "remove", "crop"]
"""crop: everything from a position on is dropped. remove: inserted masks are dropped again."""


@dataclass(frozen=True)
class LengthChange:
    """One change of the canvas length."""

    forward: int
    """Number of the forward that it followed, from 1; 0: before the first."""
    kind: ChangeKind
    position: int
    """The first appended, inserted or dropped position; for an expanded mask, the position of the mask."""
    before: int
    """Canvas length before the change, in tokens."""
    after: int
    """Canvas length after the change, in tokens."""


@dataclass(frozen=True)
class BlockCausalAttention:
    """Block-causal attention: a token attends to its own block and those before it, in prompt and canvas."""

    size: int
    """Tokens of a block."""
    offset: int = 0
    """Position of the prompt's first token within its block."""
    ignored_token: int | None = None
    """Id of a token that no other attends to and that has no position id of its own; None: there is none."""
    ignored_before: int = 0
    """Canvas position from which on this token is like any other; in the prompt it is always ignored."""


class Canvas:
    """Token ids of one sample's answer, with MASK at the positions without a committed token.

    It belongs to the sample's coroutine. Positions count from the canvas's first token; of the prompt it has the length
    alone.
    """

    def __init__(
        self,
        prompt_length: int,
        tokens: SpecialTokens,
        sample_id: str = "0",
        decode: Callable[[Sequence[int]], str] | None = None,
    ) -> None:
        """`decode`: converts token ids to text with special tokens; None without a tokenizer, as in a dry run."""
        self.prompt_length = prompt_length
        self.tokens = tokens
        self.sample_id = sample_id
        self.ids: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.forwards = 0
        """Number of forwards so far; counted by the engine."""
        self.attention: BlockCausalAttention | None = None
        """The attention of the next forwards; None: bidirectional."""
        self.changes: list[LengthChange] = []
        """Every change of its length, in order."""
        self.stops: list[str] = []
        """Names of the stop rule and early commit, if any, that ended the answer before every mask was denoised."""
        self._decode = decode

    def __repr__(self) -> str:
        return f"<Canvas of {self.sample_id!r}: {counted(len(self), 'token')}, {len(self.masked())} of them masks>"

    def __len__(self) -> int:
        """Canvas length `g`, in tokens."""
        return len(self.ids)

    @property
    def text(self) -> str:
        """Its tokens as text, special tokens included; empty without a tokenizer."""
        return "" if self._decode is None else self._decode(self.ids.tolist())

    @property
    def all(self) -> Positions:
        """All positions, ascending."""
        return np.arange(len(self.ids), dtype=np.int64)

    def masked(self, start: int = 0, end: int | None = None) -> Positions:
        """Masked positions in `[start, end)`, ascending; `end`: None for the canvas's end."""
        return np.flatnonzero(self.ids[start:end] == self.tokens.mask) + start

    def append_masks(self, count: int) -> None:
        """Lengthen the canvas by `count` masks at its end."""
        self._append(self.tokens.mask, count)

    def append_eos(self, count: int) -> None:
        """Lengthen the canvas by `count` committed EOS tokens at its end."""
        self._append(self.tokens.eos, count)

    def expand(self, position: int, count: int, limit: int) -> None:
        """Replace the mask at `position` by `count` masks. Positions from `limit` on are cut off."""
        assert self.ids[position] == self.tokens.mask, "a committed token would be expanded"
        masks = np.full(count - 1, self.tokens.mask, dtype=np.int64)
        ids = np.concatenate([self.ids[:position], masks, self.ids[position:]])
        self._replace("insert", position, ids[:limit])

    def insert_masks(self, position: int, count: int) -> None:
        """Insert `count` masks before `position`, which may be the canvas's end."""
        assert 0 <= position <= len(self.ids), f"no position {position} in a canvas of {len(self.ids)}"
        masks = np.full(count, self.tokens.mask, dtype=np.int64)
        self._replace("insert", position, np.concatenate([self.ids[:position], masks, self.ids[position:]]))

    def remove_masks(self, position: int, count: int) -> None:
        """Remove the `count` masks from `position` on."""
        taken = self.ids[position : position + count]
        assert taken.tolist() == [self.tokens.mask] * count, "a committed token would be removed"
        self._replace("remove", position, np.concatenate([self.ids[:position], self.ids[position + count :]]))

    def crop(self, length: int) -> None:
        """Keep the first `length` positions."""
        assert 0 <= length <= len(self.ids), f"cannot crop a canvas of {len(self.ids)} to {length}"
        self._replace("crop", length, self.ids[:length].copy())

    def commit(self, positions: Positions, token_ids: NDArray[np.int64]) -> None:
        """Write tokens at masked positions; both arguments are (positions,). A committed token is never overwritten."""
        assert (self.ids[positions] == self.tokens.mask).all(), "a committed token would be overwritten"
        self.ids[positions] = token_ids

    def _append(self, token: int, count: int) -> None:
        added = np.full(count, token, dtype=np.int64)
        self._replace("append", len(self.ids), np.concatenate([self.ids, added]))

    def _replace(self, kind: ChangeKind, position: int, ids: NDArray[np.int64]) -> None:
        if len(ids) != len(self.ids):
            self.changes.append(LengthChange(self.forwards, kind, position, len(self.ids), len(ids)))
        self.ids = ids
