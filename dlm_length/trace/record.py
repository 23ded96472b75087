"""Recording every forward of one sample as a frame, without changing any token."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlm_length.common import SpecialTokens
from dlm_length.denoising.canvas import Canvas, LengthChange, Positions
from dlm_length.denoising.query import Answer, DenoiseCoroutine, Denoiser, FollowUp, Query, Stat, StatSpec

NEW = -1
"""In `Frame.origin`: a position that was not in the forwarded canvas."""
TAIL = 32
"""Positions at the end of the canvas over which `Frame.eos_tail` is a mean; DAEDAL's W, for every policy."""

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
    """Canvas positions that the policy queried, without its follow-ups to the same forward."""
    before: NDArray[np.int64]
    """Token ids of the forwarded canvas, (canvas,)."""
    after: NDArray[np.int64]
    """Token ids after the policy's commits and changes, (canvas after,)."""
    token: NDArray[np.int64]
    """Most likely token, (canvas,) as the three below."""
    confidence: NDArray[np.float64]
    """Probability of that token."""
    eos: NDArray[np.float64]
    eot: NDArray[np.float64]
    changes: tuple[LengthChange, ...]
    """Every change of the length after this forward, in order."""
    tokens: SpecialTokens
    recomputed: Positions | None = None
    """Canvas positions that a partial forward computed; statistics of the others are those of their last computation.
    None: the forward computed all, the prompt included."""
    stops: tuple[str, ...] = ()
    """Names of the early commit and the stop rule that ended the answer after this forward."""

    @property
    def window(self) -> tuple[int, int] | None:
        """First queried position and the one after the last; None where nothing was queried."""
        return (int(self.queried.min()), int(self.queried.max()) + 1) if self.queried.size else None

    @property
    def masked(self) -> Positions:
        """Positions of the forwarded canvas that were masked."""
        return np.flatnonzero(self.before == self.tokens.mask)

    @property
    def origin(self) -> Positions:
        """For each position of the canvas after, its position in the forwarded one, or NEW; (canvas after,)."""
        origin: Positions = np.arange(len(self.before), dtype=np.int64)
        for change in self.changes:
            match change.kind:
                case "crop":
                    origin = origin[: change.after]
                case "append":
                    origin = _opened(origin, len(origin), change.after - change.before)
                case "insert":
                    origin = self._inserted(origin, change)
                case "remove":
                    removed = np.arange(change.position, change.position + change.before - change.after)
                    origin = np.delete(origin, removed)
        return origin

    @property
    def filled(self) -> NDArray[np.int64]:
        """The forwarded canvas with what was committed, before any change of its length, (canvas,)."""
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
        """Positions of the forwarded canvas that were cut off."""
        return np.setdiff1d(np.arange(len(self.before), dtype=np.int64), self.origin)

    @property
    def new(self) -> Positions:
        """Positions of the canvas after that were inserted or appended."""
        return np.flatnonzero(self.origin == NEW)

    @property
    def done(self) -> int:
        """Tokens of the canvas after that are not MASK."""
        return int((self.after != self.tokens.mask).sum())

    @property
    def eos_density(self) -> float:
        """Share of the masks that predict EOS (rho-EOS's density); NaN where there is no mask."""
        masked = self.masked
        return float((self.token[masked] == self.tokens.eos).mean()) if masked.size else float("nan")

    @property
    def eos_tail(self) -> float:
        """Mean p(EOS) of the last TAIL positions, or of all in a shorter canvas, masks or not.

        At W = TAIL that is DAEDAL's EOS confidence as its paper defines it.
        """
        return float(self.eos[-TAIL:].mean()) if self.eos.size else float("nan")

    def _inserted(self, origin: Positions, change: LengthChange) -> Positions:
        """`origin` with the masks of an insertion, and without what they pushed over the end.

        A change records by how much the canvas grew; more masks were inserted where the canvas was cut at its limit.
        Their number is the smallest with which every token committed earlier keeps its position.
        """
        grown = change.after - change.before
        candidates = (
            _opened(origin, change.position, grown + pushed)[: change.after]
            for pushed in range(change.before - change.position)
        )
        return next(filter(self._keeps_tokens, candidates), _opened(origin, change.position, grown))

    def _keeps_tokens(self, origin: Positions) -> bool:
        length = min(len(origin), len(self.after))
        origin, after = origin[:length], self.after[:length]
        before = np.where(origin == NEW, self.tokens.mask, self.before[origin])
        committed = before != self.tokens.mask
        return bool((after[committed] == before[committed]).all())


class Traced:
    """A traced policy: it denoises as the policy does, and passes on every forward as a frame.

    It costs additional head rows for the whole canvas per forward, but no additional forward.
    """

    def __init__(self, policy: Denoiser, on_frame: Callable[[Frame], None]) -> None:
        """`on_frame` is called when the policy is done with a forward: at its next one, or at its end."""
        self._policy = policy
        self._on_frame = on_frame

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        with closing(self._policy.denoise(canvas)) as coroutine:
            query: Query | FollowUp | None = next(coroutine, None)
            shown = Answer()
            while query is not None:
                forward = query
                assert isinstance(forward, Query), "the policy asks of a forward that was not made"
                answer = yield forward
                before, changes, stops = canvas.ids.copy(), len(canvas.changes), len(canvas.stops)
                recomputed = None if forward.recompute is None else forward.recompute[forward.recompute >= 0]
                if recomputed is None:
                    shown = yield FollowUp(canvas.all, _SHOWN)
                else:  # of a cache: positions that were not recomputed keep their last statistics
                    shown = _updated(shown, len(canvas), recomputed, (yield FollowUp(recomputed, _SHOWN)))
                while isinstance(query := _resumed(coroutine, answer), FollowUp):
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
    """`shown`, (canvas,) each, with the statistics of some positions replaced; `length`: of the canvas, which may have
    grown by such positions.
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
    """As the model saw it."""
    answer: str
    """Special tokens left out."""
    prompt_length: int
    """In tokens."""
    e_token: int
    """Tokens of the answer's canvas that are neither EOS nor EOT."""
    nfe: int
    """Forwards."""
    probe_nfe: int
    """Of them probes."""
    length_sum: int
    """Sum over the forwards of prompt and canvas tokens."""
    head_rows: int
    """Positions through the vocabulary head, without those that only the tracing queried."""
    frames: Sequence[Frame]
    """At least one."""
    text: Callable[[int], str]
    """A token id as it is displayed."""


def _resumed(coroutine: DenoiseCoroutine, answer: Answer) -> Query | FollowUp | None:
    """The coroutine's next query; None at its end."""
    try:
        return coroutine.send(answer)
    except StopIteration:
        return None


def _opened(origin: Positions, position: int, count: int) -> Positions:
    """`origin` with `count` new positions before `position`."""
    return np.concatenate([origin[:position], np.full(count, NEW, dtype=np.int64), origin[position:]])
