"""The engine's result for one sample."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from textwrap import shorten

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Denoiser, LengthChange, TwoPass
from dlm_length.engine.ledger import Ledger
from dlm_length.models import Tokenizer


@dataclass(frozen=True, repr=False)
class Generation:
    """A finished sample, or a failed one with the reason in `error` and the canvas at the time of the failure."""

    index: int
    """Index of its prompt in the list given to `Engine.generate`."""
    arm: int
    """Index of its policy among those of its prompt; 0 outside `Engine.generate_arms`."""
    sample_id: str
    prompt_ids: list[int]
    canvas_ids: list[int]
    """The whole final canvas, EOS included."""
    trajectory: list[int]
    """Canvas length at each forward, in tokens."""
    changes: list[LengthChange]
    """Every change of the canvas length, in order."""
    forwards: list[tuple[int, int]]
    """(positions computed, positions whose cached keys and values were reused) of each forward, probes included."""
    ran_uncached: bool
    """Whether its policy's cache was not used, for lack of memory, in all forwards or from some forward on."""
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
        """Number of canvas tokens other than EOS and EOT, at any position (DAEDAL's effective tokens)."""
        return sum(token not in self.tokens.ends for token in self.canvas_ids)

    def text(self) -> str:
        """The answer as text, without its special tokens."""
        return self.tokenizer.decode(self.canvas_ids)


def find_lengths(policy: Denoiser, generate: Callable[[Denoiser], Iterable[Generation]]) -> Denoiser:
    """`policy`; if it needs the lengths of all samples first, the policy with these, found by its length pass.

    `generate`: denoises all samples with the given policy.
    """
    if not isinstance(policy, TwoPass) or (length_pass := policy.length_pass()) is None:
        return policy
    done = generate(length_pass)
    return policy.after_length_pass({each.sample_id: each.n_token if each.error is None else None for each in done})
