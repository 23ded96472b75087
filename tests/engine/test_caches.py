"""Key-value caches: exactness, memory, the cost of partial forwards, sharing between arms, and refused combinations."""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from dlm_length import Engine, MaskPredictor, build_policy, load_model
from dlm_length.denoising import Answer, Canvas, DenoiseCoroutine, Query, Stat, StatSpec
from dlm_length.engine import Generation, Step, attention, forward, head
from dlm_length.engine.kv_cache import KVCache, kv_cache_bytes
from dlm_length.policies import Policy

PROMPTS = [[2, 316, 274, 26, 3], [2, 316, 262, 364, 442, 427, 370, 3]]
MORE = [np.random.default_rng(0).integers(4, 700, length).tolist() for length in (10, 30, 20, 42, 5, 12, 33, 8)]
ADAPTIVE = {"blocks": "adaptive", "threshold": 0.3, "delimiters": tuple(range(0, 700, 5)), "delimiter_threshold": 0.0}
EARLY = [
    {"early_commit": "sched", "sched_high": 4.0, "sched_low": 0.5},
    {"early_commit": "prophet", "prophet_gaps": (4.0, 2.0, 1.0)},
]
EXACT = [{"cache": "dkv", "refresh_interval": 1, "block_length": 8}, {"cache": "prefix"}]
EXACT += [{"cache": "dkv", "refresh_interval": 1, "block_length": 8, **early} for early in EARLY]
EXACT += [{"cache": "prefix", **early} for early in EARLY]
EXACT += [{"cache": "dkv", "refresh_interval": 1, **ADAPTIVE, **early} for early in ({}, *EARLY)]
CACHES = [{"cache": "prefix"}, {"cache": "dual"}, {"cache": "dkv", "refresh_interval": 3}]
DREAM = Path(__file__).parents[1] / "golden" / "families" / "dream" / "checkpoint"


def canvases(engine: Engine, **parameters) -> dict[int, list[int]]:
    found = engine.generate(PROMPTS, build_policy("fixed", length=24, **parameters))
    return {g.index: g.canvas_ids for g in found}


def name_of(own: dict) -> str:
    return "-".join(own[name] for name in ("cache", "blocks", "early_commit") if name in own)


@pytest.mark.parametrize("cache", EXACT, ids=name_of)
def test_caches_that_reuse_nothing_change_no_token(tiny_model: MaskPredictor, cache):
    same = {name: value for name, value in cache.items() if name not in ("cache", "refresh_interval")}
    assert canvases(Engine(tiny_model), **cache) == canvases(Engine(tiny_model), **same)


def test_a_cache_that_does_not_fit_leaves_the_sample_uncached_with_a_note(tiny_model: MaskPredictor):
    engine = Engine(tiny_model, cache_bytes=0)
    assert canvases(engine, block_length=8, cache="dual") == canvases(Engine(tiny_model), block_length=8)
    assert len(engine.notes) == len(PROMPTS)
    assert all(g.ran_uncached for g in engine.generate(PROMPTS, build_policy("fixed", length=8, cache="dual")))
    assert not any(g.ran_uncached for g in engine.generate(PROMPTS, build_policy("fixed", length=8)))


@pytest.mark.parametrize("name", ["daedal", "rho_eos", "carve", "block_causal"])
def test_a_cache_is_refused_where_positions_move(name: str):
    with pytest.raises(Exception, match="leave cache out"):
        build_policy(name, cache="dual")


def products(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Attention of one sample by plain products, (tokens, heads, size)."""
    times = query.shape[1] // key.shape[1]
    q, k, v = (x.transpose(0, 1) for x in (query, *(x.repeat_interleave(times, 1) for x in (key, value))))
    return ((q @ k.transpose(1, 2) * scale).softmax(-1) @ v).transpose(0, 1)


@pytest.mark.parametrize("cache", CACHES, ids=lambda cache: cache["cache"])
def test_flops_are_those_that_torch_counts(tiny_model: MaskPredictor, monkeypatch: pytest.MonkeyPatch, cache):
    """Attention by plain products, as FlopCounterMode passes over the CPU's kernel; and without the filled-up rows."""

    def countable(
        query: Tensor, key: Tensor, value: Tensor, *, scale: float, enable_gqa: bool, attn_mask: None = None
    ) -> Tensor:
        assert not enable_gqa, "this model has as many key heads as query heads"
        return (query @ key.transpose(2, 3) * scale).softmax(-1) @ value

    monkeypatch.setattr(attention, "sdpa", countable)
    for module in (forward, head):
        monkeypatch.setattr(module, "MIN_ROWS", 1)
    policy = build_policy("fixed", length=24, block_length=8, steps=12, **cache)
    with FlopCounterMode(display=False) as counter:
        done = list(Engine(tiny_model).generate(PROMPTS, policy))
    rotary = {name: by for name, by in counter.get_flop_counts().items() if name.endswith("rotary_emb")}
    counted = counter.get_total_flops() - sum(sum(by.values()) for by in rotary.values())
    assert any(reused for g in done for _, reused in g.forwards)
    assert sum(g.ledger.total.flops_executed for g in done) == counted


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> "weakref.WeakSet[KVCache]":
    """The caches that exist at any time."""
    found: weakref.WeakSet[KVCache] = weakref.WeakSet()

    class Watched(KVCache):
        def __init__(self, length: int) -> None:
            super().__init__(length)
            found.add(self)

    monkeypatch.setattr(forward, "KVCache", Watched)
    return found


def held(live: "weakref.WeakSet[KVCache]") -> int:
    return sum(x.untyped_storage().nbytes() for cache in live for x in (*cache.keys, *cache.values))


@pytest.mark.parametrize("cache", CACHES, ids=lambda cache: cache["cache"])
@pytest.mark.parametrize("turns", [1, 2])
def test_caches_take_the_bytes_that_were_estimated(tiny_model: MaskPredictor, live, turns: int, cache):
    sizes, measured = tiny_model.architecture, list[int]()

    class Measuring(type(tiny_model)):
        def hidden(self, token_ids: Tensor, positions: Tensor, attend: Callable[..., Tensor]) -> Tensor:
            states = super().hidden(token_ids, positions, attend)
            measured.append(held(live))
            estimated = sum(kv_cache_bytes(sizes, cache.length, 4) for cache in live)
            assert measured[-1] == pytest.approx(estimated, rel=0.05)
            return states

    room = 3 * kv_cache_bytes(sizes, 42 + 24, 4)
    policy = build_policy("fixed", length=24, block_length=8, **cache)
    limited = Engine(Measuring(**vars(tiny_model)), cache_bytes=room, turns=turns)
    found = {g.index: (g.canvas_ids, g.forwards) for g in limited.generate(MORE, policy)}
    assert found == {g.index: (g.canvas_ids, g.forwards) for g in Engine(tiny_model).generate(MORE, policy)}
    assert room / 2 < max(measured) <= room
    assert not limited.notes
    assert not held(live), "a cache is freed with its sample"


def cramped(model: MaskPredictor, live: "weakref.WeakSet[KVCache]", room: int) -> MaskPredictor:
    """A model with memory for `room` tokens, forwarded or cached."""

    class Cramped(type(model)):
        def hidden(self, token_ids: Tensor, positions: Tensor, attend: Callable[..., Tensor]) -> Tensor:
            if len(token_ids) + sum(cache.length for cache in live) > room:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().hidden(token_ids, positions, attend)

    return Cramped(**vars(model))


def all_arms(engine: Engine, policies: list) -> dict[tuple[int, int], Generation]:
    prompts = MORE[1:6]
    done = engine.generate_arms(prompts, [policies] * len(prompts), [str(place) for place in range(len(prompts))])
    return {(g.index, g.arm): g for g in done}


@pytest.mark.parametrize("cache", CACHES, ids=name_of)
@pytest.mark.parametrize(("arms", "room", "turns"), [(1, 140, 1), (1, 220, 2), (2, 140, 2), (2, 220, 1)])
def test_out_of_memory_next_to_caches_loses_no_sample(
    tiny_model: MaskPredictor, live, arms: int, room: int, turns: int, cache
):
    """The longest sample needs 2 x 66 tokens by itself."""
    policies = [build_policy("fixed", length=24 - 4 * arm, block_length=8, **cache) for arm in range(arms)]
    engine = Engine(cramped(tiny_model, live, room), 1000, turns=turns)
    found, whole = all_arms(engine, policies), all_arms(Engine(tiny_model), policies)
    assert {key: (g.canvas_ids, g.forwards, g.error) for key, g in found.items()} == {
        key: (g.canvas_ids, g.forwards, None) for key, g in whole.items()
    }
    assert any("out of memory" in note for note in engine.notes)
    if cache["cache"] != "dkv":  # whose first forward is too large by itself, and keeps nothing
        assert engine.max_batch_tokens == 1000, "only the budget next to caches is lower"


@pytest.mark.parametrize("cache", CACHES[1:], ids=name_of)
@pytest.mark.parametrize(("room", "arms", "turns"), [(66, 1, 2), (90, 2, 1), (131, 1, 1)])
def test_a_sample_is_never_lost_where_it_would_fit_uncached(
    tiny_model: MaskPredictor, live, room: int, arms: int, turns: int, cache
):
    """The longest one has 66 tokens, so that it does not fit next to its own cache."""

    def arm(place: int, **cache: object) -> Policy:
        return build_policy("fixed", length=24 - 8 * place, steps=12 - 4 * place, block_length=8, **cache)

    policies = [arm(place, **cache) for place in range(arms)]
    engine = Engine(cramped(tiny_model, live, room), 1000, turns=turns)
    found, cached = all_arms(engine, policies), all_arms(Engine(tiny_model), policies)
    plain = all_arms(Engine(tiny_model), [arm(place) for place in range(arms)])
    assert found.keys() == cached.keys()
    for key, g in found.items():
        assert g.error is None
        assert g.ran_uncached or (g.canvas_ids, g.forwards) == (cached[key].canvas_ids, cached[key].forwards)
        if g.ran_uncached and all(reused == 0 for _, reused in g.forwards):
            assert g.canvas_ids == plain[key].canvas_ids
    alone = {f"sample {g.sample_id} ran without cache" for g in found.values() if g.ran_uncached}
    assert alone
    assert alone == {note.partition(" from its")[0] for note in engine.notes if "ran without cache" in note}


def test_a_budget_lowered_next_to_caches_does_not_apply_without_them(tiny_model: MaskPredictor, live):
    engine = Engine(cramped(tiny_model, live, 200), 200)
    cached, plain = (build_policy("fixed", length=24, block_length=8, cache=cache) for cache in ("dual", "none"))
    assert all(g.error is None for g in engine.generate(MORE, cached))
    assert any("with them a forward takes at most" in note for note in engine.notes)
    steps = list[Step]()
    assert all(g.error is None for g in engine.generate(MORE, plain, on_step=steps.append))
    assert max(step.tokens for step in steps) > 150


@dataclass(frozen=True)
class Remembering:
    """Commits one token before or after the full forward that is cached, then queries a block again."""

    early: bool
    seen: list[Answer]
    token: int = 5

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(24)
        want, block = StatSpec(Stat.TOKEN | Stat.CONFIDENCE), np.arange(8, 16)
        if self.early:
            canvas.commit(np.array([1]), np.array([self.token]))
        yield Query(canvas, block, want, keep=True)
        if not self.early:
            canvas.commit(np.array([1]), np.array([self.token]))
        self.seen.append((yield Query(canvas, block, want, recompute=block, keep=True)))


def test_arms_share_a_partial_forward_only_where_what_they_keep_is_equal(tiny_model: MaskPredictor):
    arms = [Remembering(early=False, seen=[]), Remembering(early=True, seen=[]), Remembering(early=False, seen=[])]
    steps = list[Step]()
    done = list(Engine(tiny_model).generate_arms(PROMPTS[:1], [arms], ["a"], on_step=steps.append))
    assert [step.samples for step in steps] == [2, 2], "the first and the last are one"
    assert len({tuple(g.canvas_ids) for g in done}) == 1, "though all have the same tokens"
    first, second, third = (arm.seen[0].confidence for arm in arms)
    assert (first == third).all()
    assert (first != second).any()


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("kind", ["grouped", "padded"])
def test_a_partial_forward_is_that_of_plain_products(tiny_model: MaskPredictor, kind, shifted: bool, early: bool):
    """Where logits are shifted, the position before each is computed anew as well: its hidden state predicts it."""
    model = load_model(str(DREAM), device="cpu", dtype="float32") if shifted else tiny_model
    assert model.shifted == shifted
    policy, prompt = Remembering(early=early, seen=[]), PROMPTS[0]
    (g,) = Engine(model, attention=kind).generate([prompt], policy)
    assert g.error is None

    start = len(prompt) + 8 - shifted
    computed = torch.arange(start, start + 8 + shifted)
    assert g.forwards == [(29, 0), (8 + shifted, 21 - shifted)]
    after = torch.tensor(prompt + g.canvas_ids)
    before = after.clone()
    if not early:
        before[len(prompt) + 1] = model.tokens.mask
    kept: list[tuple[Tensor, Tensor]] = []

    def keep(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        kept.append((key.clone(), value.clone()))
        return products(query, key, value, scale)

    model.hidden(before, torch.arange(len(before)), keep)
    layers: Iterator[tuple[Tensor, Tensor]] = iter(kept)

    def reuse(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        keys, values = next(layers)
        keys[computed], values[computed] = key, value
        return products(query, keys, values, scale)

    logits = model.logits(model.hidden(after[computed], computed, reuse))[:8]
    probability, token = logits.double().softmax(-1).max(-1)
    assert policy.seen[0].token.tolist() == token.tolist()
    np.testing.assert_allclose(policy.seen[0].confidence, probability.numpy(), atol=1e-5)


def test_without_an_interval_only_a_blocks_first_two_forwards_are_full(tiny_model: MaskPredictor):
    """However many there are: Dream's schedule makes more forwards than the block has tokens."""
    policy = build_policy("fixed", length=16, schedule="dream", steps=64, cache="dkv")
    (generation,) = Engine(tiny_model).generate(PROMPTS[:1], policy)
    assert len(generation.forwards) == 64
    assert [cached == 0 for _, cached in generation.forwards] == [True, True, *[False] * 62]
