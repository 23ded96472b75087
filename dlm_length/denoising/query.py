"""Queries of a coroutine to the mask predictor, and their answers."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Flag, auto
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dlm_length.common.plugin_faults import faults_named
from dlm_length.denoising.canvas import Canvas, Positions


class Stat(Flag):
    """Statistics of the softmax `p` at a position; `pred` is its most likely token, with Gumbel noise at T > 0."""

    TOKEN = auto()
    """`pred`."""
    CONFIDENCE = auto()
    """`p(pred)`, without noise."""
    EOS = auto()
    """`p(EOS)`."""
    EOT = auto()
    """`p(EOT)`; 0 for a checkpoint without EOT."""
    MARGIN = auto()
    """Highest minus second highest probability."""
    ENTROPY = auto()
    """Shannon entropy of `p`, in nats."""
    BEST_UNMASKED = auto()
    """The most likely token other than MASK, and its probability once MASK is excluded and the rest renormalised."""
    LOGIT_GAP = auto()
    """Highest minus second highest logit."""
    UNIFORM = auto()
    """A uniform random number in [0, 1), from the sample's own stream."""
    DIVERGENCE = auto()
    """Jensen-Shannon divergence, in nats, between `p` and the softmax at the corresponding position of the sample's
    previous forward (`Query.keep_hidden`). It costs two head rows per position, as hidden states are retained."""


@dataclass(frozen=True)
class StatSpec:
    """Which statistics to compute from the logits, and how. Queries with equal StatSpecs are computed together."""

    want: Stat
    """The requested statistics."""
    suppress: tuple[int, ...] = ()
    """Token ids whose logits are set to minus infinity first."""
    confidence_without: tuple[int, ...] = ()
    """Token ids excluded from the softmax once `pred` is chosen; a `pred` among them has confidence 0."""
    temperature: float = 0.0
    """Sampling temperature of `pred`; 0 is greedy."""
    top_k: int | None = None
    """Compute all statistics over this many most likely tokens; None: over the whole vocabulary."""
    top_p: float | None = None
    """Compute all statistics over the most likely tokens that together have this probability, including the one that
    exceeds it; None: over the whole vocabulary."""
    tempered: bool = False
    """Whether all statistics and `top_p` use the softmax at `temperature` instead of that at 1."""

    @property
    def changes_logits(self) -> bool:
        """Whether logits other than those of `suppress` are changed before anything is computed from them."""
        return self.tempered or self.top_k is not None or self.top_p is not None

    def head_rows(self, positions: int) -> int:
        """Rows of the vocabulary head that the statistics of so many positions take."""
        return positions * (2 if Stat.DIVERGENCE in self.want else 1)


@dataclass(frozen=True)
class Query:
    """A request for one forward over prompt and canvas, and for statistics of some canvas positions."""

    canvas: Canvas
    positions: Positions
    """Canvas positions whose statistics are requested, (positions,)."""
    head: StatSpec
    probe: bool = False
    """Whether this forward only serves to choose a length; the ledger counts probes separately too."""
    recompute: Positions | None = None
    """Canvas positions to recompute, ascending; negative ones are prompt tokens, -1 being the last. For all others the
    cached keys and values are used, so they must have been cached by an earlier query with `keep`. None: recompute
    everything."""
    keep: bool = False
    """Whether to cache keys and values from this forward on, until the sample's next full forward or its end."""
    keep_hidden: Positions | None = None
    """Canvas positions whose hidden states are retained on the device for Stat.DIVERGENCE in the sample's next forward,
    which must request it for as many positions, in the corresponding order."""


@dataclass(frozen=True)
class FollowUp:
    """A request for further statistics of this sample's latest forward: costs head rows, no forward."""

    positions: Positions
    head: StatSpec


def _absent() -> NDArray[np.float64]:
    return np.empty(0)


def _no_ids() -> NDArray[np.int64]:
    return np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Answer:
    """The requested statistics, (positions,) each, in the order of the requested positions; the others are empty."""

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
    def float32_confidence(self) -> NDArray[np.float64]:
        """`confidence` rounded to float32, for rules whose reference implementation has its softmax in that dtype: all
        confidences above 1 - 6e-8 are then 1.
        """
        return self.confidence.astype(np.float32).astype(np.float64)

    @property
    def undefined(self) -> bool:
        """Whether a statistic is NaN: the model's logits overflowed, or its weights are broken."""
        return any(bool(np.isnan(getattr(self, f.name)).any()) for f in fields(self))

    def among(self, chosen: slice | NDArray[np.int64]) -> "Answer":
        """The answer for some of its positions, given by a slice or by indices."""
        return Answer(**{f.name: values[chosen] for f in fields(self) if (values := getattr(self, f.name)).size})

    def split(self, counts: Sequence[int]) -> "Iterator[Answer]":
        """Split an answer for several samples into one each; `counts`: number of positions of each."""
        start = 0
        for count in counts:
            yield Answer(**{f.name: getattr(self, f.name)[start : start + count] for f in fields(self)})
            start += count


Result = TypeVar("Result")

SubCoroutine = Generator[Query | FollowUp, Answer, Result]
"""Part of a coroutine, with a result: `result = yield from ...`."""

DenoiseCoroutine = SubCoroutine[None]
"""The coroutine of one sample: yields queries, receives their answers, and leaves no mask in its canvas."""


@runtime_checkable
class TwoPass(Protocol):
    """A policy that needs the lengths of all samples before the first one begins."""

    def length_pass(self) -> "Denoiser | None":
        """A denoiser that leaves a canvas of the chosen length for each sample; None if the lengths are known."""

    def after_length_pass(self, lengths: Mapping[str, int | None]) -> "Denoiser":
        """The policy with these lengths. `lengths`: by sample id; None for a sample that could not be run."""


class Denoiser(Protocol):
    """The part of a length policy that the engine uses."""

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        """The coroutine that fills one sample's canvas, which is empty at first."""


def coroutine_of(policy: Denoiser, canvas: Canvas, doing: str = "denoise") -> DenoiseCoroutine:
    """The policy's coroutine for a canvas. Errors in a policy from elsewhere name its file or distribution."""
    with faults_named(policy, doing):
        yield from policy.denoise(canvas)


def resumed(coroutine: DenoiseCoroutine, answer: Answer) -> Query | FollowUp | None:
    """The coroutine's next query; None at its end."""
    try:
        return coroutine.send(answer)
    except StopIteration:
        return None
