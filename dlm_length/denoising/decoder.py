"""Decoding a canvas of known length, as part of a coroutine: LLaDA's sampler, Fast-dLLM's thresholds and others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, model_validator

from dlm_length.common import Parameters, Probability, TokenCount
from dlm_length.denoising.adaptive_blocks import DEFAULT_BLOCK, AdaptiveBlocks
from dlm_length.denoising.caching import Block, Cache, with_cache
from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.commit_rules import CommitRule, Comparison, factor_count, passes, run_heads
from dlm_length.denoising.early_commit import EarlyCommit
from dlm_length.denoising.presets import PRESETS, Preset
from dlm_length.denoising.query import Answer, DenoiseCoroutine, FollowUp, Query, Stat, StatSpec
from dlm_length.denoising.stop_rules import StopRule

Remasking = Literal["low_confidence", "random", "margin", "entropy", "sequential"]
Schedule = Literal["linear", "dream", "origin", "mdlm", "quota"]
_EPS = 1e-3
_HALF_STEP = 2.0**-54
"""Half the resolution of the uniform numbers, added to them so that their logarithm is finite."""

_RANKED_BY = {
    "low_confidence": Stat.CONFIDENCE,
    "random": Stat.UNIFORM,
    "margin": Stat.MARGIN,
    "entropy": Stat.ENTROPY,
    "sequential": Stat.TOKEN,
}


_PLAIN = StatSpec(Stat.TOKEN | Stat.CONFIDENCE)
CACHE_FIELDS = ("cache", "refresh_interval")
"""Fields of `Decoder` that choose a key-value cache."""


class Decoder(StopRule, EarlyCommit, CommitRule, AdaptiveBlocks, Parameters):
    """Decoding of a canvas of known length (LLaDA, arXiv 2502.09992; Fast-dLLM, arXiv 2505.22618).

    Blocks are denoised from left to right. In each forward the masked positions of the current block are ranked by
    `remasking`, and the best are committed: as many as the schedule says, or with a `threshold` all that pass it.
    """

    later: ClassVar[tuple[str, ...]] = (
        "schedule",
        "eps",
        "top_k",
        "top_p",
        "tempered",
        "alg_temp",
        *CACHE_FIELDS,
        *StopRule.model_fields,
        *EarlyCommit.model_fields,
        *CommitRule.model_fields,
        *AdaptiveBlocks.model_fields,
    )
    """Fields that were added after the first release; at their defaults they do not enter a run's hash."""

    labelled: ClassVar[tuple[str, ...]] = ("stop", "early_commit", "factor", "low_threshold", "blocks", "cache")
    """Fields that a policy's label shows if they differ from the preset, or else from the default."""

    preset: Preset | None = None
    """The sampler of a model family's reference implementation: sets those fields below that are not given."""
    block_length: TokenCount | None = None
    """Tokens per block; the last block may be shorter. None: the whole canvas is one block (pure diffusion)."""
    tokens_per_step: TokenCount = 1
    """Tokens committed per forward, unless `steps` is given."""
    threshold: Probability | None = None
    """Commit every mask of the block with at least this confidence, and always the most confident one."""
    schedule: Schedule = "linear"
    """How many tokens a forward commits. linear: LLaDA's: equal shares, with the remainder in the first forwards.
    dream: Dream's: by a time that falls linearly from 1 to `eps`, so that the first forwards may commit nothing and the
    last one commits all masks that are left. origin: Dream's `alg: origin`: by the same time, each mask independently
    with the same probability, whatever is predicted. mdlm: shares of the remaining masks, rounded in float32 as in
    dllm's MDLMSampler; forwards that would commit nothing are left out. quota: Fast-dLLM's for Dream: an equal share
    and the tokens held back before; of these, all but the best one are held back if they are below `threshold`, and
    further forwards follow for tokens that are left at the end."""
    eps: float = Field(default=_EPS, gt=0.0, lt=1.0)
    """Final time of the schedules `dream` and `origin`."""
    top_k: TokenCount | None = None
    """Compute all probabilities over this many most likely tokens alone. Dream's sampler uses 50 where a version of
    transformers before 5 fills in the argument; its evaluation uses all tokens."""
    top_p: float | None = Field(default=None, gt=0.0, le=1.0)
    """Compute all probabilities over the most likely tokens alone that together have this probability, including the
    one that exceeds it (nucleus sampling)."""
    remasking: Remasking = "low_confidence"
    """What ranks positions: p(pred), random numbers, top-1 minus top-2 probability, negative entropy, or order."""
    temperature: NonNegativeFloat = 0.0
    """Gumbel-max sampling temperature; 0 is greedy."""
    tempered: bool = False
    """Rank positions, and apply `top_p` and `top_k`, by the probabilities at `temperature`, as Dream's sampler does;
    else by those at temperature 1, as LLaDA's does."""
    alg_temp: NonNegativeFloat = 0.0
    """Sample the positions to commit without replacement from the softmax of their scores divided by this (Dream's
    `alg_temp`); 0: the best ones."""
    logits_eos_inf: bool = False
    """Set the EOS logit to minus infinity before anything else."""
    confidence_eos_eot_inf: bool = False
    """Compute confidences without EOS and EOT: a position that predicts one of them is committed last."""

    cache: Cache = "none"
    """The key-value cache; tokens may differ from uncached ones. prefix, dual: Fast-dLLM's: each block begins with a
    full forward; later ones recompute the block and everything after it (prefix) or the block alone (dual). dkv:
    dKV-Cache-Decode, which recomputes the positions that were masked one forward ago. Under block_causal, prefix is
    exact: no token attends to a later block, so that keys and values of finished blocks never change."""
    refresh_interval: TokenCount | None = None
    """For cache dkv: every so many forwards of a block are full; None: only its first two are; 1: all are."""

    @model_validator(mode="after")
    def _cache_fits(self) -> Self:
        if self.refresh_interval is not None and self.cache != "dkv":
            raise ValueError(
                f"refresh_interval has no effect with cache {self.cache}: leave it out, or choose cache dkv"
            )
        return self

    @classmethod
    def preset_fields(cls, preset: Preset) -> Mapping[str, Any]:
        """What `preset` sets, by field.

        None is left out where a field of this class needs a value: a policy that works in blocks keeps its own
        `block_length` under `dream`, whose sampler has none.
        """

        def takes_none(name: str) -> bool:
            return type(None) in get_args(cls.model_fields[name].annotation)

        return {name: value for name, value in PRESETS[preset].items() if value is not None or takes_none(name)}

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        """`given` with the preset's fields where it has none of its own."""
        if not isinstance(given, dict) or not isinstance(preset := given.get("preset"), str) or preset not in PRESETS:
            return given
        return {**cls.preset_fields(preset), **given}  # type: ignore[arg-type]  # looked up above

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.schedule == "quota" and self.threshold is None:
            raise ValueError("schedule quota holds back what is below a threshold: give one, such as 0.9")
        if self.threshold is not None and self.schedule in ("dream", "origin", "mdlm"):
            raise ValueError(
                f"threshold decoding follows no schedule {self.schedule}: leave one of them out, or choose quota"
            )
        if self.eps != _EPS and self.schedule not in ("dream", "origin"):
            raise ValueError(f"eps has no effect with schedule {self.schedule}: leave it out")
        if self.schedule == "origin" and self.remasking != "random":
            raise ValueError(
                f"schedule origin commits by chance alone, found remasking {self.remasking}: choose remasking random,"
                " or schedule dream"
            )
        return self

    @model_validator(mode="after")
    def _ranking_fits(self) -> Self:
        if self.alg_temp > 0 and (self.threshold is not None or self.factor is not None):
            raise ValueError(
                "alg_temp draws as many positions as a schedule says: leave out threshold and factor, or it"
            )
        if self.alg_temp > 0 and self.remasking in ("random", "sequential"):
            raise ValueError(f"remasking {self.remasking} ranks by no confidence: leave alg_temp out of it")
        return self

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if self.threshold is not None and (self.remasking != "low_confidence" or self.tokens_per_step != 1):
            raise ValueError(
                "threshold decoding compares p(pred) and has no schedule: leave remasking at low_confidence and"
                " tokens_per_step at 1, or leave threshold out"
            )
        if self.remasking == "random" and self.confidence_eos_eot_inf:
            raise ValueError("remasking random ranks by no confidence: leave confidence_eos_eot_inf out of it")
        return self

    @model_validator(mode="after")
    def _commit_rule_fits(self) -> Self:
        if self.factor is not None and (
            self.threshold is not None
            or self.schedule != "linear"
            or self.remasking != "low_confidence"
            or self.tokens_per_step != 1
        ):
            raise ValueError(
                "factor is a commit rule of its own over p(pred): leave out threshold, schedule, remasking and"
                " tokens_per_step, or leave out factor"
            )
        # A comparison that a preset sets is ignored if there is no threshold.
        own_comparison = self.threshold_is is not None and self.preset is None
        if self.threshold is None and (self.low_threshold is not None or own_comparison):
            raise ValueError("low_threshold and threshold_is go with a threshold: give one, such as 0.9")
        if self.schedule == "quota" and self.low_threshold is not None:
            raise ValueError("low_threshold has no effect with schedule quota: leave one of them out")
        if self.low_threshold is not None and self.threshold is not None and self.low_threshold > self.threshold:
            raise ValueError(
                f"low_threshold must be at most threshold, found {self.low_threshold} and {self.threshold}"
            )
        return self

    @model_validator(mode="after")
    def _blocks_fit(self) -> Self:
        if self.blocks == "adaptive" and not self.commits_by_confidence:
            raise ValueError("blocks: adaptive follows no schedule: give a threshold, such as 0.9, or a factor")
        if self.blocks == "fixed" and self.block_length is None and self.stop in ("block_any", "block_last"):
            raise ValueError(
                f"stop: {self.stop} tests finished blocks, and the whole canvas is one: give block_length, or choose"
                " stop: cut"
            )
        return self

    @model_validator(mode="after")
    def _end_can_come(self) -> Self:
        if self.logits_eos_inf and self.stop != "none" and not self.stops_at_eot:
            raise ValueError(
                f"stop: {self.stop} waits for EOS, which logits_eos_inf forbids: leave one of them out, or count the"
                " end of the turn as an end too"
            )
        return self

    @property
    def commits_by_confidence(self) -> bool:
        """Whether confidences decide how many tokens a forward commits, instead of a schedule."""
        return self.factor is not None or (self.threshold is not None and self.schedule == "linear")

    @classmethod
    def own_fields(cls) -> tuple[str, ...]:
        """Fields of the sampler itself, in order: without those of its rules and of the cache."""
        rules = (StopRule, EarlyCommit, CommitRule, AdaptiveBlocks)
        others = {*CACHE_FIELDS, *(field for rule in rules for field in rule.model_fields)}
        return tuple(field for field in Decoder.model_fields if field not in others)

    @classmethod
    def decoding_fields(cls) -> tuple[str, ...]:
        """Fields that trade exactness for speed; a run with none of them set decodes plainly."""
        rules = (StopRule, EarlyCommit, CommitRule, AdaptiveBlocks)
        return ("threshold", *CACHE_FIELDS, *(field for rule in rules for field in rule.model_fields))

    def decode(self, canvas: Canvas, steps: int | None = None) -> DenoiseCoroutine:
        """Commit every mask of `canvas` or stop early. `steps`: number of forwards, at least one per block."""
        block = Block()
        if self.blocks == "adaptive":
            decoding = self._by_adaptive_blocks(canvas, block)
        else:
            decoding = self._by_blocks(canvas, steps, block)
        if self.early_commit != "none":
            planned = self._planned_forwards(canvas) if steps is None else steps
            decoding = self._until_confident(canvas, decoding, planned, block)
        yield from self.stopping(canvas, decoding, self._head(canvas)) if self.stops_after_commit else decoding

    def decode_block(self, canvas: Canvas, start: int, end: int, steps: int | None) -> DenoiseCoroutine:
        """Commit every mask in the block `[start, end)`. `steps`: number of forwards; None: by the schedule."""
        return self._cached(canvas, Block(start, end), self._decode_block(canvas, start, end, steps))

    def _cached(self, canvas: Canvas, block: Block, coroutine: DenoiseCoroutine) -> DenoiseCoroutine:
        if self.cache == "none":
            return coroutine
        return with_cache(self.cache, self.refresh_interval, canvas, block, coroutine)

    def _decode_block(self, canvas: Canvas, start: int, end: int, steps: int | None) -> DenoiseCoroutine:
        if self.commits_by_confidence:
            yield from self._by_confidence(canvas, start, end)
            return
        if self.threshold is not None:
            yield from self._by_quota(canvas, start, end, steps, self.threshold)
        else:
            yield from self._by_schedule(canvas, start, end, steps)
        yield from self._fill_remaining(canvas, start, end)

    def block_count(self, length: int) -> int:
        """Number of blocks in a canvas of `length` tokens."""
        return -(-length // (self.block_length or length))

    def block_shares(self, length: int, steps: int | None) -> Iterator[tuple[int, int, int | None]]:
        """(start, end, number of forwards or None without `steps`) of each block.

        The numbers are differences of rounded cumulative shares, so that they add up to `steps`. MDLM gives a short
        last block as many as the others.
        """
        size = self.block_length or length
        for start in range(0, length, size):
            end = min(start + size, length)
            if steps is None:
                yield start, end, None
            elif self.schedule == "mdlm":
                yield start, end, -(-steps // self.block_count(length))
            else:
                yield start, end, max(1, steps * end // length - steps * start // length)

    def _planned_forwards(self, canvas: Canvas) -> int:
        """Number of forwards of the schedule, or one per mask when committing by confidence, as in the evaluations."""
        shares = self.block_shares(len(canvas), None)
        return sum(self._forwards(len(canvas.masked(start, end))) for start, end, _ in shares)

    def _until_confident(
        self, canvas: Canvas, decoding: DenoiseCoroutine, planned: int, block: Block
    ) -> DenoiseCoroutine:
        """`decoding` until a forward is confident enough, then that forward's predictions, committed block by block.

        After each block a stop rule may apply. `planned`: number of forwards that progress is relative to. `block`: the
        current block of `decoding`. Adaptive blocks that have not begun get their default length.
        """
        tokens = yield from self.committing_early(canvas, decoding, planned, self._head(canvas, Stat.TOKEN))
        if tokens is None:
            return
        masks, (start, end) = canvas.masked(), (block.start, block.end)
        size = self.block_length or (DEFAULT_BLOCK if self.blocks == "adaptive" else len(canvas))
        while start < len(canvas):
            within = (start <= masks) & (masks < end)
            canvas.commit(masks[within], tokens[within])
            if self.stop_behind(canvas, start, end):
                return
            start, end = end, min(end + size, len(canvas))

    def _by_blocks(self, canvas: Canvas, steps: int | None, block: Block) -> DenoiseCoroutine:
        """Denoise the blocks in order; `block` is updated to the current one."""
        for start, end, share in self.block_shares(len(canvas), steps):
            block.start, block.end = start, end
            yield from self.decode_block(canvas, start, end, share)
            if self.stop_behind(canvas, start, end):
                return

    def _by_adaptive_blocks(self, canvas: Canvas, block: Block) -> DenoiseCoroutine:
        """AdaBlock's loop: a block's first forward determines its end. `block` is updated to the current one."""
        while canvas.masked(block.end).size:
            block.start = block.end
            block.end = min(block.start + (self.block_length or DEFAULT_BLOCK), len(canvas))
            yield from self._cached(canvas, block, self._adaptive_block(canvas, block))
            if self.stop_behind(canvas, block.start, block.end):
                return

    def _adaptive_block(self, canvas: Canvas, block: Block) -> DenoiseCoroutine:
        """Denoise one block. `block`: initially the block with its default length."""
        start, default, head = block.start, block.end - block.start, self._head(canvas)
        window = self.window(len(canvas), len(canvas) - start)
        answer = yield Query(canvas, canvas.all[start : start + max(window, default)], _PLAIN)
        block.end = start + self.block_size(answer.among(slice(window)), default)
        if (positions := canvas.masked(start, block.end)).size:
            own = answer.among(positions - start) if head == _PLAIN else (yield FollowUp(positions, head))
            yield from self._commit_confident(canvas, positions, own)
        yield from self._by_confidence(canvas, start, block.end)

    def _by_schedule(self, canvas: Canvas, start: int, end: int, steps: int | None) -> DenoiseCoroutine:
        masks = len(canvas.masked(start, end))
        steps = self._forwards(masks) if steps is None else steps
        if self.schedule == "origin":
            yield from self._at_random(canvas, start, end, steps)
            return
        for count in self._counts(masks, steps):
            positions = canvas.masked(start, end)
            answer = yield Query(canvas, positions, self._head(canvas))
            best = confidence_ranking(self._score(canvas, answer))[:count]
            canvas.commit(positions[best], answer.token[best])

    def _at_random(self, canvas: Canvas, start: int, end: int, steps: int) -> DenoiseCoroutine:
        """Dream's `alg: origin`. Ends when no mask is left; the reference implementation makes all `steps` forwards."""
        times = np.linspace(1, self.eps, steps + 1)
        for step, (now, following) in enumerate(pairwise(times), start=1):
            positions = canvas.masked(start, end)
            if not positions.size:
                return
            answer = yield Query(canvas, positions, self._head(canvas))
            chosen = answer.uniform < (1 if step == steps else 1 - following / now)
            canvas.commit(positions[chosen], answer.token[chosen])

    def _forwards(self, masks: int) -> int:
        """Number of forwards for so many masks without `steps`."""
        return -(-masks // self.tokens_per_step)

    def _counts(self, masks: int, steps: int) -> Iterator[int]:
        """Number of tokens that each of the forwards commits."""
        match self.schedule:
            case "dream":
                yield from dream_counts(masks, steps, self.eps)
            case "mdlm":
                yield from filter(None, mdlm_counts(masks, steps))
            case _:
                yield from (masks // steps + (step < masks % steps) for step in range(steps))

    def _by_quota(self, canvas: Canvas, start: int, end: int, steps: int | None, threshold: float) -> DenoiseCoroutine:
        """The schedule `quota`: Fast-dLLM's `confidence_threshold` for Dream."""
        masks = len(canvas.masked(start, end))
        steps = self._forwards(masks) if steps is None else steps
        quota, held, step = masks // steps, 0, 0
        while step < steps and (positions := canvas.masked(start, end)).size:
            answer = yield Query(canvas, positions, self._head(canvas))
            ranked = confidence_ranking(answer.confidence)[: max(1, quota + held)]
            sure = passes(answer.float32_confidence[ranked], threshold, self._comparison)
            sure[0] = True
            held = int((~sure).sum())
            if held and step == steps - 1:
                quota, steps = 0, steps + 1
            canvas.commit(positions[ranked[sure]], answer.token[ranked[sure]])
            step += 1

    def _by_confidence(self, canvas: Canvas, start: int, end: int) -> DenoiseCoroutine:
        while (positions := canvas.masked(start, end)).size:
            answer = yield Query(canvas, positions, self._head(canvas))
            yield from self._commit_confident(canvas, positions, answer)

    def _commit_confident(self, canvas: Canvas, positions: Positions, answer: Answer) -> DenoiseCoroutine:
        """Commit the positions that the threshold or factor rule chooses, without predictions of MASK.

        If none is left, commits the most likely token other than MASK. `positions`: (masks,), those of `answer`.
        """
        chosen = self._chosen(positions, answer.confidence) & (answer.token != canvas.tokens.mask)
        if chosen.any():
            canvas.commit(positions[chosen], answer.token[chosen])
        else:
            forced = yield FollowUp(positions, self._head(canvas, Stat.BEST_UNMASKED))
            _commit_best_unmasked(canvas, positions, forced)

    def _chosen(self, positions: Positions, confidence: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which masks to commit by the rule, always including the most confident one, (masks,)."""
        ranked = confidence_ranking(confidence)
        chosen = np.zeros(len(positions), dtype=np.bool_)
        if self.factor is not None:
            chosen[ranked[: factor_count(confidence[ranked], self.factor)]] = True
            return chosen
        if self.threshold is not None:
            chosen = passes(confidence, self.threshold, self._comparison)
        if self.low_threshold is not None:
            chosen |= run_heads(positions, confidence, self.low_threshold)
        chosen[ranked[0]] = True
        return chosen

    @property
    def _comparison(self) -> Comparison:
        """The comparison with the threshold: by default that of Fast-dLLM, or of dInfer for its hierarchical rule."""
        return self.threshold_is or ("at_least" if self.low_threshold is None else "above")

    def _fill_remaining(self, canvas: Canvas, start: int, end: int) -> DenoiseCoroutine:
        """Fill the masks that the schedule left because the model predicted MASK itself, one token per forward.

        The reference implementation goes on to the next block and may return MASK in its answer.
        """
        while (positions := canvas.masked(start, end)).size:
            answer = yield Query(canvas, positions, self._head(canvas, Stat.BEST_UNMASKED))
            _commit_best_unmasked(canvas, positions, answer)

    def _head(self, canvas: Canvas, want: Stat | None = None) -> StatSpec:
        ranked_by = _RANKED_BY[self.remasking] | (Stat.UNIFORM if self.alg_temp > 0 else Stat(0))
        return StatSpec(
            want=want or (Stat.TOKEN | ranked_by),
            suppress=(canvas.tokens.eos,) if self.logits_eos_inf else (),
            confidence_without=canvas.tokens.ends if self.confidence_eos_eot_inf else (),
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
            tempered=self.tempered and self.temperature > 0,
        )

    def _score(self, canvas: Canvas, answer: Answer) -> NDArray[np.float64]:
        """The score that ranks positions. With Gumbel noise the best are samples without replacement (Vieira 2014)."""
        score = self._noiseless_score(canvas, answer)
        if self.alg_temp == 0:
            return score
        return score / self.alg_temp - np.log(-np.log(answer.uniform + _HALF_STEP))

    def _noiseless_score(self, canvas: Canvas, answer: Answer) -> NDArray[np.float64]:
        match self.remasking:
            case "low_confidence":
                return answer.confidence
            case "random":
                return answer.uniform
            case "margin":
                score = answer.margin
            case "entropy":
                score = -answer.entropy
            case "sequential":
                score = -np.arange(len(answer.token), dtype=np.float64)
        if self.confidence_eos_eot_inf:
            return np.where(np.isin(answer.token, canvas.tokens.ends), -np.inf, score)
        return score


@dataclass(frozen=True)
class DecoderGroup:
    """Fields of the decoder that a listing shows together."""

    name: str
    summary: str
    source: str
    fields: tuple[str, ...]


DECODER_GROUPS = (
    DecoderGroup(
        "sampler",
        "Blocks, schedule and ranking: how many masks a forward commits, and which.",
        "LLaDA, arXiv 2502.09992; Fast-dLLM, arXiv 2505.22618",
        Decoder.own_fields(),
    ),
    DecoderGroup(
        "commit rule",
        "Options of threshold decoding, and rules in its place.",
        "Fast-dLLM, arXiv 2505.22618; dInfer",
        tuple(CommitRule.model_fields),
    ),
    DecoderGroup(
        "stop rule",
        "What ends an answer before every mask is denoised.",
        "dInfer, DPad, Streaming-dLLM, BD3LM; VoidPadding, arXiv 2606.17999; LLaDA2.0, arXiv 2512.15745; CARVE,"
        " arXiv 2608.30922",
        tuple(StopRule.model_fields),
    ),
    DecoderGroup(
        "early commit",
        "When all masks are committed at once with one forward's predictions.",
        "Prophet, arXiv 2508.19982; SchED, arXiv 2512.02892",
        tuple(EarlyCommit.model_fields),
    ),
    DecoderGroup(
        "adaptive blocks",
        "Blocks that end at delimiters of the text.",
        "AdaBlock, arXiv 2509.26432",
        tuple(AdaptiveBlocks.model_fields),
    ),
    DecoderGroup(
        "cache",
        "Key-value caches, for policies whose canvas keeps its positions.",
        "Fast-dLLM, arXiv 2505.22618; dKV-Cache, arXiv 2505.15781",
        CACHE_FIELDS,
    ),
)


def dream_counts(masks: int, steps: int, eps: float) -> Iterator[int]:
    """Number of tokens that each forward of Dream's `diffusion_generate` commits; they add up to `masks`."""
    times = np.linspace(1, eps, steps + 1)
    for now, following in pairwise(times[:-1]):
        count = int(masks * (1 - following / now))
        yield count
        masks -= count
    yield masks


def mdlm_counts(masks: int, steps: int) -> Iterator[int]:
    """Number of tokens that each forward commits by dllm's `get_num_transfer_tokens`, linear schedule; zeros included.

    It multiplies the remaining masks by a float32 probability and rounds half to even; exact arithmetic would give
    other numbers.
    """
    one = np.float32(1)
    for step in range(steps):
        now, following = np.float32((steps - step) / steps), np.float32((steps - step - 1) / steps)
        stays = (one - (one - following)) / (one - (one - now))
        count = min(masks, int(np.rint(masks * np.float64(one - stays))))
        yield count
        masks -= count


def _commit_best_unmasked(canvas: Canvas, positions: Positions, answer: Answer) -> None:
    """Commit the token other than MASK with the highest probability. `answer`: BEST_UNMASKED of the positions."""
    best = confidence_ranking(answer.unmasked_confidence)[:1]
    canvas.commit(positions[best], answer.unmasked_token[best])


def confidence_ranking(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Indices from the highest score to the lowest, (positions,); of ties the earlier position comes first."""
    return np.argsort(-score, kind="stable")
