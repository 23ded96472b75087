"""The denoising core: an event loop over the samples' coroutines, which batches their forwards by a token budget."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from dlm_length.common import UserError
from dlm_length.denoising import Canvas, Denoiser, FollowUp, Stat, StatSpec
from dlm_length.denoising.adaptive_blocks import AdaptiveBlocks
from dlm_length.denoising.query import coroutine_of
from dlm_length.engine.allocator import keep_freed_memory
from dlm_length.engine.attention import AttentionKind, best_attention
from dlm_length.engine.cache_memory import CacheMemory, uses_cache, will_free
from dlm_length.engine.energy import EnergyMeter, find_meter
from dlm_length.engine.forward import forward
from dlm_length.engine.generation import Generation, find_lengths
from dlm_length.engine.head import PendingAnswer, chunk_bytes_for, statistics
from dlm_length.engine.request import Request
from dlm_length.engine.sample import Sample
from dlm_length.engine.transfer import Stopwatch, on_device
from dlm_length.models import MaskPredictor
from dlm_length.models.fixed_rows import ROWS

DEFAULT_BATCH_TOKENS = 16_384
_SHORT_FORWARD = 4e12
"""FLOPs of a forward (about 10 ms on a GPU) below which the GPU would wait for the coroutines."""
_LEAST_CHUNK_BYTES = 2**22
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""Parts of the messages of torch, Triton and cuBLAS for lack of memory, apart from torch.OutOfMemoryError."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Step:
    """The size and duration of one batched forward."""

    samples: int
    """Number of distinct sample forwards in it: as NFE counts them, but one that several arms share counts once."""
    tokens: int
    """Number of computed tokens."""
    seconds: float
    """Duration of the forward, the vocabulary head and the statistics, without the time in coroutines."""


@dataclass(frozen=True)
class _Reply:
    """The statistics that samples with an equal `StatSpec` requested from one forward."""

    samples: list[Sample]
    pending: PendingAnswer


@dataclass(frozen=True)
class _Flight:
    """A forward that was launched and whose statistics have not arrived."""

    prompts: list[list[Sample]]
    """The samples chosen for it, by prompt; those that failed before it included."""
    batch: list[Sample]
    """The samples that take part in it."""
    forwards: int
    """Number of distinct sample forwards: arms with equal canvases share one."""
    tokens: int
    hidden: Tensor
    replies: list[_Reply]
    clock: Stopwatch


class Engine:
    """Runs a length policy over prompts with one model.

    A sample's tokens do not depend on the budget, on the other samples of its forwards or on their order: in float32 on
    a CPU, and in any dtype on any device with a model loaded as `batch_invariant`. On a GPU without this mode, no
    padding is attended either, but the batch size may change the kernels of matrix products and so their rounding.

    If a forward runs out of memory, the budget is halved and the samples go on; `notes` reports it.
    """

    def __init__(
        self,
        model: MaskPredictor,
        max_batch_tokens: int = DEFAULT_BATCH_TOKENS,
        seed: int = 0,
        *,
        attention: AttentionKind | None = None,
        chunk_bytes: int | None = None,
        turns: int | None = None,
        cache_bytes: int | None = None,
        meter: EnergyMeter | None = None,
    ) -> None:
        """`max_batch_tokens`: prompt and canvas tokens of all samples in one forward; a longer sample runs alone.

        `seed`: seed of all random numbers, 0 to 2^63 - 1. `attention`: None: `best_attention`. `chunk_bytes`: bytes of
        logits in memory at once; None: `chunk_bytes_for` the device. `turns`: number of groups of samples that share
        the budget and alternate, so that the device computes for one group while the coroutines of another advance;
        None: two on a GPU if forwards are short, else one. `cache_bytes`: bytes of key-value caches, in addition to the
        batch; None: half of the memory that is free now. A sample whose cache does not fit runs uncached, which
        `Generation.ran_uncached` and `notes` report. `meter`: None: the device's energy meter, if it has one.

        Raises UserError for a value out of range.
        """
        if max_batch_tokens < 1:
            raise UserError(f"max_batch_tokens must be at least 1, found {max_batch_tokens}.")
        if turns is not None and turns < 1:
            raise UserError(f"turns must be at least 1, found {turns}.")
        if not 0 <= seed < 2**63:
            raise UserError(f"seed must be from 0 to 2^63 - 1, found {seed}.")
        if model.device.type == "cpu":
            keep_freed_memory()
        self.model = model
        self.max_batch_tokens = max_batch_tokens
        self.seed = seed
        self.notes: list[str] = []
        """Remarks on how results were computed, such as a lowered budget, for the records."""
        self.attention: AttentionKind = attention or best_attention(model)
        self._chunk_bytes = chunk_bytes or chunk_bytes_for(model.device)
        self._row_multiple = ROWS.get(model.device.type, ROWS["cuda"]) if model.batch_invariant else 1
        self._turns = turns or default_turns(model, max_batch_tokens)
        self._arms_together = True
        self._caches = CacheMemory(model, cache_bytes)
        self._meter = meter or find_meter(model.device)

    def __repr__(self) -> str:
        budget = f"max_batch_tokens {self.max_batch_tokens:,}, seed {self.seed}"
        return f"<Engine: {budget}, {self.attention} attention, {self.model!r}>"

    def generate(
        self,
        prompts: Sequence[str | Sequence[int]],
        policy: Denoiser | Sequence[Denoiser],
        *,
        sample_ids: Sequence[str] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> Iterator[Generation]:
        """Denoise an answer to every prompt; yields each sample as it finishes, in no particular order.

        `prompts`: texts or lists of token ids. A text is one user's turn in the checkpoint's chat template or, where
        it has none, is tokenised as it stands; token ids are taken as they are. Raises UserError for a single text.
        `policy`: one for all prompts, or one for each; they share forwards either way. `sample_ids`: unique names that
        determine the samples' random numbers; None: the indices in `prompts`. A sample that cannot be run, such as one
        beyond the model's context limit, is yielded with its `error`, and the others go on. A single policy that needs
        the lengths of all samples first runs its length pass before. `on_step`: called after every forward.
        """
        encoded = self._encode(prompts)
        ids = [str(i) for i in range(len(prompts))] if sample_ids is None else list(sample_ids)
        if len(ids) != len(prompts) or len(set(ids)) != len(ids):
            raise UserError(f"sample_ids must be unique, one per prompt; found {len(ids)} for {len(prompts)} prompts.")
        each = policy if isinstance(policy, Sequence) else [self.run_length_pass(encoded, policy, ids)] * len(prompts)
        if len(each) != len(prompts):
            raise UserError(f"policy must be one, or one per prompt; found {len(each)} for {len(prompts)} prompts.")
        return self.generate_arms(encoded, [[own] for own in each], ids, on_step=on_step)

    def _encode(self, prompts: Sequence[str | Sequence[int]]) -> list[Sequence[int]]:
        """Token ids of every prompt."""
        if isinstance(prompts, str):
            found = shorten(prompts, 40, placeholder="...")
            raise UserError(f"prompts must be a list; found one text, {found!r}: put it in a list.")
        tokenizer = self.model.tokenizer
        return [tokenizer.encode_user_turn(each) if isinstance(each, str) else each for each in prompts]

    def generate_arms(
        self,
        prompts: Sequence[Sequence[int]],
        arms: Sequence[Sequence[Denoiser | None]],
        sample_ids: Sequence[str],
        *,
        on_step: Callable[[Step], None] | None = None,
    ) -> Iterator[Generation]:
        """Denoise every prompt with several policies that share equal forwards; yields as `generate` does.

        `arms`: the policies of each prompt, None for one that is left out; `Generation.arm` is the index among them.
        The arms of a prompt advance together. Arms with equal canvases share one forward, as all draw the same random
        numbers. This changes neither tokens nor ledgers: every arm is charged for all of its own forwards.
        """
        waiting = deque(
            Request(index, sample_id, prompt, policies)
            for index, (sample_id, prompt, policies) in enumerate(zip(sample_ids, prompts, arms, strict=True))
        )
        return self.generate_from(waiting, on_step=on_step)

    def run_length_pass(
        self, prompts: Sequence[Sequence[int]], policy: Denoiser, sample_ids: Sequence[str]
    ) -> Denoiser:
        """`policy`; if it needs the lengths of all samples first, the policy with these, found by its length pass.

        No sample is charged for the forwards of this pass. `prompts`: those of all samples of the run, also when a part
        of them is generated already, as each length may depend on all samples.
        """
        return find_lengths(policy, lambda length_pass: self.generate(prompts, length_pass, sample_ids=sample_ids))

    def generate_from(
        self, waiting: deque[Request], *, on_step: Callable[[Step], None] | None = None
    ) -> Iterator[Generation]:
        """Denoise requests from a queue that may grow; yields as `generate` does.

        `waiting`: requests are taken from the left as soon as a forward has room for them. Any thread may append more,
        which are batched with those in progress. Ends when the queue is empty and every sample is finished.
        """
        idle: list[list[Sample]] = []  # by prompt, in the order of the prompts
        flights: deque[_Flight] = deque()
        crowded = False  # the last forward did not fit into memory next to those in flight
        while waiting or idle or flights:
            if len(flights) < self._turns and (waiting or idle) and not crowded:
                room = self.forward_tokens - sum(map(_tokens, idle))
                while waiting and room > 0:
                    idle.append(self._begin_arms(waiting.popleft()))
                    room -= _tokens(idle[-1])
                taken, idle = self._take(idle, [sample for flight in flights for sample in flight.batch])
                if not taken:  # caches leave no room until a forward in flight has landed
                    crowded = True
                    continue
                under_way = len(flights)
                flights.extend(self._launch(taken, [sample for arms in idle for sample in arms], alone=not flights))
                if len(flights) > under_way:
                    continue
                crowded = under_way > 0
            else:
                taken, crowded = flights[0].prompts, False
                step = self._land(flights.popleft())  # not bound to a name, which would keep its hidden states alive
                if on_step:
                    on_step(step)
            yield from (sample.finished() for arms in taken for sample in arms if sample.pending is None)
            going = [left for arms in taken if (left := [sample for sample in arms if sample.pending is not None])]
            idle = sorted([*idle, *going], key=lambda arms: arms[0].index)

    @property
    def forward_tokens(self) -> int:
        """Tokens that one forward may hold now: the budget divided by the number of alternating groups."""
        return max(1, self.max_batch_tokens // self._turns)

    def _budget_with_caches(self, samples: Sequence[Sample]) -> int:
        """`max_batch_tokens`, or the lower budget next to caches if any of these samples has one."""
        most = self._caches.most_tokens
        if most is None or not any(map(uses_cache, samples)):
            return self.max_batch_tokens
        return min(self.max_batch_tokens, most)

    def _begin_arms(self, request: Request) -> list[Sample]:
        """Start the coroutine of each arm."""
        each = enumerate(request.arms)
        prompt = request.sample_id, request.prompt
        return [self._begin(request.index, arm, *prompt, policy) for arm, policy in each if policy is not None]

    def _full_text(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, with special tokens."""
        return self.model.tokenizer.decode(token_ids, special=True)

    def _begin(self, index: int, arm: int, sample_id: str, prompt: Sequence[int], policy: Denoiser) -> Sample:
        """Start a sample's coroutine, up to its first query; the sample fails if its prompt has unknown tokens."""
        canvas = Canvas(len(prompt), self.model.tokens, sample_id, self._full_text)
        if isinstance(policy, AdaptiveBlocks):
            policy.check_delimiters(self.model.architecture.vocabulary)
        coroutine = coroutine_of(policy, canvas, f"denoise, on sample {sample_id},")
        sample = Sample(index, arm, sample_id, prompt, self.model, canvas, coroutine, self.seed)
        unknown = [token for token in prompt if not 0 <= token < self.model.architecture.vocabulary]
        if unknown:
            vocabulary = self.model.architecture.vocabulary
            sample.fail(f"prompt token {unknown[0]} is outside the vocabulary of {vocabulary}")
        else:
            sample.start()
            if self.model.block_causal and sample.pending is not None and canvas.attention is None:
                raise UserError(
                    f"checkpoint {self.model.name}: it was trained with block-causal attention, and this policy uses"
                    " bidirectional attention; choose policy block_causal."
                )
        return sample

    def _take(
        self, idle: Sequence[list[Sample]], in_flight: Sequence[Sample]
    ) -> tuple[list[list[Sample]], list[list[Sample]]]:
        """Choose the samples of the next forward; returns them and the others, both by prompt.

        The prompt with the lowest index comes first, then in order all that still fit. The arms of a prompt stay in one
        forward, as equal arms would otherwise get out of step and share nothing; if they do not fit into memory
        together, each goes alone. A sample that would begin to cache waits until its cache fits, and one that ran out
        of memory next to other samples' caches waits until these are freed. `in_flight`: samples of launched forwards;
        if there are none, at least one sample is chosen.
        """
        for sample in (sample for arms in idle for sample in arms):
            if note := self._caches.check(sample):
                self.notes.append(note)
        if not self._arms_together:
            idle = [[sample] for arms in idle for sample in arms]
        taken: list[list[Sample]] = []
        left: list[list[Sample]] = []
        everyone = [*in_flight, *(sample for arms in idle for sample in arms)]
        room = max(1, self._budget_with_caches(everyone) // self._turns)
        spare = max(0, self._caches.allowed - self._caches.held(everyone))
        others_will_free = will_free(everyone)
        for arms in idle:
            more = self._caches.added(arms)
            fits = more <= spare and not (others_will_free and any(sample.waits_for_memory for sample in arms))
            if fits and ((tokens := _tokens(arms)) <= room or not taken):
                taken.append(arms)
                room -= tokens
                spare -= more
            else:
                left.append(arms)
        if idle and not taken and not in_flight:
            first = min(everyone, key=lambda sample: (sample.cache is None, sample.waits_for_memory))
            taken = [[first]]
            left = [rest for arms in idle if (rest := [sample for sample in arms if sample is not first])]
        return taken, left

    @torch.inference_mode()
    def _launch(self, prompts: list[list[Sample]], idle: Sequence[Sample], *, alone: bool) -> list[_Flight]:
        """Launch a forward of samples and the computation of their statistics; samples beyond the context limit fail.

        `idle`: all other samples. `alone`: whether no other forward is in flight. Returns nothing if there was no
        sample left to forward or not enough memory.
        """
        for sample in (sample for arms in prompts for sample in arms):
            if sample.pending and (reason := self._exceeds_context(sample)):
                sample.fail(reason)
        pending = (sample for arms in prompts for sample in arms if sample.pending)
        batch = sorted(pending, key=lambda sample: (sample.computed is None, sample.length, sample.queries))
        if not batch:
            return []
        distinct = _distinct(batch)
        if alone and self._meter:
            self._meter.restart()
        clock = Stopwatch(self.model.device)
        forwarded = _unless_out_of_memory(lambda: forward(self.model, self.attention, distinct))
        if forwarded is None:
            if alone:
                self._lower_budget(distinct, idle)
            return []
        hidden, retained = forwarded
        offset = tokens = 0
        for equals in distinct:
            queries = equals[0].queries
            for sample in equals:
                sample.forwarded(offset, retained.get(sample))
            offset += queries
            tokens += queries
        replies = self._request_statistics(batch, hidden)
        clock.stop()
        return [_Flight(prompts, batch, len(distinct), tokens, hidden, replies, clock)]

    @torch.inference_mode()
    def _land(self, flight: _Flight) -> Step:
        """Resume every sample of a forward with its statistics, until none has a follow-up on this forward."""
        elapsed, clock, replies, resumed = 0.0, flight.clock, flight.replies, flight.batch
        while replies:
            answers = [reply.pending.answer() for reply in replies]
            self._charge(resumed, clock.seconds, self._meter.since() if self._meter else None)
            elapsed += clock.seconds
            for reply, together in zip(replies, answers, strict=True):
                counts = [len(sample.question.positions) for sample in reply.samples]
                for sample, answer in zip(reply.samples, together.split(counts), strict=True):
                    sample.answered()
                    if answer.undefined:
                        sample.fail(self._undefined)
                    else:
                        sample.resume(answer)
            resumed = [sample for sample in resumed if isinstance(sample.pending, FollowUp)]
            clock = Stopwatch(self.model.device)
            replies = self._request_statistics(resumed, flight.hidden)
            clock.stop()
        return Step(flight.forwards, flight.tokens, elapsed)

    def _lower_budget(self, distinct: Sequence[Sequence[Sample]], idle: Sequence[Sample]) -> None:
        """After a forward ran out of memory: halve the budget; for a single sample, find memory for it.

        If samples have caches, the budget of forwards next to caches is halved instead, as is the memory of caches. A
        sample fails only if it was alone and no sample has a cache.
        """
        batch = [sample for equals in distinct for sample in equals]
        everyone = [*idle, *batch]
        if used := self._caches.held(everyone) + self._caches.added(batch):
            self._caches.lower(used)
        if len(distinct) == 1:
            if note := self._caches.make_room(batch, idle):
                self.notes.append(note)
                return
            for sample in batch:
                sample.fail(f"out of memory in a forward of its {sample.queries} tokens alone")
            return
        # The arms of a prompt share a forward whatever the budget is: if they do not fit, a lower one does not help.
        self._arms_together &= len({sample.index for sample, *_ in distinct}) > 1
        tokens = sum(sample.queries for sample, *_ in distinct)
        lowered = max(1, min(self._budget_with_caches(everyone), tokens * self._turns) // 2)
        if used:
            self._caches.most_tokens = lowered
            self.notes.append(
                f"out of memory in a forward of {tokens} tokens with keys and values held: with them a forward takes at"
                f" most {lowered} tokens from now on, and at most {self._caches.allowed} bytes are kept"
            )
        else:
            self.max_batch_tokens = lowered
            self.notes.append(
                f"out of memory in a forward of {tokens} tokens: max_batch_tokens was lowered to {lowered}"
            )

    def _exceeds_context(self, sample: Sample) -> str | None:
        """The reason why the sample's next forward exceeds the model's context limit; None if it does not."""
        most = self.model.architecture.max_length
        if sample.length <= most:
            return None
        return (
            f"a prompt of {len(sample.prompt)} and a canvas of {len(sample.canvas)} tokens are"
            f" {sample.length}, the model takes at most {most}"
        )

    @property
    def _undefined(self) -> str:
        """The error of a sample whose probabilities are NaN. Checkpoints with NaN weights are refused when loaded."""
        if self.model.dtype != torch.float32:
            return "the model's probabilities are not numbers; try hardware.dtype=float32"
        return "the model's probabilities are not numbers, though in float32: its weights are too large for one forward"

    def _request_statistics(self, samples: list[Sample], hidden: Tensor) -> list[_Reply]:
        """Start the statistics that each sample has requested of these hidden states, one batch per `StatSpec`."""
        by_head: dict[StatSpec, list[Sample]] = {}
        for sample in samples:
            by_head.setdefault(sample.question.head, []).append(sample)
        return [_Reply(equal, self._statistics(head, equal, hidden)) for head, equal in by_head.items()]

    def _statistics(self, head: StatSpec, samples: list[Sample], hidden: Tensor) -> PendingAnswer:
        """Start the statistics of samples with an equal `StatSpec`, in smaller chunks if memory runs out."""
        rows = on_device(torch.from_numpy(np.concatenate([sample.rows() for sample in samples])), hidden.device)
        keys = np.concatenate([sample.keys() for sample in samples])
        against = _retained_hidden(samples) if Stat.DIVERGENCE in head.want else None
        while True:
            pending = _unless_out_of_memory(
                lambda: statistics(
                    self.model.logits,
                    hidden,
                    rows,
                    head,
                    self.model.tokens,
                    keys,
                    vocabulary=self.model.architecture.vocabulary,
                    chunk_bytes=self._chunk_bytes,
                    multiple=self._row_multiple,
                    against=against,
                )
            )
            if pending is not None:
                return pending
            if self._chunk_bytes <= _LEAST_CHUNK_BYTES:
                raise UserError(
                    f"out of memory in the vocabulary head; lower max_batch_tokens, now {self.forward_tokens}."
                )
            self._chunk_bytes //= 2
            self.notes.append(
                f"out of memory in the vocabulary head: its chunk was lowered to {self._chunk_bytes} bytes"
            )

    def _charge(self, batch: list[Sample], seconds: float, joules: float | None) -> None:
        """Charge each sample its share of a forward's time and energy, by computed tokens."""
        tokens = max(1, sum(sample.computed_tokens for sample in batch))  # an empty prompt and canvas have none
        for sample in batch:
            share = sample.computed_tokens / tokens
            sample.spent(seconds * share, None if joules is None else joules * share)


def default_turns(model: MaskPredictor, max_batch_tokens: int) -> int:
    """Number of alternating groups: two if a GPU's short forwards would wait for coroutines, else one."""
    if model.device.type != "cuda":
        return 1
    flops = model.architecture.forwards_flops(max_batch_tokens, 0)
    return 2 if flops < _SHORT_FORWARD else 1


def _unless_out_of_memory(compute: Callable[[], Result]) -> Result | None:
    """The result of `compute`; None if the device ran out of memory, which is then freed again."""
    try:
        return compute()
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(part in str(error) for part in _OUT_OF_MEMORY):
            raise
    # After the `except` block: the traceback keeps the tensors of the failed call alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _distinct(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Groups of samples whose next forwards are equal, in the order of the samples."""
    by_tokens: dict[object, list[Sample]] = {}
    for sample in samples:
        key: tuple[object, ...] = sample.index, sample.canvas.attention, sample.canvas.ids.tobytes()
        if sample.computed is not None:
            key = *key, sample.computed.tobytes(), sample.cache_digest
        by_tokens.setdefault(key, []).append(sample)
    return list(by_tokens.values())


def _retained_hidden(samples: Sequence[Sample]) -> Tensor:
    """The retained hidden states that the queried positions are compared with, (positions, width)."""
    retained = []
    for sample in samples:
        count = len(sample.question.positions)
        assert sample.kept_hidden is not None, "a divergence from a forward that kept no hidden states"
        assert len(sample.kept_hidden) == count, (
            f"a divergence at {count} positions, but {len(sample.kept_hidden)} hidden states were kept"
        )
        retained.append(sample.kept_hidden)
    return torch.cat(retained)


def _tokens(samples: Sequence[Sample]) -> int:
    """Number of tokens that a forward of these samples computes."""
    if len(samples) == 1:
        return samples[0].queries
    return sum(sample.queries for sample, *_ in _distinct(samples))
