"""The JSON of a trace, which a page of `dlmlen trace --html` has in its element `trace` (docs/trace.md).

Frames are stored as differences and under short keys, so that 500 forwards over 2,000 positions take a few megabytes.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt

Segment = tuple[Annotated[int, Field(ge=-1)], int] | tuple[Literal[-1], int, int]
"""Adjacent positions: (former position of the first, count), or for new ones (-1, count, the token of all)."""
Change = tuple[Literal["crop", "append", "insert", "remove"], int, int, int]
"""A change of the length: its kind, its position, the length before and the length after."""
Packed = Annotated[str, Field(pattern=r"^([0-9a-z]{2})*$")]
"""Probabilities in thousandths, two base-36 digits each (00 to rs)."""
Gaps = list[int]
"""Ascending canvas positions, each as its distance to the one before; the first as its distance to position 0."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class FrameData(_Model):
    """One forward and the policy's changes of the canvas after it. Keys with the value null or false are left out.

    The canvas before a frame is the canvas after the previous one; before the first it is `TraceData.first`. The
    per-mask fields list the masks of that canvas from left to right.
    """

    probe: Literal[True] | None = None
    """The forward is a probe, which only serves to choose a length."""
    window: tuple[int, int] | None = Field(default=None, alias="w")
    """First position that the policy queried and the one after the last; left out where it queried none."""
    committed: Gaps = Field(alias="c")
    """Positions that were committed after this forward."""
    committed_tokens: list[int] = Field(alias="t")
    """Token ids of `committed`, in its order."""
    confidences: Packed = Field(alias="m")
    """Probability of the most likely token, for each mask."""
    eos: Packed = Field(alias="e")
    """Probability of EOS, for each mask."""
    predicted: Gaps = Field(alias="p")
    """Masked positions whose most likely token differs from that in the frame before, or that had none."""
    predicted_tokens: list[int] = Field(alias="q")
    """Token ids of `predicted`, in its order."""
    eos_density: float | None = Field(default=None, alias="d", ge=0, le=1)
    """Share of the masks whose most likely token is EOS; left out where there is no mask."""
    eos_tail: float | None = Field(default=None, alias="l", ge=0)
    """Mean probability of EOS over the last `TraceData.tail` positions, masked or not."""
    segments: tuple[Segment, ...] | None = Field(default=None, alias="r")
    """The canvas after the frame, as parts of this frame's canvas and new positions; only if its length changed."""
    changes: tuple[Change, ...] | None = Field(default=None, alias="ch")
    """Every change of the length after this forward, in order."""
    recomputed: Gaps | None = Field(default=None, alias="x")
    """Positions that a partial forward recomputed, while the others keep their last statistics; left out if the forward
    computed everything."""
    stops: tuple[str, ...] | None = Field(default=None, alias="s")
    """Names of the early commit and the stop rule that ended the answer after this forward."""
    termination_cdf: Packed | None = Field(default=None, alias="f")
    """SmartCrop's F(i) for every position of the canvas; for probes only."""


class TraceData(_Model):
    """A trace: the prompt, the cost, and every forward."""

    facts: list[tuple[str, str]]
    """Names and values to show above the answer."""
    policy: dict[str, Any]
    """The policy's name and parameters."""
    prompt: str
    """With the chat template, if there is one."""
    answer: str
    """Without special tokens."""
    mask: NonNegativeInt
    """Token id of MASK."""
    ends: tuple[NonNegativeInt, ...]
    """Token ids that end an answer: EOS and, where the checkpoint has one, EOT."""
    texts: dict[int, str]
    """How each token id that occurs is displayed."""
    tau: float | None
    """SmartCrop's threshold; null for a policy that does not crop by it."""
    tail: int
    """Positions at the end of the canvas over which `eos_tail` is a mean."""
    first: list[int]
    """Token ids of the canvas before the first forward."""
    frames: Annotated[tuple[FrameData, ...], Field(min_length=1)]
    """The forwards, in order."""

    def as_json(self) -> dict[str, Any]:
        """JSON values under the keys that the page reads."""
        frames = [frame.model_dump(mode="json", by_alias=True, exclude_none=True) for frame in self.frames]
        return self.model_dump(mode="json", exclude={"frames"}) | {"frames": frames}
