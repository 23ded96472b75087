"""What the engine gives back for one sample."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from textwrap import shorten

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Denoiser, LengthChange, TwoPass
from dlm_length.engine.ledger import Ledger
from dlm_length.models import Tokenizer


@dataclass(frozen=True, repr=False)
class Generation:
    """One finished sample, or one that failed: then `error` says why, and the canvas is the one at that point."""

    index: int
    """Place of its prompt in the list given to `Engine.generate`."""
    arm: int
    """Place of its policy among those of its prompt; 0 outside `Engine.generate_arms`."""
    sample_id: str
    prompt_ids: list[int]
    canvas_ids: list[int]
    """The whole final canvas, EOS included."""
    trajectory: list[int]
    """Canvas length at each forward."""
    changes: list[LengthChange]
    """Every change of that length: which forward it came after, where, lengths before and after."""
    forwards: list[tuple[int, int]]
    """(positions computed, positions whose keys and values were reused) of each forward, probes included."""
    ran_uncached: bool
    """Whether the memory did not suffice for its policy's cache, from the first forward on or from a later one."""
    ledger: Ledger
    error: str | None
    tokens: SpecialTokens
    tokenizer: Tokenizer

    def __repr__(self) -> str:
        lengths = f"n_token {self.n_token}, e_token {self.e_token}, NFE {self.ledger.total.nfe}"
        shown = f"error {self.error!r}" if self.error is not None else repr(shorten(self.text(), 60, placeholder="..."))
        return f"<Generation {self.sample_id!r}: {lengths}, {shown}>"

    @property
    def n_token(self) -> int:
        """Final canvas length in tokens."""
        return len(self.canvas_ids)

    @property
    def e_token(self) -> int:
        """Canvas tokens that are neither EOS nor EOT, wherever they stand (DAEDAL's effective tokens)."""
        return sum(token not in self.tokens.ends for token in self.canvas_ids)

    def text(self) -> str:
        """The answer, special tokens left out wherever they stand."""
        return self.tokenizer.decode(self.canvas_ids)


def find_lengths(policy: Denoiser, generate: Callable[[Denoiser], Iterable[Generation]]) -> Denoiser:
    """`policy`, or where it must know the lengths of all samples first, that policy with them.

    `generate`: denoises all samples by the length pass that it is given.
    """
    if not isinstance(policy, TwoPass) or (length_pass := policy.length_pass()) is None:
        return policy
    found = generate(length_pass)
    return policy.after_length_pass({each.sample_id: each.n_token if each.error is None else None for each in found})
