"""The denoising core: an event loop over samples' coroutines, batched into forwards under a token budget."""

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
"""FLOPs of a forward below which a GPU is done before the coroutines are: some ten milliseconds of work."""
_LEAST_CHUNK_BYTES = 2**22
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
"""What torch, Triton and cuBLAS say, apart from torch's own OutOfMemoryError, where memory did not suffice."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class Step:
    """One forward: how many samples and tokens it held, and how long it took."""

    samples: int
    """Forwards of one sample that it was made of: what NFE counts, less those that several arms shared."""
    tokens: int
    seconds: float
    """Forward, head and reductions; not the time in coroutines."""


@dataclass(frozen=True)
class _Reply:
    """What samples with an equal head requested from one forward."""

    samples: list[Sample]
    pending: PendingAnswer


@dataclass(frozen=True)
class _Flight:
    """A forward under way, whose samples wait for its answers."""

    prompts: list[list[Sample]]
    """The samples that were taken, by prompt."""
    batch: list[Sample]
    """Those that are forwarded."""
    forwards: int
    """Distinct ones: arms with equal canvases share one."""
    tokens: int
    hidden: Tensor
    replies: list[_Reply]
    clock: Stopwatch


class Engine:
    """Runs a length policy over prompts with one model.

    A sample's tokens do not depend on the budget, on which samples share its forwards or on their order: in float32 on
    a CPU, and in any dtype on any device with a model loaded as `batch_invariant`. On a GPU without that, no padding is
    attended either, but matrix products choose their kernels, and so their rounding, by the batch's size.

    Where a forward runs out of memory the budget is halved and the samples go on; `notes` says so.
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

        `seed`: of every random stream. `attention`: None for the best on the model's device. `chunk_bytes`: bytes of
        logits held at once; None for what suits the device. `turns`: groups of samples, each of its share of the
        budget, that take turns, so that the device computes for one while the coroutines of another advance; None for
        two on a GPU where forwards are short, else one. `cache_bytes`: of keys and values that samples may keep between
        forwards, in addition to the batch; None for half of what is free now. A sample whose own do not fit runs
        uncached: `Generation.ran_uncached` and `notes` say so. `meter`: of energy; None for the one that
        the device has, if any.
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
        """What a reader of the results should know of how they were computed, such as a halved budget."""
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
        `policy`: one for all prompts, or one for each; they share forwards either way. `sample_ids` name the samples'
        random streams and must be unique; None: their places in `prompts`. A sample that cannot be run, such as one
        longer than the model allows, comes back with its `error` and stops no other. A single policy that must know
        the lengths of all samples first runs its length pass over these.
        """
        encoded = self._encode(prompts)
        ids = [str(i) for i in range(len(prompts))] if sample_ids is None else list(sample_ids)
        if len(ids) != len(prompts) or len(set(ids)) != len(ids):
            raise UserError(f"sample_ids must be unique, one a prompt; found {len(ids)} for {len(prompts)} prompts.")
        each = policy if isinstance(policy, Sequence) else [self.run_length_pass(encoded, policy, ids)] * len(prompts)
        if len(each) != len(prompts):
            raise UserError(f"policy must be one, or one a prompt; found {len(each)} for {len(prompts)} prompts.")
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
        """Denoise every prompt by several policies, sharing the forwards that are the same; yields as `generate` does.

        `arms`: for each prompt its policies, None where it has no such arm; `Generation.arm` is the place among them.
        The arms of a prompt advance together, and those whose canvases are equal have one forward, as all arms draw the
        same random numbers. Neither tokens nor ledgers change by it: every arm is charged for all of its own forwards.
        """
        waiting = deque(
            Request(index, sample_id, prompt, policies)
            for index, (sample_id, prompt, policies) in enumerate(zip(sample_ids, prompts, arms, strict=True))
        )
        return self.generate_from(waiting, on_step=on_step)

    def run_length_pass(
        self, prompts: Sequence[Sequence[int]], policy: Denoiser, sample_ids: Sequence[str]
    ) -> Denoiser:
        """`policy`, or where it must know the lengths of all samples first, that policy with them.

        The forwards that find them are charged to no sample. To continue a run, do so once, over all of its samples.
        """
        return find_lengths(policy, lambda length_pass: self.generate(prompts, length_pass, sample_ids=sample_ids))

    def generate_from(
        self, waiting: deque[Request], *, on_step: Callable[[Step], None] | None = None
    ) -> Iterator[Generation]:
        """Denoise requests from an open-ended source; yields as `generate` does.

        `waiting`: taken from the left, each as soon as a forward has room for it. More may be appended while this goes
        on, from any thread, and are batched with those under way. Ends where it is empty and every sample is finished.
        """
        idle: list[list[Sample]] = []  # by prompt, in the order of the prompts
        flights: deque[_Flight] = deque()
        crowded = False  # the last forward did not fit next to those under way
        while waiting or idle or flights:
            if len(flights) < self._turns and (waiting or idle) and not crowded:
                room = self._share - sum(map(_tokens, idle))
                while waiting and room > 0:
                    idle.append(self._begin_arms(waiting.popleft()))
                    room -= _tokens(idle[-1])
                taken, idle = self._take(idle, [sample for flight in flights for sample in flight.batch])
                if not taken:  # before a forward under way lands, there is no room for more that is kept
                    crowded = True
                    continue
                under_way = len(flights)
                flights.extend(self._launch(taken, [sample for arms in idle for sample in arms], alone=not flights))
                if len(flights) > under_way:
                    continue
                crowded = under_way > 0
            else:
                taken, crowded = flights[0].prompts, False
                step = self._land(flights.popleft())  # bound to no name, or its hidden states would outlive it
                if on_step:
                    on_step(step)
            yield from (sample.finished() for arms in taken for sample in arms if sample.pending is None)
            going = [left for arms in taken if (left := [sample for sample in arms if sample.pending is not None])]
            idle = sorted([*idle, *going], key=lambda arms: arms[0].index)

    @property
    def forward_tokens(self) -> int:
        """Tokens that one forward may hold now: the budget's share of a group of samples."""
        return self._share

    @property
    def _share(self) -> int:
        """Tokens of one forward."""
        return max(1, self.max_batch_tokens // self._turns)

    def _budget_with_caches(self, samples: Sequence[Sample]) -> int:
        """`max_batch_tokens`, or less where that was too much next to the caches of samples like these."""
        most = self._caches.most_tokens
        if most is None or not any(map(uses_cache, samples)):
            return self.max_batch_tokens
        return min(self.max_batch_tokens, most)

    def _begin_arms(self, request: Request) -> list[Sample]:
        each = enumerate(request.arms)
        prompt = request.sample_id, request.prompt
        return [self._begin(request.index, arm, *prompt, policy) for arm, policy in each if policy is not None]

    def _full_text(self, token_ids: Sequence[int]) -> str:
        return self.model.tokenizer.decode(token_ids, special=True)

    def _begin(self, index: int, arm: int, sample_id: str, prompt: Sequence[int], policy: Denoiser) -> Sample:
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
            if self.model.block_causal and sample.pending is not None and canvas.sees is None:
                raise UserError(
                    f"checkpoint {self.model.name}: it was trained to see no later block, and this policy lets every"
                    " token see every other; choose policy block_causal."
                )
        return sample

    def _take(
        self, idle: Sequence[list[Sample]], flying: Sequence[Sample]
    ) -> tuple[list[list[Sample]], list[list[Sample]]]:
        """The samples of the next forward, and those left: the prompt begun first, then in order all that still fit.

        Arms of a prompt go together, or those that are equal would get out of step and share nothing; where the memory
        did not suffice for them, each goes alone. A sample that would begin to keep keys and values waits until they
        fit, and one that ran out of memory because of those of others, until these are done. There is always a sample
        to take, or one of `flying` to wait for.
        """
        for sample in (sample for arms in idle for sample in arms):
            if note := self._caches.check(sample):
                self.notes.append(note)
        if not self._arms_together:
            idle = [[sample] for arms in idle for sample in arms]
        taken: list[list[Sample]] = []
        left: list[list[Sample]] = []
        everyone = [*flying, *(sample for arms in idle for sample in arms)]
        room = max(1, self._budget_with_caches(everyone) // self._turns)
        spare = max(0, self._caches.room - self._caches.held(everyone))
        others_will_free = will_free(everyone)
        for arms in idle:
            more = self._caches.added(arms)
            fits = more <= spare and not (others_will_free and any(sample.waits for sample in arms))
            if fits and ((tokens := _tokens(arms)) <= room or not taken):
                taken.append(arms)
                room -= tokens
                spare -= more
            else:
                left.append(arms)
        if idle and not taken and not flying:
            first = min(everyone, key=lambda sample: (sample.kept is None, sample.waits))
            taken = [[first]]
            left = [rest for arms in idle if (rest := [sample for sample in arms if sample is not first])]
        return taken, left

    @torch.inference_mode()
    def _launch(self, prompts: list[list[Sample]], idle: Sequence[Sample], *, alone: bool) -> list[_Flight]:
        """Begin a forward of samples, and their requested statistics; those too long for the model fail.

        `idle`: the others. `alone`: no other forward is under way and holds memory. Empty where there is no forward to
        wait for: no sample is left, or the memory did not suffice.
        """
        for sample in (sample for arms in prompts for sample in arms):
            if sample.pending and (reason := self._refusal(sample)):
                sample.fail(reason)
        asking = (sample for arms in prompts for sample in arms if sample.pending)
        batch = sorted(asking, key=lambda sample: (sample.computed is None, sample.length, sample.queries))
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
        hidden, kept = forwarded
        offset = tokens = 0
        for equals in distinct:
            queries = equals[0].queries
            for sample in equals:
                sample.forwarded(offset, kept.get(sample))
            offset += queries
            tokens += queries
        replies = self._ask(batch, hidden)
        clock.stop()
        return [_Flight(prompts, batch, len(distinct), tokens, hidden, replies, clock)]

    @torch.inference_mode()
    def _land(self, flight: _Flight) -> Step:
        """Advance every sample of a forward by its answer, and by that to its follow-ups on the same forward."""
        elapsed, clock, replies, asking = 0.0, flight.clock, flight.replies, flight.batch
        while replies:
            answers = [reply.pending.answer() for reply in replies]
            self._share_out(asking, clock.seconds, self._meter.since() if self._meter else None)
            elapsed += clock.seconds
            for reply, together in zip(replies, answers, strict=True):
                counts = [len(sample.question.positions) for sample in reply.samples]
                for sample, answer in zip(reply.samples, together.split(counts), strict=True):
                    sample.answered()
                    if answer.undefined:
                        sample.fail(self._undefined)
                    else:
                        sample.resume(answer)
            asking = [sample for sample in asking if isinstance(sample.pending, FollowUp)]
            clock = Stopwatch(self.model.device)
            replies = self._ask(asking, flight.hidden)
            clock.stop()
        return Step(flight.forwards, flight.tokens, elapsed)

    def _lower_budget(self, distinct: Sequence[Sequence[Sample]], idle: Sequence[Sample]) -> None:
        """After a forward that ran out of memory: halve the budget, or free what a sample alone in it needs.

        Where samples hold caches, it is the budget of forwards next to caches that is halved, and what may be kept. A
        sample is given up only where it was alone and none has a cache.
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
        # Arms of one prompt are taken together whatever the budget is: if they alone do not fit, no budget helps.
        self._arms_together &= len({sample.index for sample, *_ in distinct}) > 1
        tokens = sum(sample.queries for sample, *_ in distinct)
        lowered = max(1, min(self._budget_with_caches(everyone), tokens * self._turns) // 2)
        if used:
            self._caches.most_tokens = lowered
            self.notes.append(
                f"out of memory in a forward of {tokens} tokens with keys and values held: with them a forward takes at"
                f" most {lowered} tokens from now on, and at most {self._caches.room} bytes are kept"
            )
        else:
            self.max_batch_tokens = lowered
            self.notes.append(
                f"out of memory in a forward of {tokens} tokens: max_batch_tokens was lowered to {lowered}"
            )

    def _refusal(self, sample: Sample) -> str | None:
        """Why the model cannot take this sample's next forward, if so."""
        most = self.model.architecture.max_length
        if sample.length <= most:
            return None
        return (
            f"a prompt of {len(sample.prompt)} and a canvas of {len(sample.canvas)} tokens are"
            f" {sample.length}, the model takes at most {most}"
        )

    @property
    def _undefined(self) -> str:
        """Why a sample failed whose probabilities are NaN: loading refuses weights that are NaN themselves."""
        if self.model.dtype != torch.float32:
            return "the model's probabilities are not numbers; try hardware.dtype=float32"
        return "the model's probabilities are not numbers, though in float32: its weights are too large for one forward"

    def _ask(self, asking: list[Sample], hidden: Tensor) -> list[_Reply]:
        """Begin the statistics of each sample's question on these hidden states; equal heads are reduced together."""
        by_head: dict[StatSpec, list[Sample]] = {}
        for sample in asking:
            by_head.setdefault(sample.question.head, []).append(sample)
        return [_Reply(samples, self._statistics(head, samples, hidden)) for head, samples in by_head.items()]

    def _statistics(self, head: StatSpec, samples: list[Sample], hidden: Tensor) -> PendingAnswer:
        """The statistics of one head, in smaller chunks where the memory does not suffice."""
        rows = on_device(torch.from_numpy(np.concatenate([sample.rows() for sample in samples])), hidden.device)
        keys = np.concatenate([sample.keys() for sample in samples])
        against = _kept(samples) if Stat.DIVERGENCE in head.want else None
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
                raise UserError(f"out of memory in the vocabulary head; lower max_batch_tokens, now {self._share}.")
            self._chunk_bytes //= 2
            self.notes.append(f"out of memory in the vocabulary head: its chunk was lowered to {self._chunk_bytes} B")

    def _share_out(self, batch: list[Sample], seconds: float, joules: float | None) -> None:
        """Time and energy, by tokens."""
        tokens = max(1, sum(sample.computed_tokens for sample in batch))  # an empty prompt and canvas have none
        for sample in batch:
            share = sample.computed_tokens / tokens
            sample.spent(seconds * share, None if joules is None else joules * share)


def default_turns(model: MaskPredictor, max_batch_tokens: int) -> int:
    """Two where a forward on a GPU is so short that the coroutines would keep it waiting, else one."""
    if model.device.type != "cuda":
        return 1
    flops = model.architecture.forwards_flops(max_batch_tokens, 0)
    return 2 if flops < _SHORT_FORWARD else 1


def _unless_out_of_memory(compute: Callable[[], Result]) -> Result | None:
    """The result, or None where the device's memory did not suffice; what was held for it is then free again."""
    try:
        return compute()
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and not any(said in str(error) for said in _OUT_OF_MEMORY):
            raise
    # Not within `except`: the traceback holds the tensors of the frames that failed.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return None


def _distinct(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples whose forwards are equal, together; all in the order in which they came."""
    by_tokens: dict[object, list[Sample]] = {}
    for sample in samples:
        key: tuple[object, ...] = sample.index, sample.canvas.sees, sample.canvas.ids.tobytes()
        if sample.computed is not None:
            key = *key, sample.computed.tobytes(), sample.history
        by_tokens.setdefault(key, []).append(sample)
    return list(by_tokens.values())


def _kept(samples: Sequence[Sample]) -> Tensor:
    """The hidden states with which those of the queried positions are compared, (positions, width)."""
    kept = []
    for sample in samples:
        count = len(sample.question.positions)
        assert sample.kept_hidden is not None, "a divergence from a forward that kept nothing"
        assert len(sample.kept_hidden) == count, (
            f"a divergence at {count} positions from {len(sample.kept_hidden)} kept"
        )
        kept.append(sample.kept_hidden)
    return torch.cat(kept)


def _tokens(samples: Sequence[Sample]) -> int:
    """Of the forward that they make together."""
    if len(samples) == 1:
        return samples[0].queries
    return sum(sample.queries for sample, *_ in _distinct(samples))
