"""Whether runs have the same tokens, where they first differ, and what differs between their machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from dlm_length.analysis.runs import Run
from dlm_length.records import read_samples

ROUNDING = (
    "device_name",
    "dtype",
    "attention",
    "fused",
    "batch_invariant",
    "compile",
    "torch",
    "transformers",
    "cuda",
    "triton",
    "max_batch_tokens",
    "runs_together",
    "threads",
    "checkpoint",
    "dlmlen",
    "git_commit",
)
"""Fields of environment.json that can change the last bits of a probability, the most likely first."""


@dataclass(frozen=True)
class Agreement:
    """Token agreement of two runs over the samples that both have."""

    samples: int
    """Number of samples that both have."""
    equal_samples: int
    """Number of samples whose canvases are equal, token for token."""
    positions: int
    """Positions of the longer canvas, summed over samples."""
    equal_positions: int
    """Positions with equal tokens, summed over samples."""
    first_differences: Mapping[str, int]
    """By the id of each sample that differs, the first canvas position that does, from 0."""

    @property
    def equal_share(self) -> float | None:
        """Share of positions with equal tokens; None where there are no positions."""
        return self.equal_positions / self.positions if self.positions else None


def token_agreement(first: Mapping[str, Sequence[int]], second: Mapping[str, Sequence[int]]) -> Agreement:
    """Compare two runs' canvases, (positions,) token ids by sample id; samples that only one has are left out."""
    shared = [(name, first[name], second[name]) for name in first if name in second]
    differing = {name: place for name, one, other in shared if (place := first_difference(one, other)) is not None}
    return Agreement(
        len(shared),
        len(shared) - len(differing),
        sum(max(len(one), len(other)) for _, one, other in shared),
        sum(a == b for _, one, other in shared for a, b in zip_longest(one, other)),
        differing,
    )


def first_difference(one: Sequence[int], other: Sequence[int]) -> int | None:
    """The first position, from 0, at which two canvases differ or one has ended; None where they are equal."""
    pairs = enumerate(zip_longest(one, other))
    return next((place for place, (a, b) in pairs if a != b), None)


def equal_token_share(run: Run, other: Run) -> float | None:
    """Share of the longer canvas's positions with equal tokens, for runs of equal seeds; None without positions."""
    theirs = dict(zip(other.seeds, other.members, strict=True))
    pairs = [(member, theirs[seed]) for seed, member in zip(run.seeds, run.members, strict=True) if seed in theirs]
    made = [token_agreement(_canvases(one), _canvases(same_seed)) for one, same_seed in pairs]
    positions = sum(each.positions for each in made)
    return sum(each.equal_positions for each in made) / positions if positions else None


def _canvases(run: Run) -> dict[str, list[int]]:
    return {sample.id: sample.canvas_ids for sample in read_samples(run.path, only=run.samples)}


def machine_differences(
    one: Sequence[Mapping[str, object]], other: Sequence[Mapping[str, object]]
) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The fields of ROUNDING that differ between two runs, with the distinct values in the sessions of each.

    `one`, `other`: the sessions in each run's environment.json.
    """
    values = {field: (_values(one, field), _values(other, field)) for field in ROUNDING}
    return {field: pair for field, pair in values.items() if pair[0] != pair[1]}


def _values(sessions: Sequence[Mapping[str, object]], field: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(session[field]) for session in sessions if session.get(field) is not None))
