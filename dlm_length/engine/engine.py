"""The denoising core: an event loop over samples' coroutines, batched into forwards under a token budget."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dlm_length.common import UserError
from dlm_length.denoising import Again, Answer, Canvas, Denoiser, Head, Rehearsed
from dlm_length.engine.allocator import keep_freed_memory
from dlm_length.engine.attention import ATTENTIONS, AttentionKind, best_attention
from dlm_length.engine.generation import Generation
from dlm_length.engine.head import MIN_ROWS, chunk_bytes_for, statistics
from dlm_length.engine.sample import Sample
from dlm_length.models import MaskPredictor

DEFAULT_BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class Step:
    """One forward: how many samples and tokens it held, and how long it took."""

    samples: int
    """Forwards of one sample that it was made of: what NFE counts, less those that several arms shared."""
    tokens: int
    seconds: float
    """Forward, head and reductions; not the time in coroutines."""


class Engine:
    """Runs a length policy over prompts with one model.

    In float32 on a CPU a sample's tokens do not depend on the budget, on which samples share its forwards or on their
    order. On a GPU no padding is attended either, but its matrix products may choose their kernels by the batch's size.
    """

    def __init__(
        self,
        model: MaskPredictor,
        max_batch_tokens: int = DEFAULT_BATCH_TOKENS,
        seed: int = 0,
        *,
        attention: AttentionKind | None = None,
        chunk_bytes: int | None = None,
    ) -> None:
        """`max_batch_tokens`: prompt and canvas tokens of all samples in one forward; a longer sample runs alone.

        `seed`: of every random stream. `attention`: None for the best on the model's device. `chunk_bytes`: float32
        logits held at once; None for what suits the device.
        """
        if max_batch_tokens < 1:
            raise UserError(f"max_batch_tokens must be at least 1, found {max_batch_tokens}.")
        if not 0 <= seed < 2**63:
            raise UserError(f"seed must be from 0 to 2^63 - 1, found {seed}.")
        if model.device.type == "cpu":
            keep_freed_memory()
        self.model = model
        self.max_batch_tokens = max_batch_tokens
        self.seed = seed
        self._attention = ATTENTIONS[attention or best_attention(model.device, model.dtype)]
        self._chunk_bytes = chunk_bytes or chunk_bytes_for(model.device)

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        policy: Denoiser | Sequence[Denoiser],
        *,
        sample_ids: Sequence[str] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> Iterator[Generation]:
        """Denoise an answer to every prompt (token ids); yields each sample as it finishes, in no particular order.

        `policy`: one for all prompts, or one for each; they share forwards either way. `sample_ids` name the samples'
        random streams and must be unique; None: their places in `prompts`. A sample that cannot be run, such as one
        longer than the model allows, comes back with its `error` and stops no other. A single policy that must know
        the lengths of all samples first is rehearsed over these.
        """
        ids = [str(i) for i in range(len(prompts))] if sample_ids is None else list(sample_ids)
        if len(ids) != len(prompts) or len(set(ids)) != len(ids):
            raise UserError(f"sample_ids must be unique, one a prompt; found {len(ids)} for {len(prompts)} prompts.")
        each = policy if isinstance(policy, Sequence) else [self.rehearse(prompts, policy, ids)] * len(prompts)
        if len(each) != len(prompts):
            raise UserError(f"policy must be one, or one a prompt; found {len(each)} for {len(prompts)} prompts.")
        return self.generate_arms(prompts, [[own] for own in each], ids, on_step=on_step)

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
        same random numbers. Neither tokens nor ledgers change by it: every arm is charged what it asked for.
        """
        waiting = deque(
            [(index, arm, sample_id, prompt, policy) for arm, policy in enumerate(policies) if policy is not None]
            for index, (sample_id, prompt, policies) in enumerate(zip(sample_ids, prompts, arms, strict=True))
        )
        return self._generate(waiting, on_step)

    def rehearse(self, prompts: Sequence[Sequence[int]], policy: Denoiser, sample_ids: Sequence[str]) -> Denoiser:
        """`policy`, or where it must know the lengths of all samples first, that policy with them.

        The forwards that find them are charged to no sample. To continue a run, rehearse over all its samples once.
        """
        if not isinstance(policy, Rehearsed) or (rehearsal := policy.rehearsal()) is None:
            return policy
        found = self.generate(prompts, rehearsal, sample_ids=sample_ids)
        return policy.rehearsed({g.sample_id: g.n_token if g.error is None else None for g in found})

    def _generate(
        self,
        waiting: deque[list[tuple[int, int, str, Sequence[int], Denoiser]]],
        on_step: Callable[[Step], None] | None,
    ) -> Iterator[Generation]:
        active: list[list[Sample]] = []  # by prompt
        while waiting or active:
            room = self.max_batch_tokens - sum(map(_tokens, active))
            while waiting and room > 0:
                active.append([self._begin(*arm) for arm in waiting.popleft()])
                room -= _tokens(active[-1])
            step = self._step(self._take(active))
            if on_step and step.samples:
                on_step(step)
            yield from (sample.finished() for arms in active for sample in arms if sample.pending is None)
            active = [going for arms in active if (going := [sample for sample in arms if sample.pending is not None])]

    def _begin(self, index: int, arm: int, sample_id: str, prompt: Sequence[int], policy: Denoiser) -> Sample:
        canvas = Canvas(len(prompt), self.model.tokens, sample_id)
        sample = Sample(index, arm, sample_id, prompt, self.model, canvas, policy.denoise(canvas), self.seed)
        unknown = [token for token in prompt if not 0 <= token < self.model.architecture.vocabulary]
        if unknown:
            vocabulary = self.model.architecture.vocabulary
            sample.fail(f"prompt token {unknown[0]} is outside the vocabulary of {vocabulary}")
        else:
            sample.start()
        return sample

    def _take(self, active: Sequence[list[Sample]]) -> list[Sample]:
        """The samples of the next forward: those of the prompt begun first, and in order of all others that still fit.

        Arms of a prompt go together, or those that are equal would get out of step and share nothing.
        """
        batch: list[Sample] = []
        room = self.max_batch_tokens
        for arms in active:
            if (tokens := _tokens(arms)) <= room or not batch:
                batch += arms
                room -= tokens
        return batch

    @torch.inference_mode()
    def _step(self, batch: list[Sample]) -> Step:
        """Advance every sample by one forward and whatever it asks of it; those too long for the model fail."""
        for sample in batch:
            if reason := self._refusal(sample):
                sample.fail(reason)
        batch = sorted((sample for sample in batch if sample.pending), key=lambda sample: sample.length)
        distinct = _distinct(batch)
        tokens, elapsed = sum(sample.length for sample, *_ in distinct), 0.0
        asking, hidden = batch, None
        while asking:
            start = time.perf_counter()
            try:
                hidden = self._forward(distinct) if hidden is None else hidden
                answers = self._answer(asking, hidden)
            except torch.OutOfMemoryError as error:
                limit = f"lower max_batch_tokens, now {self.max_batch_tokens}"
                raise UserError(f"out of memory in a forward of {tokens} tokens; {limit}.") from error
            seconds = time.perf_counter() - start
            self._share_seconds(asking, seconds)
            elapsed += seconds
            for sample, answer in zip(asking, answers, strict=True):
                if answer.undefined:
                    sample.fail(self._undefined)
                else:
                    sample.resume(answer)
            asking = [sample for sample in asking if isinstance(sample.pending, Again)]
        return Step(len(distinct), tokens, elapsed)

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

    def _forward(self, distinct: list[list[Sample]]) -> Tensor:
        """One forward over the concatenated tokens of samples, each with its equals: hidden states, (tokens, width)."""
        lengths = [sample.length for sample, *_ in distinct]
        rows = [sample.token_ids() for sample, *_ in distinct]
        if (short := MIN_ROWS - sum(lengths)) > 0:  # a sample of its own, seen by no other
            lengths.append(short)
            rows.append(np.zeros(short, dtype=np.int64))
        device = self.model.device
        token_ids = torch.from_numpy(np.concatenate(rows)).to(device)
        positions = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths])).to(device)
        hidden = self.model.hidden(token_ids, positions, self._attention(lengths, device))
        offset = 0
        for equals in distinct:
            for sample in equals:
                sample.forwarded(offset)
            offset += equals[0].length
        return hidden

    def _answer(self, asking: list[Sample], hidden: Tensor) -> list[Answer]:
        """What each sample's question asks of the latest hidden states; equal heads are reduced together."""
        by_head: dict[Head, list[int]] = {}
        for place, sample in enumerate(asking):
            by_head.setdefault(sample.question.head, []).append(place)
        answers: dict[int, Answer] = {}
        for head, places in by_head.items():
            together = self._statistics(head, [asking[place] for place in places], hidden)
            answers.update(zip(places, together, strict=True))
        return [answers[place] for place in range(len(asking))]

    def _statistics(self, head: Head, samples: list[Sample], hidden: Tensor) -> Iterator[Answer]:
        rows = torch.from_numpy(np.concatenate([sample.rows() for sample in samples])).to(hidden.device)
        together = statistics(
            self.model.logits,
            hidden[rows],
            head,
            self.model.tokens,
            np.concatenate([sample.keys() for sample in samples]),
            vocabulary=self.model.architecture.vocabulary,
            chunk_bytes=self._chunk_bytes,
        )
        for sample in samples:
            sample.answered()
        return together.split([len(sample.question.positions) for sample in samples])

    def _share_seconds(self, batch: list[Sample], seconds: float) -> None:
        tokens = sum(sample.length for sample in batch)
        for sample in batch:
            sample.spent(seconds * sample.length / tokens)


def _distinct(samples: Sequence[Sample]) -> list[list[Sample]]:
    """Samples whose forwards are equal, together; all in the order in which they came."""
    by_tokens: dict[object, list[Sample]] = {}
    for sample in samples:
        by_tokens.setdefault((sample.index, sample.canvas.ids.tobytes()), []).append(sample)
    return list(by_tokens.values())


def _tokens(samples: Sequence[Sample]) -> int:
    """Of the forward that they make together."""
    return sum(sample.length for sample, *_ in _distinct(samples))
