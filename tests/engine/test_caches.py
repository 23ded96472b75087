"""Caches that cache nothing, caches that do not fit, and what a config may not combine."""

import pytest

from dlm_length import Engine, MaskPredictor, build_policy

PROMPTS = [[2, 316, 274, 26, 3], [2, 316, 262, 364, 442, 427, 370, 3]]
EXACT = [{"cache": "dkv", "refresh_interval": 1, "block_length": 8}, {"cache": "prefix"}]


def canvases(engine: Engine, **parameters) -> dict[int, list[int]]:
    found = engine.generate(PROMPTS, build_policy("fixed", length=24, **parameters))
    return {g.index: g.canvas_ids for g in found}


@pytest.mark.parametrize("cache", EXACT, ids=lambda cache: cache["cache"])
def test_what_reuses_nothing_or_only_the_prompt_of_one_block_is_as_its_rule_says(tiny_model: MaskPredictor, cache):
    same = {name: value for name, value in cache.items() if name == "block_length"}
    assert canvases(Engine(tiny_model), **cache) == canvases(Engine(tiny_model), **same)


def test_a_cache_that_does_not_fit_leaves_the_sample_uncached_and_says_so(tiny_model: MaskPredictor):
    engine = Engine(tiny_model, cache_bytes=0)
    assert canvases(engine, block_length=8, cache="dual") == canvases(Engine(tiny_model), block_length=8)
    assert len(engine.notes) == len(PROMPTS)


@pytest.mark.parametrize("name", ["daedal", "rho_eos", "block_causal"])
def test_a_cache_is_refused_where_positions_move(name: str):
    with pytest.raises(Exception, match="leave cache out"):
        build_policy(name, cache="dual")
