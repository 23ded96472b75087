"""A request to the engine: one prompt, and the policies that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlm_length.denoising import Denoiser


@dataclass(frozen=True)
class Request:
    """A prompt and the policies (arms) that each answer it. The arms advance together and share equal forwards."""

    index: int
    """Becomes `Generation.index`; unique among the requests in progress. The lowest index is forwarded first."""
    sample_id: str
    """Names the sample's random streams."""
    prompt: Sequence[int]
    """Token ids."""
    arms: Sequence[Denoiser | None]
    """The policies; None for an arm that is left out. `Generation.arm` is the index in this sequence."""
