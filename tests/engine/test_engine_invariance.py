"""A sample's answer does not depend on the budget, its batch mates, their order or the kernel."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.engine.attention import ATTENTIONS

PROMPTS = [
    json.loads(line)["prompt_ids"]
    for line in (Path(__file__).parents[1] / "golden" / "cases.jsonl").read_text().splitlines()[:10]
]
# Words in no order, of which the model is not sure: there a temperature shows.
PROMPTS += np.random.default_rng(0).integers(4, 700, (4, 30)).tolist()
IDS = [f"sample-{i}" for i in range(len(PROMPTS))]
THREE = 3 * (max(map(len, PROMPTS)) + 24)


def answers(engine: Engine, policy: object, order: list[int]) -> dict[str, tuple[list[int], list[int]]]:
    generations = engine.generate([PROMPTS[i] for i in order], policy, sample_ids=[IDS[i] for i in order])
    return {g.sample_id: (g.canvas_ids, g.trajectory) for g in generations}


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize(
    "policy",
    [
        ("fixed", {"length": 24}),
        ("smartcrop", {"length": 32}),
        ("fixed", {"length": 16, "remasking": "random", "tokens_per_step": 2}),
        ("fixed", {"length": 16, "remasking": "entropy", "block_length": 8, "confidence_eos_eot_inf": True}),
        ("fixed", {"length": 16, "threshold": 0.6, "logits_eos_inf": True}),
    ],
    ids=lambda p: f"{p[0]}-{'-'.join(map(str, p[1].values()))}",
)
def test_the_same_tokens_under_any_budget_and_order(tiny_model: MaskPredictor, policy: tuple, temperature: float):
    name, parameters = policy
    built = build_policy(name, temperature=temperature, **parameters)
    in_order = list(range(len(PROMPTS)))
    shuffled = random.Random(7).sample(in_order, len(in_order))
    alone = answers(Engine(tiny_model, 1, seed=5), built, in_order)
    assert len(alone) == len(PROMPTS)
    greedy = answers(Engine(tiny_model, seed=5), build_policy(name, **parameters), in_order)
    assert (alone != greedy) == (temperature > 0), "a temperature that never shows tests nothing"
    for budget, order in ((THREE, in_order), (10**6, in_order), (THREE, shuffled), (10**6, shuffled)):
        assert answers(Engine(tiny_model, budget, seed=5), built, order) == alone


def test_sampled_answers_depend_on_the_seed_and_the_sample_id(tiny_model: MaskPredictor):
    policy = build_policy("fixed", length=16, temperature=1.0)
    order = list(range(len(PROMPTS)))[-4:]
    one = answers(Engine(tiny_model, seed=1), policy, order)
    assert answers(Engine(tiny_model, seed=2), policy, order) != one
    (as_named,) = Engine(tiny_model, seed=1).generate([PROMPTS[-1]], policy, sample_ids=[IDS[-1]])
    (renamed,) = Engine(tiny_model, seed=1).generate([PROMPTS[-1]], policy, sample_ids=["another"])
    assert as_named.canvas_ids == one[IDS[-1]][0]
    assert renamed.canvas_ids != as_named.canvas_ids


def test_a_greedy_answer_does_not_depend_on_the_seed(tiny_model: MaskPredictor):
    policy = build_policy("smartcrop", length=32)
    order = list(range(4))
    assert answers(Engine(tiny_model, seed=1), policy, order) == answers(Engine(tiny_model, seed=2), policy, order)


def test_padded_and_grouped_attention_agree(tiny_model: MaskPredictor):
    policy = build_policy("smartcrop", length=32)
    order = list(range(len(PROMPTS)))
    grouped = answers(Engine(tiny_model, attention="grouped"), policy, order)
    assert answers(Engine(tiny_model, attention="padded"), policy, order) == grouped


@pytest.mark.parametrize("mates", [[], [3], [40, 9, 40], [200, 1, 57]])
def test_hidden_states_are_equal_to_the_bit_whatever_the_batch(tiny_model: MaskPredictor, mates: list[int]):
    """Stronger than equal tokens: no near-tie can ever flip with the batch on this machine."""
    generator = torch.Generator().manual_seed(0)
    lengths = [37, *mates]
    samples = [torch.randint(4, 768, (length,), generator=generator) for length in lengths]

    def hidden(chosen: list[torch.Tensor]) -> torch.Tensor:
        sizes = [len(ids) for ids in chosen]
        positions = torch.cat([torch.arange(size) for size in sizes])
        attend = ATTENTIONS["grouped"](sizes, torch.device("cpu"))
        return tiny_model.hidden(torch.cat(chosen), positions, attend)[:37]

    assert torch.equal(hidden(samples), hidden(samples[:1]))
