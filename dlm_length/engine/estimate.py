"""An upper bound of a policy's cost: its coroutine run on a model that is never confident. Does not import torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from dlm_length.common import ConfigError, SpecialTokens
from dlm_length.denoising import Answer, Canvas, Decoder, DenoiseCoroutine, Denoiser, FollowUp, Query
from dlm_length.denoising.early_commit import EarlyCommit
from dlm_length.denoising.query import coroutine_of
from dlm_length.denoising.stop_rules import StopRule
from dlm_length.engine.ledger import Ledger
from dlm_length.engine.watchdog import ForwardCount, StepTimer
from dlm_length.models import Architecture

_TOKENS = SpecialTokens(mask=0, eos=1)
_WORD = 2
_MOST_TOKENS = 2**16
"""Of a canvas, where the model's limit is not given."""


@dataclass(frozen=True)
class _ForwardSums:
    """Sums over several forwards; `partial` ones are those that read a key-value cache."""

    forwards: int
    """Number of forwards."""
    canvas: int
    """Sum of canvas lengths."""
    canvas_squared: int
    """Sum of squared canvas lengths."""
    rows: int
    """Sum of head rows."""
    partial: int
    """Number of partial forwards."""
    partial_queries: int
    """Sum of the canvas positions that partial forwards compute."""
    partial_attended: int
    """Sum over partial forwards of these positions times the canvas length."""
    partial_canvas: int
    partial_canvas_squared: int


@dataclass(frozen=True)
class ForwardSchedule:
    """The forwards of one sample, independent of its prompt."""

    canvas_length: int
    """Length of the final canvas, in tokens."""
    forwards: tuple[tuple[int, int, bool], ...]
    """(canvas length, head rows, whether a probe) of each forward."""
    computed: tuple[int | None, ...] = ()
    """Number of canvas positions that each forward computes, None for prompt and canvas; empty: None for all."""

    @property
    def longest_canvas(self) -> int:
        """Longest canvas of any forward, in tokens."""
        return max((length for length, _, _ in self.forwards), default=0)

    def ledger(self, architecture: Architecture, prompt_length: int) -> Ledger:
        """The cost of these forwards after a prompt of `prompt_length` tokens."""
        ledger = Ledger()
        for probe, sums in self._sums.items():
            lengths = sums.forwards * prompt_length + sums.canvas
            # (P + g)^2 = P^2 + 2Pg + g^2, summed
            squared = prompt_length * (sums.forwards * prompt_length + 2 * sums.canvas) + sums.canvas_squared
            spared = sums.partial * prompt_length + sums.partial_canvas - sums.partial_queries
            spared_squared = prompt_length * (sums.partial * prompt_length + 2 * sums.partial_canvas)
            spared_squared += sums.partial_canvas_squared
            spared_squared -= prompt_length * sums.partial_queries + sums.partial_attended
            ledger.add_forwards(
                architecture,
                sums.forwards,
                lengths,
                squared,
                query_sum=lengths - spared,
                attended_sum=squared - spared_squared,
                probe=probe,
            )
            ledger.add_rows(architecture, sums.rows, probe=probe)
        return ledger

    @cached_property
    def _sums(self) -> dict[bool, _ForwardSums]:
        """The sums over probes (True) and other forwards (False), computed once for the ledgers of many prompts."""
        found = {}
        for probe in (True, False):
            those = [(canvas, rows) for canvas, rows, is_probe in self.forwards if is_probe == probe]
            canvases, squared = sum(canvas for canvas, _ in those), sum(canvas * canvas for canvas, _ in those)
            partial = [
                (canvas, queries)
                for (canvas, _, is_probe), queries in zip(self.forwards, self.computed, strict=False)
                if is_probe == probe and queries is not None
            ]
            found[probe] = _ForwardSums(
                len(those),
                canvases,
                squared,
                sum(rows for _, rows in those),
                len(partial),
                sum(queries for _, queries in partial),
                sum(canvas * queries for canvas, queries in partial),
                sum(canvas for canvas, _ in partial),
                sum(canvas * canvas for canvas, _ in partial),
            )
        return found


def upper_bound(policy: Denoiser, most: int | None = None, *, shifted: bool = False) -> ForwardSchedule:
    """A course that no sample of the policy costs more than, as long as MASK itself is not predicted.

    That of a model that is never sure: no crop, no commitment but the forced ones, no block longer than a token where
    their lengths are adaptive. What a stop rule or an early commit needs beyond it is added at the end.
    `most`: tokens that the model takes; a canvas that grows longer is followed no further, as its sample fails there.
    `shifted`: whether the position before each predicts it, which partial forwards then compute as well.

    Raises ConfigError, with its file and line, for a policy from outside the package that does not end on this model,
    or computes without end between two forwards.
    """
    most = _MOST_TOKENS if most is None else most
    scattered = isinstance(policy, Decoder) and policy.cache == "dkv"
    canvas = Canvas(0, _TOKENS)
    coroutine = coroutine_of(_unended(policy), canvas)
    forwards: list[tuple[int, int, bool]] = []
    computed: list[int | None] = []
    timer = StepTimer(policy)
    with timer.running():
        for question in _questions(coroutine, policy, timer, most):
            rows = question.head.head_rows(len(question.positions))
            if isinstance(question, Query):
                canvas.forwards += 1
                forwards.append((len(canvas), rows, question.probe))
                computed.append(_queries(question, scattered=scattered, shifted=shifted))
            else:
                length, before, probe = forwards[-1]
                forwards[-1] = length, before + rows, probe
            if len(canvas) > most:
                break
    forwards = [
        (length, rows + (0 if probe else _more_rows(policy, length)), probe) for length, rows, probe in forwards
    ]
    longest = max((length for length, _, _ in forwards), default=0)
    if isinstance(policy, StopRule) and policy.stop == "crop_fill":
        forwards.append((longest, longest, False))
        computed.append(None)
    if isinstance(policy, EarlyCommit) and policy.early_commit != "none":
        length, rows, probe = forwards[-1]
        forwards[-1] = length, rows + longest, probe
    return ForwardSchedule(len(canvas), tuple(forwards), tuple(computed))


def _questions(
    coroutine: DenoiseCoroutine, policy: Denoiser, timer: StepTimer, most: int
) -> Iterator[Query | FollowUp]:
    """What a policy's coroutine asks of a model that is never sure, each question answered before the next.

    What is wrong with it is raised at its own yield, so that an error of a policy from outside has its file and line.
    """
    count = ForwardCount(most)
    answer: Any = None  # what begins a coroutine
    while True:
        timer.restart()
        try:
            question = coroutine.send(answer)
            if not isinstance(question, Query | FollowUp):
                found = f"denoise yielded a {type(question).__name__}; expected are a Query and a FollowUp"
                question = coroutine.throw(TypeError(found))
            if endless := count.add(question):
                _end(coroutine, policy, endless)
        except StopIteration:
            return
        yield question
        answer = _unsure(len(question.positions))


def _end(coroutine: DenoiseCoroutine, policy: Denoiser, endless: str) -> None:
    """Raise ConfigError for a coroutine that does not end, from its own yield; where it catches that, from here."""
    reason = (
        f"{endless} of a model that is never confident, by which the cost is estimated; end after a number of forwards"
        " that does not depend on the model"
    )
    coroutine.throw(TimeoutError(reason))
    raise ConfigError(f"policy {getattr(policy, 'name', type(policy).__name__)!r}: {reason}.")


def _queries(question: Query, *, scattered: bool, shifted: bool) -> int | None:
    """Positions that the query computes at most; None: all. `scattered`: whether they may lie apart from each other."""
    if question.recompute is None:
        return None
    positions = len(question.recompute)
    if not shifted:
        return positions
    return min(2 * positions, len(question.canvas) + 1) if scattered else positions + 1


def _unended(policy: Denoiser) -> Denoiser:
    """The policy without features by which the unconfident model would need fewer forwards than another.

    Every adaptive block ends with this model's first token, and an early commit does not apply because the answer's
    region is full.
    """
    if not isinstance(policy, Decoder):
        return policy
    changes: dict[str, object] = {}
    if policy.blocks == "adaptive":
        changes |= {"delimiters": (_WORD,), "delimiter_threshold": 0.0}
    if policy.commit_region == "answer":
        changes |= {"early_commit": "none"}
    return policy.model_copy(update=changes) if changes else policy


def _more_rows(policy: Denoiser, canvas: int) -> int:
    """Head rows that a forward of a more confident model may have in addition."""
    if isinstance(policy, EarlyCommit) and policy.commit_region == "answer":
        return policy.answer_length
    return canvas if getattr(policy, "scans_canvas", False) else 0


def first_canvas(policy: Denoiser) -> int:
    """Canvas length at a sample's first forward, in tokens."""
    canvas = Canvas(0, _TOKENS)
    coroutine = coroutine_of(policy, canvas)
    with StepTimer(policy).running():
        next(coroutine, None)
    coroutine.close()
    return len(canvas)


_NO_GAP = -1e9
"""Below every threshold of an early commit, and finite, so that means and quantiles are finite."""


def _unsure(rows: int) -> Answer:
    """The statistics of a model without any confidence, (rows,) each."""
    nothing, word = np.zeros(rows), np.full(rows, _WORD)
    return Answer(
        token=word,
        confidence=nothing,
        eos=nothing,
        eot=nothing,
        margin=nothing,
        entropy=nothing,
        unmasked_token=word,
        unmasked_confidence=nothing,
        logit_gap=np.full(rows, _NO_GAP),
        uniform=nothing,
        divergence=nothing,
    )
