"""Recording of every forward of a sample as a frame, without changing its tokens."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import SpecialTokens
from dlm_length.denoising.canvas import Canvas, LengthChange, Positions
from dlm_length.denoising.query import Answer, DenoiseCoroutine, Denoiser, FollowUp, Query, Stat, StatSpec, resumed

NEW = -1
"""Value in `Frame.origin` of a position that was not in the forwarded canvas."""
TAIL = 32
"""Number of last canvas positions over which `Frame.eos_tail` is a mean; the default of DAEDAL's W."""

_SHOWN = StatSpec(Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.EOT)


@dataclass(frozen=True, eq=False)
class Frame:
    """One forward of one sample and the policy's changes of the canvas until the next forward or the end.

    Statistics are those of the plain softmax, whatever the policy suppresses or samples.
    """

    forward: int
    """Counted from 1, probes included."""
    probe: bool
    queried: Positions
    """Canvas positions that the policy's query has, without those of its follow-ups."""
    before: NDArray[np.int64]
    """Token ids of the forwarded canvas, (canvas,)."""
    after: NDArray[np.int64]
    """Token ids after the policy's commits and changes, (canvas after,)."""
    token: NDArray[np.int64]
    """Most likely token at each position, (canvas,)."""
    confidence: NDArray[np.float64]
    """Probability of that token, (canvas,)."""
    eos: NDArray[np.float64]
    """Probability of EOS, (canvas,)."""
    eot: NDArray[np.float64]
    """Probability of EOT, (canvas,)."""
    changes: tuple[LengthChange, ...]
    """Every change of the length after this forward, in order."""
    tokens: SpecialTokens
    recomputed: Positions | None = None
    """Canvas positions that a partial forward recomputed; the others have the statistics of their last computation.
    None: the forward computed everything."""
    stops: tuple[str, ...] = ()
    """Names of the early commit and the stop rule that ended the answer after this forward."""

    @property
    def window(self) -> tuple[int, int] | None:
        """First queried position and the one after the last; None if nothing was queried."""
        return (int(self.queried.min()), int(self.queried.max()) + 1) if self.queried.size else None

    @property
    def masked(self) -> Positions:
        """Masked positions of the forwarded canvas, ascending."""
        return np.flatnonzero(self.before == self.tokens.mask)

    @property
    def origin(self) -> Positions:
        """For each position of `after`, its position in `before`, or NEW; (canvas after,)."""
        origin: Positions = np.arange(len(self.before), dtype=np.int64)
        for change in self.changes:
            match change.kind:
                case "crop":
                    origin = origin[: change.after]
                case "append":
                    origin = _with_new(origin, len(origin), change.after - change.before)
                case "insert":
                    origin = self._inserted(origin, change)
                case "remove":
                    removed = np.arange(change.position, change.position + change.before - change.after)
                    origin = np.delete(origin, removed)
        return origin

    @property
    def filled(self) -> NDArray[np.int64]:
        """The forwarded canvas with the committed tokens, before any change of its length, (canvas,)."""
        origin = self.origin
        kept = origin != NEW
        filled = self.before.copy()
        filled[origin[kept]] = self.after[kept]
        return filled

    @property
    def committed(self) -> Positions:
        """Positions of the forwarded canvas that were committed after this forward."""
        return np.flatnonzero((self.before == self.tokens.mask) & (self.filled != self.tokens.mask))

    @property
    def dropped(self) -> Positions:
        """Positions of the forwarded canvas that are not in `after`."""
        return np.setdiff1d(np.arange(len(self.before), dtype=np.int64), self.origin)

    @property
    def new(self) -> Positions:
        """Inserted and appended positions of `after`."""
        return np.flatnonzero(self.origin == NEW)

    @property
    def done(self) -> int:
        """Number of tokens in `after` other than MASK."""
        return int((self.after != self.tokens.mask).sum())

    @property
    def eos_density(self) -> float:
        """Share of the masks that predict EOS (rho-EOS's density); NaN without masks."""
        masked = self.masked
        return float((self.token[masked] == self.tokens.eos).mean()) if masked.size else float("nan")

    @property
    def eos_tail(self) -> float:
        """Mean p(EOS) over the last TAIL positions, masked or not; over all positions of a shorter canvas.

        This is DAEDAL's EOS confidence as the paper defines it, for W = TAIL.
        """
        return float(self.eos[-TAIL:].mean()) if self.eos.size else float("nan")

    def _inserted(self, origin: Positions, change: LengthChange) -> Positions:
        """`origin` after an insertion, without the positions that it pushed past the canvas's limit.

        The change records by how much the canvas grew; if it was cut at its limit, more masks were inserted. Their
        number is the smallest for which all tokens committed before are found at their new positions.
        """
        grown = change.after - change.before
        candidates = (
            _with_new(origin, change.position, grown + pushed)[: change.after]
            for pushed in range(change.before - change.position)
        )
        return next(filter(self._keeps_tokens, candidates), _with_new(origin, change.position, grown))

    def _keeps_tokens(self, origin: Positions) -> bool:
        """Whether `after` has every committed token of `before` where `origin` puts it."""
        length = min(len(origin), len(self.after))
        origin, after = origin[:length], self.after[:length]
        before = np.where(origin == NEW, self.tokens.mask, self.before[origin])
        committed = before != self.tokens.mask
        return bool((after[committed] == before[committed]).all())


class Traced:
    """A policy whose forwards are recorded: it denoises as the given policy and passes on a frame per forward.

    This costs head rows for the whole canvas in every forward, but no further forward.
    """

    def __init__(self, policy: Denoiser, on_frame: Callable[[Frame], None]) -> None:
        """`on_frame`: called with each frame when the policy requests its next forward, or ends."""
        self._policy = policy
        self._on_frame = on_frame

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        with closing(self._policy.denoise(canvas)) as coroutine:
            query: Query | FollowUp | None = next(coroutine, None)
            shown = Answer()
            while query is not None:
                forward = query
                assert isinstance(forward, Query), "a follow-up needs a forward before it"
                answer = yield forward
                before, changes, stops = canvas.ids.copy(), len(canvas.changes), len(canvas.stops)
                recomputed = None if forward.recompute is None else forward.recompute[forward.recompute >= 0]
                if recomputed is None:
                    shown = yield FollowUp(canvas.all, _SHOWN)
                else:  # a cache was read: the other positions keep their last statistics
                    shown = _updated(shown, len(canvas), recomputed, (yield FollowUp(recomputed, _SHOWN)))
                while isinstance(query := resumed(coroutine, answer), FollowUp):
                    answer = yield query
                self._on_frame(
                    Frame(
                        forward=canvas.forwards,
                        probe=forward.probe,
                        queried=forward.positions,
                        before=before,
                        after=canvas.ids.copy(),
                        token=shown.token,
                        confidence=shown.confidence,
                        eos=shown.eos,
                        eot=shown.eot,
                        changes=tuple(canvas.changes[changes:]),
                        tokens=canvas.tokens,
                        recomputed=recomputed,
                        stops=tuple(canvas.stops[stops:]),
                    )
                )


def _updated(shown: Answer, length: int, positions: Positions, new: Answer) -> Answer:
    """`shown`, (canvas,) each, with the statistics of `positions` replaced by `new`.

    `length`: of the canvas, which may have grown; `positions` include its new ones.
    """
    updated = {}
    for name in ("token", "confidence", "eos", "eot"):
        before: NDArray[Any] = getattr(shown, name)
        updated[name] = np.zeros(length, dtype=before.dtype)
        updated[name][: len(before)] = before
        updated[name][positions] = getattr(new, name)
    return Answer(**updated)


@dataclass(frozen=True, eq=False)
class Trace:
    """One answer from its first forward to its last, with its prompt and its cost."""

    experiment: str
    benchmark: str
    model: str
    policy: Mapping[str, Any]
    """Its name and parameters, as JSON values."""
    sample_id: str
    prompt: str
    """With the chat template, if there is one."""
    answer: str
    """Without special tokens."""
    prompt_length: int
    """In tokens."""
    e_token: int
    """Tokens of the final canvas other than EOS and EOT."""
    nfe: int
    """Number of forwards."""
    probe_nfe: int
    """Number of the forwards that are probes."""
    length_sum: int
    """Sum over the forwards of prompt and canvas tokens."""
    head_rows: int
    """Positions that went through the vocabulary head, without those of the recording itself."""
    frames: Sequence[Frame]
    """At least one."""
    text: Callable[[int], str]
    """Gives the display form of a token id."""


def _with_new(origin: Positions, position: int, count: int) -> Positions:
    """`origin` with `count` new positions inserted before `position`."""
    return np.concatenate([origin[:position], np.full(count, NEW, dtype=np.int64), origin[position:]])
