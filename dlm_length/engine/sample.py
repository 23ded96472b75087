"""The state of one sample in the engine: its coroutine, canvas, pending query, cache and ledger."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dlm_length.denoising import Answer, Canvas, DenoiseCoroutine, FollowUp, Positions, Query
from dlm_length.engine.counter_rng import Keys, position_keys, sample_key
from dlm_length.engine.generation import Generation
from dlm_length.engine.kv_cache import KVCache
from dlm_length.engine.ledger import Ledger
from dlm_length.models import MaskPredictor


class Sample:
    """State of one sample. It owns its ledger, trajectory and cache; its canvas belongs to the coroutine."""

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
        """Hidden states retained before the latest forward, (positions, width); see `Query.keep_hidden`."""
        self._keeps_hidden: Tensor | None = None
        self._model = model
        self._coroutine = coroutine
        self._key = sample_key(seed, sample_id)
        self.cache: KVCache | None = None
        """The key-value cache that its next partial forward reads."""
        self.waits_for_memory = False
        """Whether its next forward ran out of memory and is put off until other samples' caches are freed."""
        self.cache_digest = b""
        """Digest of everything that determined the cache: samples with equal digests have equal caches."""
        self.forwards: list[tuple[int, int]] = []
        """See `Generation.forwards`."""
        self.computed: NDArray[np.int64] | None = None
        """Indices in prompt and canvas that the next forward computes, ascending; None: all."""
        self._cacheable = True
        self._offset = 0
        self._computed: NDArray[np.int64] | None = None
        self._probing = False

    @property
    def length(self) -> int:
        """Number of tokens of prompt and canvas, L = P + g."""
        return len(self.prompt) + len(self.canvas)

    @property
    def queries(self) -> int:
        """Number of tokens that its next forward computes."""
        return self.length if self.computed is None else len(self.computed)

    @property
    def fills_cache(self) -> bool:
        """Whether its next forward fills or updates a cache."""
        return self._cacheable and isinstance(self.pending, Query) and self.pending.keep

    def run_uncached(self) -> None:
        """Drop the cache: every forward from now on is full."""
        self._cacheable, self.cache, self.computed = False, None, None

    @property
    def ran_uncached(self) -> bool:
        """Whether its policy's cache is not used, for lack of memory."""
        return not self._cacheable

    def start(self) -> None:
        """Run the coroutine to its first query."""
        self._advance(None)

    def resume(self, answer: Answer) -> None:
        """Send the coroutine its answer; `pending` is then its next query, or None at its end."""
        self._advance(answer)

    def fail(self, reason: str) -> None:
        """End the sample with an error; its canvas and its ledger are kept."""
        self.error = reason
        self.pending = self.cache = None
        self._coroutine.close()

    def positions_and_mask(self) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None]:
        """Position ids of prompt and canvas, (length,), and the attention mask, (length, length); None: bidirectional.

        The mask is True where the token of the row attends to that of the column.
        """
        blocks, order = self.canvas.attention, np.arange(self.length, dtype=np.int64)
        if blocks is None:
            return order, None
        block = (order + blocks.offset) // blocks.size
        visible = block[:, None] >= block
        if blocks.ignored_token is None:
            return order, visible
        attended = (self.token_ids() != blocks.ignored_token) | (order >= len(self.prompt) + blocks.ignored_before)
        # An ignored token still attends to itself, as the softmax over no key is undefined.
        visible = (visible & attended) | np.eye(self.length, dtype=np.bool_)
        return np.maximum(np.cumsum(attended) - 1, 0), visible

    def token_ids(self) -> NDArray[np.int64]:
        """Ids of prompt and canvas, (length,)."""
        return np.concatenate([self.prompt, self.canvas.ids])

    @property
    def question(self) -> Query | FollowUp:
        """The query or follow-up that the coroutine waits for."""
        assert self.pending is not None, "a finished sample has no question"
        return self.pending

    def forwarded(self, offset: int, hidden: Tensor | None = None) -> None:
        """Record a forward in which this sample's hidden states begin at row `offset`; `hidden`: retained copies."""
        assert isinstance(self.pending, Query), "only a query runs a forward"
        self.kept_hidden, self._keeps_hidden = self._keeps_hidden, hidden
        self._offset, self._probing = offset, self.pending.probe
        self.canvas.forwards += 1
        self.trajectory.append(len(self.canvas))
        queries = self.queries
        self.forwards.append((queries, self.length - queries))
        self.ledger.add_forward(self._model.architecture, self.length, queries, probe=self._probing)
        self._computed, self.waits_for_memory = self.computed, False
        if self.fills_cache:
            self.cache_digest = self._next_cache_digest()
        else:
            self.cache, self.cache_digest = None, b""

    def answered(self) -> None:
        """Charge the vocabulary head of the question's positions."""
        rows = self.question.head.head_rows(len(self.question.positions))
        self.ledger.add_rows(self._model.architecture, rows, probe=self._probing)

    @property
    def computed_tokens(self) -> int:
        """Tokens that its latest forward computed."""
        return self.forwards[-1][0]

    def spent(self, seconds: float, joules: float | None) -> None:
        """Charge this sample's share of the latest forward's time and energy; `joules`: None if not measured."""
        self.ledger.add_seconds(seconds, probe=self._probing)
        self.ledger.add_joules(joules, probe=self._probing)

    def rows(self) -> Positions:
        """Rows of the latest forward's hidden states that predict the question's positions, (positions,)."""
        return self._rows(self.question.positions, self._computed, self._offset)

    def kept_rows(self, offset: int) -> Positions | None:
        """Rows of the hidden states to retain (`Query.keep_hidden`), where this sample's begin at `offset`."""
        assert isinstance(self.pending, Query), "only a query runs a forward"
        kept = self.pending.keep_hidden
        return None if kept is None else self._rows(kept, self.computed, offset)

    def keys(self) -> Keys:
        """Keys of the random numbers of the question's positions in the latest forward, (positions,).

        Probes are not counted, so that the random numbers do not depend on how the length was found.
        """
        return position_keys(self._key, self.ledger.total.nfe - self.ledger.probe.nfe, self.question.positions)

    def finished(self) -> Generation:
        """The result of a finished or failed sample."""
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

    def _next_cache_digest(self) -> bytes:
        digest = hashlib.sha256(self.token_ids().tobytes() + repr(self.canvas.attention).encode())
        if self.computed is not None:
            digest.update(self.computed.tobytes())
            digest.update(self.cache_digest)
        return digest.digest()

    def _rows(self, positions: Positions, computed: NDArray[np.int64] | None, offset: int) -> Positions:
        """Rows that predict `positions` in a forward that begins at row `offset`; `computed`: as `Sample.computed`."""
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
            if not isinstance(self.pending, Query | FollowUp):
                # Raised at the yield of the policy, which is one from outside the package.
                found = f"denoise yielded a {type(self.pending).__name__}; expected are a Query and a FollowUp"
                self.pending = self._coroutine.throw(TypeError(found))
        except StopIteration:
            self.pending = self.cache = None
        self.computed = self._to_compute()

    def _to_compute(self) -> NDArray[np.int64] | None:
        """The value of `computed`. With shifted logits it includes the position before each, which predicts it."""
        if not self._cacheable or not isinstance(self.pending, Query) or self.pending.recompute is None:
            return None
        wanted = self.pending.recompute + len(self.prompt)
        return np.union1d(wanted, self._model.predicting(wanted))
