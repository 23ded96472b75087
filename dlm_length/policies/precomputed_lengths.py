"""Canvas lengths that are known before a sample begins: for controls that depend on all samples or on earlier runs."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

from dlm_length.common import TokenCount, UserError
from dlm_length.denoising import Canvas
from dlm_length.policies.base import Policy


class PrecomputedLengths(Policy):
    """A policy with a canvas length for each sample, determined before the first one begins."""

    lengths: Mapping[str, TokenCount] | None = None
    """Canvas length of each sample by its id; None: determined when the run begins."""

    def with_lengths(self, lengths: Mapping[str, int]) -> Self:
        """The same policy with a length for every sample."""
        return self.model_copy(update={"lengths": lengths})

    def precomputed_length(self, canvas: Canvas) -> int:
        """The length for this canvas's sample. Raises UserError if it is missing or no lengths are known yet."""
        if self.lengths is None:
            raise UserError(
                f"policy {self.name!r}: needs a length for every sample before it begins: `dlmlen run` finds them, or"
                " give `lengths` by sample id; random_length may also be Engine.generate's only policy."
            )
        if canvas.sample_id not in self.lengths:
            raise UserError(f"policy.lengths: no length is given for sample {canvas.sample_id!r}.")
        return self.lengths[canvas.sample_id]


class LengthsFromRuns(PrecomputedLengths):
    """A policy whose lengths are fitted to the records of finished runs."""

    @abstractmethod
    def earlier(self) -> tuple[Policy, ...]:
        """The policies of those runs, whose configs differ from this one in nothing else."""

    @abstractmethod
    def fit(self, scores: Sequence[Mapping[str, float | None]]) -> Self:
        """The same policy with a length for every sample. `scores`: of each of the `earlier` runs, by sample id."""
