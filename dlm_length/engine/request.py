"""One prompt for the engine, with the policies that answer it."""

from collections.abc import Sequence
from dataclasses import dataclass

from dlm_length.denoising import Denoiser


@dataclass(frozen=True)
class Request:
    """A prompt and the policies that each answer it; they advance together and share the forwards that are equal."""

    index: int
    """What `Generation.index` will say; no two that are under way have the same. The lowest is forwarded first."""
    sample_id: str
    """Names the sample's random streams."""
    prompt: Sequence[int]
    """Token ids."""
    arms: Sequence[Denoiser | None]
    """None where there is no such arm; `Generation.arm` is the place among them."""
