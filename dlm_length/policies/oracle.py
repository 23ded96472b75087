"""The oracle: the shortest canvas on which the answer is known to be correct."""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from dlm_length.common import Probability, TokenCount
from dlm_length.denoising import Canvas, Decoder, DenoiseCoroutine
from dlm_length.policies.base import Policy, Role
from dlm_length.policies.fixed import Fixed
from dlm_length.policies.precomputed_lengths import LengthsFromRuns


class Oracle(LengthsFromRuns, Decoder):
    """The shortest of several canvases on which an earlier run answered the sample correctly, else the longest."""

    source: ClassVar[str] = "an upper bound for every choice of length; no paper's method"
    title: ClassVar[str] = "Oracle length"
    label_fields: ClassVar[tuple[str, ...]] = ("ladder",)
    role: ClassVar[Role] = "control"
    lengths_charged: ClassVar[bool] = False
    palette_place: ClassVar[int | None] = 2
    name: Literal["oracle"] = "oracle"
    ladder: Annotated[tuple[TokenCount, ...], Field(min_length=1, strict=False)] = (64, 128, 256, 512, 1024)
    """Canvas lengths, each with a finished run of policy `fixed` on the same benchmark, model and decoding."""
    correct_at: Probability = 1.0
    """A score of at least this counts as correct."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.precomputed_length(canvas))
        yield from self.decode(canvas)

    def earlier(self) -> tuple[Fixed, ...]:
        """The policies of the earlier runs, by ascending canvas length."""
        decoding = {field: getattr(self, field) for field in Decoder.model_fields}
        return tuple(Fixed(length=length, **decoding) for length in sorted(set(self.ladder)))

    def fit(self, scores: Sequence[Mapping[str, float | None]]) -> Self:
        lengths: dict[str, int] = {}
        for policy, of_run in reversed(list(zip(self.earlier(), scores, strict=True))):
            for sample_id, score in of_run.items():
                if sample_id not in lengths or (score is not None and score >= self.correct_at):
                    lengths[sample_id] = policy.length
        return self.with_lengths(lengths)

    def worst_case(self) -> Policy:
        longest = self.earlier()[-1]
        return longest.model_copy(update={"length": max(self.lengths.values())}) if self.lengths else longest
