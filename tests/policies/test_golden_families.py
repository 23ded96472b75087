"""Token-exact against the reference implementations of other model families: see tests/golden/README.md."""

import json
import random
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from golden.families import FOLDER, cases, policy_for
from safetensors.torch import load_file

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import SpecialTokens, UserError
from dlm_length.denoising import BlockCausalAttention, Canvas
from dlm_length.denoising.decoder import dream_counts, mdlm_counts
from dlm_length.engine.attention import masked_attention
from dlm_length.engine.sample import Sample
from dlm_length.models import load_model

BIDIRECTIONAL = ["a2d_qwen3_mdlm", "dream", "illada", "llada_moe"]
WITHOUT_CASES = ["a2d_qwen2_mdlm", "a2d_qwen3_untied"]
FAMILIES = [*BIDIRECTIONAL, "a2d_qwen3_bd3lm", "llada2_mini", "sdar"]
CASES = [(family, case) for family in FAMILIES for case in cases(family)]

TOKENS = SpecialTokens(mask=0, eos=1)


@cache
def model(family: str, batch_invariant: bool = False) -> MaskPredictor:
    return load_model(str(FOLDER / family / "checkpoint"), device="cpu", batch_invariant=batch_invariant)


def prompts_of(family: str) -> list[list[int]]:
    """The prompts of a family's cases; where it has none, A2D's conversations in the checkpoint's own template."""
    if family not in WITHOUT_CASES:
        return [case["prompt_ids"] for case in cases(family)]
    tokenizer = model(family).tokenizer
    conversations = [[(turn["role"], turn["content"]) for turn in case["messages"]] for case in cases("a2d_qwen3_mdlm")]
    return [tokenizer.encode(tokenizer.chat_text(turns), templated=True) for turns in conversations]


def final(case: dict) -> list[int]:
    """The program's answer; LLaDA2.0's cuts it at EOS."""
    return case["answer_ids"] if case["method"] == "llada2" else case["canvas_ids"]


def test_every_method_has_its_cases() -> None:
    assert Counter(case["method"] for _, case in CASES) == {
        "bd3lm": 9,
        "dream": 13,
        "dream_fast_dllm_threshold": 2,
        "illada_var": 5,
        "llada2": 10,
        "llada_fixed": 13,
        "mdlm": 12,
        "sdar_sequential": 6,
    }


@pytest.mark.parametrize(("family", "case"), CASES, ids=lambda part: part["id"] if isinstance(part, dict) else "")
def test_canvas_forwards_and_lengths_are_those_of_the_reference_implementation(family: str, case: dict) -> None:
    (generation,) = Engine(model(family)).generate([case["prompt_ids"]], policy_for(case))
    assert generation.error is None
    assert generation.canvas_ids == final(case)
    assert generation.ledger.total.nfe == case["nfe"]
    if "lengths" in case:
        assert generation.trajectory == case["lengths"]


@pytest.mark.parametrize("family", FAMILIES)
def test_different_cases_come_out_the_same_in_one_batch(family: str) -> None:
    own = cases(family)
    random.Random(3).shuffle(own)
    policies = [policy_for(case) for case in own]
    done = Engine(model(family), max_batch_tokens=700).generate([case["prompt_ids"] for case in own], policies)
    assert {g.index: (g.canvas_ids, g.ledger.total.nfe) for g in done} == {
        index: (final(case), case["nfe"]) for index, case in enumerate(own)
    }


@pytest.mark.parametrize("batch_invariant", [False, True])
@pytest.mark.parametrize("family", [*BIDIRECTIONAL, *WITHOUT_CASES])
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("fixed", {"length": 16}), ("smartcrop", {"length": 32, "tau": 0.02, "include_eot": True, "tokens_per_step": 2})],
)
def test_the_same_tokens_under_any_budget_and_order(
    family: str, name: str, parameters: dict, batch_invariant: bool
) -> None:
    network, prompts = model(family, batch_invariant), prompts_of(family)[: 3 if batch_invariant else 8]
    policy = build_policy(name, **parameters)

    def answers(budget: int, order: list[int]) -> dict[str, tuple[list[int], list[int]]]:
        ids = [str(index) for index in order]
        done = Engine(network, budget).generate([prompts[index] for index in order], policy, sample_ids=ids)
        return {g.sample_id: (g.canvas_ids, g.trajectory) for g in done}

    in_order = list(range(len(prompts)))
    alone = answers(1, in_order)
    if name == "smartcrop":
        assert len({len(trajectory) for _, trajectory in alone.values()}) > 1, "crops that are all equal test little"
    for budget in (200, 333, 10**6):
        assert answers(budget, in_order) == alone
        assert answers(budget, in_order[::-1]) == alone


def test_mdlms_counts_are_those_of_the_reference_implementation() -> None:
    for masks, steps, counts in json.loads((FOLDER / "a2d_qwen3_mdlm" / "schedules.json").read_text()):
        assert [count for count in mdlm_counts(masks, steps) if count] == [count for count in counts if count]


def test_dreams_counts_are_those_of_the_reference_implementation() -> None:
    for case in cases("dream"):
        if case["method"] == "dream":
            params = case["params"]
            assert list(dream_counts(params["length"], params["steps"], params["eps"])) == case["commits"]


@pytest.mark.parametrize("family", ["sdar", "llada2_mini"])
def test_a_policy_that_sees_later_blocks_is_refused_on_a_model_that_does_not(family: str) -> None:
    with pytest.raises(UserError, match=r"trained with block-causal attention.*choose policy block_causal"):
        list(Engine(model(family)).generate([[5, 6, 7]], build_policy("smartcrop", length=8)))


@pytest.mark.parametrize(("family", "size"), [("a2d_qwen3_bd3lm", 8), ("sdar", 4), ("llada2_mini", 8)])
def test_block_causal_logits_are_the_reference_models(family: str, size: int) -> None:
    """Of the whole sequence as an answer without a prompt, and with the same tokens in another sample next to it."""
    network, stored = model(family), load_file(FOLDER / family / "logits.safetensors")
    sequences = [stored[f"ids_{k}"].long() for k in range(3)]
    order = [np.arange(len(ids)) for ids in sequences]
    visible = [place[:, None] // size >= place // size for place in order]
    attend = masked_attention([len(ids) for ids in sequences], visible, network.device)
    positions = torch.from_numpy(np.concatenate(order))
    found = network.logits(network.hidden(torch.cat(sequences), positions, attend))
    expected = torch.cat([stored[f"blocks{size}_{k}"] for k in range(3)])
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


def test_what_a_token_sees_where_blocks_count_from_the_prompts_end() -> None:
    """A prompt of 5 in blocks of 4 begins three tokens into its block; the finished token 9 is unseen and uncounted."""
    sample = Sample(0, 0, "0", [7] * 5, model("a2d_qwen3_bd3lm"), canvas := Canvas(5, TOKENS), iter(()), 0)  # type: ignore[arg-type]
    canvas.append_masks(8)
    canvas.commit(np.array([1, 6]), np.array([9, 9]))
    canvas.attention = BlockCausalAttention(4, offset=3, ignored_token=9, ignored_before=4)
    positions, visible = sample.positions_and_mask()
    assert positions.tolist() == [0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9, 10, 11]
    assert visible is not None
    assert np.flatnonzero(visible[0]).tolist() == [0]
    assert np.flatnonzero(visible[1]).tolist() == [0, 1, 2, 3, 4]
    assert np.flatnonzero(visible[5]).tolist() == [0, 1, 2, 3, 4, 5, 7, 8]
    assert np.flatnonzero(visible[9]).tolist() == [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12]


def test_mdlm_takes_fewer_steps_than_it_has_blocks() -> None:
    """It rounds the share of a block up, to one forward here; so does dllm."""
    policy = build_policy("fixed", preset="mdlm", length=12, block_length=4, steps=2)
    (generation,) = Engine(model("a2d_qwen3_mdlm")).generate([[5, 6, 7]], policy)
    assert (generation.ledger.total.nfe, generation.error) == (3, None)


CAUSAL = [(family, case) for family in FAMILIES for case in cases(family) if policy_for(case).name == "block_causal"]


@pytest.mark.parametrize(("family", "case"), CAUSAL, ids=lambda value: value if isinstance(value, str) else value["id"])
def test_a_cache_of_finished_blocks_is_exact(family: str, case: dict) -> None:
    policy = policy_for(case).model_copy(update={"cache": "prefix"})
    (generation,) = Engine(model(family)).generate([case["prompt_ids"]], policy)
    assert (generation.canvas_ids, generation.ledger.total.nfe) == (final(case), case["nfe"])
    assert generation.forwards[0][1] == 0
    assert sum(reused > 0 for _, reused in generation.forwards) >= len(generation.forwards) - 2, (
        "short prompts have none"
    )


@pytest.mark.parametrize("loop", ["bd3lm", "sdar", "llada2"])
@pytest.mark.parametrize("own", [{}, {"cache_fills": False}, {"block_length": 5, "steps": 2}])
def test_a_cache_of_finished_blocks_is_exact_wherever_the_prompt_ends(loop: str, own: dict) -> None:
    """Prompts of one token on, in one batch."""
    if loop == "llada2" and "cache_fills" in own:
        own = {"early_stop": False}
    network = model({"bd3lm": "a2d_qwen3_bd3lm", "sdar": "sdar", "llada2": "llada2_mini"}[loop])
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, network.architecture.vocabulary - 9, length).tolist() for length in (1, 3, 4, 7, 8, 13)]
    found = [
        {
            g.index: (g.error, g.canvas_ids, g.ledger.total.nfe)
            for g in Engine(network).generate(
                prompts, build_policy("block_causal", **{"loop": loop, "length": 22, "block_length": 4, **own, **cache})
            )
        }
        for cache in ({}, {"cache": "prefix"})
    ]
    assert found[0] == found[1]
    assert not any(error for error, _, _ in found[0].values())
