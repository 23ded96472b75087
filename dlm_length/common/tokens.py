"""The special tokens of a checkpoint."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SpecialTokens:
    """Token ids that samplers treat specially. They come from the checkpoint, never from an algorithm."""

    mask: int
    """Not yet denoised."""
    eos: int
    """Ends the answer and pads the rest of the canvas."""
    eot: int | None = None
    """Ends a chat message, where the checkpoint has such a token other than EOS."""

    @property
    def ends(self) -> tuple[int, ...]:
        """EOS and, where there is one, EOT."""
        return (self.eos,) if self.eot is None else (self.eos, self.eot)
