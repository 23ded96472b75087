"""What a coroutine requests from the mask predictor, and what it gets back."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Flag, auto
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dlm_length.common.plugins import faults_named
from dlm_length.denoising.canvas import Canvas, Positions


class Stat(Flag):
    """Statistics of the softmax `p` at a position; `pred` is its most likely token, after Gumbel noise at T > 0."""

    TOKEN = auto()
    """`pred`."""
    CONFIDENCE = auto()
    """`p(pred)`, never noised."""
    EOS = auto()
    """`p(EOS)`."""
    EOT = auto()
    """`p(EOT)`; 0 for a checkpoint without that token."""
    MARGIN = auto()
    """Highest minus second highest probability."""
    ENTROPY = auto()
    """Shannon entropy of `p`, in nats."""
    BEST_UNMASKED = auto()
    """The most likely token other than MASK, and its probability once MASK is excluded and the rest renormalised."""
    LOGIT_GAP = auto()
    """Highest minus second highest logit."""
    UNIFORM = auto()
    """A uniform random number in [0, 1) of the sample's own stream."""
    DIVERGENCE = auto()
    """Jensen-Shannon divergence, in nats, of `p` and the softmax at the place that the sample's forward before this one
    kept for this position (`Query.keep_hidden`). Costs two head rows a position: what is kept are hidden states."""


@dataclass(frozen=True)
class StatSpec:
    """How the vocabulary head's logits become statistics. Queries with an equal StatSpec are reduced together."""

    want: Stat
    suppress: tuple[int, ...] = ()
    """Ids whose logits are minus infinity before anything else."""
    confidence_without: tuple[int, ...] = ()
    """Ids taken out of the softmax after `pred` is chosen: where `pred` is one of them, its confidence is 0."""
    temperature: float = 0.0
    """Sampling temperature of `pred`; 0 is greedy."""
    top_k: int | None = None
    """All statistics are of this many most likely tokens alone; None: of the whole vocabulary."""
    top_p: float | None = None
    """All statistics are of the most likely tokens alone that together have this probability, the one that exceeds it
    included; None: of the whole vocabulary."""
    tempered: bool = False
    """Whether all statistics, `top_p` included, are of the softmax at `temperature` in place of that at 1."""

    def head_rows(self, positions: int) -> int:
        """Rows through the vocabulary head for the statistics of `positions` positions."""
        return positions * (2 if Stat.DIVERGENCE in self.want else 1)


@dataclass(frozen=True)
class Query:
    """One forward over prompt and canvas, and statistics of some canvas positions."""

    canvas: Canvas
    positions: Positions
    head: StatSpec
    probe: bool = False
    """Whether this forward only looks for a length; the ledger shows probes apart."""
    recompute: Positions | None = None
    """Canvas positions computed anew, ascending, those before 0 counting back into the prompt; keys and values of all
    others are those of their last computation, which an earlier query must have kept: positions behind what was kept
    are all computed. None: everything is."""
    keep: bool = False
    """Whether keys and values are kept from this forward on, until the sample's next full forward or its end."""
    keep_hidden: Positions | None = None
    """Canvas positions of this forward that the sample's next forward may be compared with by Stat.DIVERGENCE: of these
    many positions, which meet them in their order. Until then their hidden states stay on the device."""


@dataclass(frozen=True)
class FollowUp:
    """Statistics of more positions of this sample's latest forward: costs head rows, no forward."""

    positions: Positions
    head: StatSpec


def _absent() -> NDArray[np.float64]:
    return np.empty(0)


def _no_ids() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Answer:
    """The requested statistics, each (positions,) in the order of the positions; the others are empty."""

    token: NDArray[np.int64] = field(default_factory=_no_ids)
    confidence: NDArray[np.float64] = field(default_factory=_absent)
    eos: NDArray[np.float64] = field(default_factory=_absent)
    eot: NDArray[np.float64] = field(default_factory=_absent)
    margin: NDArray[np.float64] = field(default_factory=_absent)
    entropy: NDArray[np.float64] = field(default_factory=_absent)
    unmasked_token: NDArray[np.int64] = field(default_factory=_no_ids)
    unmasked_confidence: NDArray[np.float64] = field(default_factory=_absent)
    logit_gap: NDArray[np.float64] = field(default_factory=_absent)
    uniform: NDArray[np.float64] = field(default_factory=_absent)
    divergence: NDArray[np.float64] = field(default_factory=_absent)

    @property
    def undefined(self) -> bool:
        """Whether any statistic is not a number: the model's logits overflowed, or its weights are broken."""
        return any(bool(np.isnan(getattr(self, f.name)).any()) for f in fields(self))

    def among(self, chosen: slice | NDArray[np.int64]) -> "Answer":
        """The answer for some of its positions: a part of them, or their indices."""
        return Answer(**{f.name: values[chosen] for f in fields(self) if (values := getattr(self, f.name)).size})

    def split(self, counts: Sequence[int]) -> "Iterator[Answer]":
        """Cut an answer for several samples, `counts` positions each, into theirs."""
        start = 0
        for count in counts:
            yield Answer(**{f.name: getattr(self, f.name)[start : start + count] for f in fields(self)})
            start += count


Result = TypeVar("Result")

SubCoroutine = Generator[Query | FollowUp, Answer, Result]
"""Part of a coroutine with a result of its own: `result = yield from ...`."""

DenoiseCoroutine = SubCoroutine[None]
"""The coroutine of one sample: yields queries, receives their answers, and leaves its canvas without masks."""


@runtime_checkable
class TwoPass(Protocol):
    """A policy that must know the lengths of all samples before the first one begins."""

    def length_pass(self) -> "Denoiser | None":
        """What leaves each sample's canvas as long as it found; None where the lengths are known already."""

    def after_length_pass(self, lengths: Mapping[str, int | None]) -> "Denoiser":
        """The policy with those lengths, by sample id; None where the sample could not be run."""


class Denoiser(Protocol):
    """What the engine needs of a length policy."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        """The coroutine that fills one sample's canvas, which comes empty."""


def coroutine_of(policy: Denoiser, canvas: Canvas, doing: str = "denoise") -> DenoiseCoroutine:
    """The policy's coroutine for a canvas. Errors of a policy from outside the package name where it comes from."""
    with faults_named(policy, doing):
        yield from policy.denoise(canvas)
