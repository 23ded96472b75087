"""One sample on its way through the engine: its coroutine, its canvas and what it waits for."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.denoising import Answer, Canvas, DenoiseCoroutine, FollowUp, Positions, Query
from dlm_length.engine.counter_rng import Keys, position_keys, sample_key
from dlm_length.engine.generation import Generation
from dlm_length.engine.kept import Kept
from dlm_length.engine.ledger import Ledger
from dlm_length.models import MaskPredictor


class Sample:
    """State of one sample. It owns its ledger and trajectory; the canvas belongs to its coroutine."""

    def __init__(
        self,
        index: int,
        arm: int,
        sample_id: str,
        prompt: Sequence[int],
        model: MaskPredictor,
        canvas: Canvas,
        coroutine: DenoiseCoroutine,
        seed: int,
    ) -> None:
        self.index = index
        self.arm = arm
        self.id = sample_id
        self.prompt: NDArray[np.int64] = np.asarray(prompt, dtype=np.int64)
        self.canvas = canvas
        self.ledger = Ledger()
        self.trajectory: list[int] = []
        self.error: str | None = None
        self.pending: Query | FollowUp | None = None
        self.kept_hidden: Tensor | None = None
        """Hidden states that the forward before the latest one kept, (positions, width); see `Query.keep_hidden`."""
        self._keeps_hidden: Tensor | None = None
        self._model = model
        self._coroutine = coroutine
        self._key = sample_key(seed, sample_id)
        self.kept: Kept | None = None
        """Keys and values that its next partial forward reads."""
        self.waits = False
        """Whether its next forward ran out of memory because of what other samples keep."""
        self.history = b""
        """Digest of all that decided what is kept; equal histories have equal keys and values."""
        self.forwards: list[tuple[int, int]] = []
        self.computed: NDArray[np.int64] | None = None
        """Places in the sequence that the next forward computes, ascending; None: all."""
        self._cacheable = True
        self._offset = 0
        self._computed: NDArray[np.int64] | None = None
        self._probing = False

    @property
    def length(self) -> int:
        """Tokens in this sample's next forward, L = P + g."""
        return len(self.prompt) + len(self.canvas)

    @property
    def queries(self) -> int:
        """Tokens that its next forward computes."""
        return self.length if self.computed is None else len(self.computed)

    @property
    def keeps(self) -> bool:
        """Whether its next forward leaves keys and values behind."""
        return self._cacheable and isinstance(self.pending, Query) and self.pending.keep

    def run_uncached(self) -> None:
        """Keep no keys and values: every forward from now on is full."""
        self._cacheable, self.kept, self.computed = False, None, None

    @property
    def ran_uncached(self) -> bool:
        """Whether its policy has a cache that the memory did not suffice for."""
        return not self._cacheable

    def start(self) -> None:
        """Run the coroutine to its first query."""
        self._advance(None)

    def resume(self, answer: Answer) -> None:
        """Hand the coroutine its answer; `pending` is then its next query, or None at its end."""
        self._advance(answer)

    def fail(self, reason: str) -> None:
        """Give this sample up, keeping what it cost so far."""
        self.error = reason
        self.pending = self.kept = None
        self._coroutine.close()

    def sight(self) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Positions of the next forward's tokens, (length,), and which sees which, (length, length); None: all all."""
        blocks, order = self.canvas.sees, np.arange(self.length, dtype=np.int64)
        if blocks is None:
            return order, None
        block = (order + blocks.into) // blocks.size
        visible = block[:, None] >= block
        if blocks.unseen is None:
            return order, visible
        seen = (self.token_ids() != blocks.unseen) | (order >= len(self.prompt) + blocks.unseen_before)
        # What nobody sees still sees itself: a row without any key has no softmax.
        visible = (visible & seen) | np.eye(self.length, dtype=np.bool_)
        return np.maximum(np.cumsum(seen) - 1, 0), visible

    def token_ids(self) -> NDArray[np.int64]:
        return np.concatenate([self.prompt, self.canvas.ids])

    @property
    def question(self) -> Query | FollowUp:
        """What the coroutine waits for."""
        assert self.pending is not None, "a finished sample has no question"
        return self.pending

    def forwarded(self, offset: int, hidden: Tensor | None = None) -> None:
        """Note a forward whose hidden states of this sample begin at row `offset`, of which it keeps `hidden`."""
        assert isinstance(self.pending, Query), "only a query runs a forward"
        self.kept_hidden, self._keeps_hidden = self._keeps_hidden, hidden
        self._offset, self._probing = offset, self.pending.probe
        self.canvas.forwards += 1
        self.trajectory.append(len(self.canvas))
        queries = self.queries
        self.forwards.append((queries, self.length - queries))
        self.ledger.add_forward(self._model.architecture, self.length, queries, probe=self._probing)
        self._computed, self.waits = self.computed, False
        if self.keeps:
            self.history = self._next_history()
        else:
            self.kept, self.history = None, b""

    def answered(self) -> None:
        """Note that the question's positions went through the vocabulary head."""
        rows = self.question.head.head_rows(len(self.question.positions))
        self.ledger.add_rows(self._model.architecture, rows, probe=self._probing)

    @property
    def computed_tokens(self) -> int:
        """Tokens that its latest forward computed."""
        return self.forwards[-1][0]

    def spent(self, seconds: float, joules: float | None) -> None:
        """Note this sample's share of the latest forward's time and energy; None: that is not measured."""
        self.ledger.add_seconds(seconds, probe=self._probing)
        self.ledger.add_joules(joules, probe=self._probing)

    def rows(self) -> Positions:
        """Where the predictions of the question's positions stand among the latest forward's hidden states."""
        return self._rows(self.question.positions, self._computed, self._offset)

    def kept_rows(self, offset: int) -> Positions | None:
        """Where what the query keeps stands among hidden states of which this sample's begin at row `offset`."""
        assert isinstance(self.pending, Query), "only a query runs a forward"
        kept = self.pending.keep_hidden
        return None if kept is None else self._rows(kept, self.computed, offset)

    def keys(self) -> Keys:
        """Addresses of the random numbers of the question's positions in the latest forward.

        Probes do not count: once a length is chosen, how it was found changes no random number.
        """
        return position_keys(self._key, self.ledger.total.nfe - self.ledger.probe.nfe, self.question.positions)

    def finished(self) -> Generation:
        return Generation(
            index=self.index,
            arm=self.arm,
            sample_id=self.id,
            prompt_ids=self.prompt.tolist(),
            canvas_ids=self.canvas.ids.tolist(),
            trajectory=self.trajectory,
            changes=self.canvas.changes,
            forwards=self.forwards,
            ran_uncached=self.ran_uncached,
            ledger=self.ledger,
            error=self.error,
            tokens=self._model.tokens,
            tokenizer=self._model.tokenizer,
        )

    def _next_history(self) -> bytes:
        digest = hashlib.sha256(self.token_ids().tobytes() + repr(self.canvas.sees).encode())
        if self.computed is not None:
            digest.update(self.computed.tobytes())
            digest.update(self.history)
        return digest.digest()

    def _rows(self, positions: Positions, computed: NDArray[np.int64] | None, offset: int) -> Positions:
        """Rows of positions' predictions, in a forward that computed those places; None: all."""
        places = self._model.predicting(positions + len(self.prompt))
        if computed is None:
            return places + offset
        found = np.searchsorted(computed, places)
        assert (computed.take(found, mode="clip") == places).all(), (
            "only positions that the forward computed have predictions"
        )
        return found + offset

    def _advance(self, answer: Answer | None) -> None:
        try:
            self.pending = next(self._coroutine) if answer is None else self._coroutine.send(answer)
            if not isinstance(
                self.pending, Query | FollowUp
            ):  # of a policy from outside, which hears of it at its yield
                found = f"denoise yielded a {type(self.pending).__name__}; expected are a Query and a FollowUp"
                self.pending = self._coroutine.throw(TypeError(found))
        except StopIteration:
            self.pending = self.kept = None
        self.computed = self._to_compute()

    def _to_compute(self) -> NDArray[np.int64] | None:
        """See `computed`. Where logits are shifted, with the position before each, whose hidden state predicts it."""
        if not self._cacheable or not isinstance(self.pending, Query) or self.pending.recompute is None:
            return None
        wanted = self.pending.recompute + len(self.prompt)
        return np.union1d(wanted, self._model.predicting(wanted))
