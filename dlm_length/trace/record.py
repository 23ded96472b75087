"""A record of every forward of one sample: a frame for each, and no token changed by the recording."""

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
"""In `Frame.origin`: a position that the forward's canvas did not have."""
TAIL = 32
"""Positions at the end of the canvas that `Frame.eos_tail` is a mean of; DAEDAL's W, whatever the policy's own."""

_SHOWN = StatSpec(Stat.TOKEN | Stat.CONFIDENCE | Stat.EOS | Stat.EOT)


@dataclass(frozen=True, eq=False)
class Frame:
    """One forward of one sample and what the policy made of it, up to the next forward or the end.

    Statistics are those of the plain softmax, whatever the policy suppresses or samples: what the model itself thinks.
    """

    forward: int
    """Counted from 1, probes included."""
    probe: bool
    asked: Positions
    """Canvas positions that the policy queried; what it asked of the same forward later is left out."""
    before: NDArray[np.int64]
    """Token ids of the canvas that was forwarded, (canvas,)."""
    after: NDArray[np.int64]
    """Token ids once the policy had committed and changed what it wanted, (canvas after,)."""
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
    """Canvas positions that a partial forward computed; what is said of the others is what was last computed there.
    None: all were computed, and the prompt's."""
    stops: tuple[str, ...] = ()
    """Names of the early commit and the stop rule that ended the answer after this forward."""

    @property
    def window(self) -> tuple[int, int] | None:
        """First queried position and the one behind the last; None where nothing was queried."""
        return (int(self.asked.min()), int(self.asked.max()) + 1) if self.asked.size else None

    @property
    def masked(self) -> Positions:
        """Positions of the forwarded canvas that held no token."""
        return np.flatnonzero(self.before == self.tokens.mask)

    @property
    def origin(self) -> Positions:
        """Where each position of the canvas after stood in the forwarded one, (canvas after,); NEW where nowhere."""
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
        """Positions of the forwarded canvas that got their token now."""
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

        A change tells by how much the canvas grew; the masks were more where the canvas was cut at its limit. They are
        the fewest with which every token committed earlier stands where it stood.
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
        held = before != self.tokens.mask
        return bool((after[held] == before[held]).all())


class Traced:
    """A policy that is watched: it denoises as it does alone, and every forward is handed on as a frame.

    Each forward costs head rows for the whole canvas on top of the policy's own, and no forward more.
    """

    def __init__(self, policy: Denoiser, on_frame: Callable[[Frame], None]) -> None:
        """`on_frame` is called when the policy has done with a forward: it asks for the next, or ends."""
        self._policy = policy
        self._on_frame = on_frame

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        with closing(self._policy.denoise(canvas)) as coroutine:
            question: Query | FollowUp | None = next(coroutine, None)
            shown = Answer()
            while question is not None:
                forward = question
                assert isinstance(forward, Query), "the policy asks of a forward that was not made"
                answer = yield forward
                before, changes, stops = canvas.ids.copy(), len(canvas.changes), len(canvas.stops)
                recomputed = None if forward.recompute is None else forward.recompute[forward.recompute >= 0]
                if recomputed is None:
                    shown = yield FollowUp(canvas.all, _SHOWN)
                else:  # of a cache: what was not computed again stays as it was last seen
                    shown = _updated(shown, len(canvas), recomputed, (yield FollowUp(recomputed, _SHOWN)))
                while isinstance(question := _resumed(coroutine, answer), FollowUp):
                    answer = yield question
                self._on_frame(
                    Frame(
                        forward=canvas.forwards,
                        probe=forward.probe,
                        asked=forward.positions,
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
    found = {}
    for name in ("token", "confidence", "eos", "eot"):
        before: NDArray[Any] = getattr(shown, name)
        found[name] = np.zeros(length, dtype=before.dtype)
        found[name][: len(before)] = before
        found[name][positions] = getattr(new, name)
    return Answer(**found)


@dataclass(frozen=True, eq=False)
class Trace:
    """One answer from its first forward to its last, with what was asked and what it cost."""

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
    """Positions through the vocabulary head, without those that only the watching asked for."""
    frames: Sequence[Frame]
    """At least one."""
    text: Callable[[int], str]
    """A token id as it is displayed."""


def _resumed(coroutine: DenoiseCoroutine, answer: Answer) -> Query | FollowUp | None:
    """What the coroutine asks next; None at its end."""
    try:
        return coroutine.send(answer)
    except StopIteration:
        return None


def _opened(origin: Positions, position: int, count: int) -> Positions:
    """`origin` with `count` new positions before `position`."""
    return np.concatenate([origin[:position], np.full(count, NEW, dtype=np.int64), origin[position:]])
