"""Token-exact against the samplers that other model families are released with: see tests/golden/README.md."""

import json
import random
from collections import Counter
from functools import cache

import pytest
from golden.families import FOLDER, cases, policy_for

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising.decoder import dream_counts, mdlm_counts
from dlm_length.models import load_model

FAMILIES = ["a2d_qwen3_mdlm", "dream", "illada", "llada_moe"]
CASES = [(family, case) for family in FAMILIES for case in cases(family)]


@cache
def model(family: str) -> MaskPredictor:
    return load_model(str(FOLDER / family / "checkpoint"), device="cpu")


def test_every_method_has_its_cases() -> None:
    assert Counter(case["method"] for _, case in CASES) == {
        "dream": 13,
        "dream_fast_dllm_threshold": 2,
        "illada_var": 5,
        "llada_fixed": 13,
        "mdlm": 12,
    }


@pytest.mark.parametrize(("family", "case"), CASES, ids=lambda part: part["id"] if isinstance(part, dict) else "")
def test_canvas_forwards_and_lengths_are_those_of_the_released_program(family: str, case: dict) -> None:
    (generation,) = Engine(model(family)).generate([case["prompt_ids"]], policy_for(case))
    assert generation.error is None
    assert generation.canvas_ids == case["canvas_ids"]
    assert generation.ledger.total.nfe == case["nfe"]
    assert generation.trajectory == case["lengths"]


@pytest.mark.parametrize("family", FAMILIES)
def test_different_cases_come_out_the_same_in_one_batch(family: str) -> None:
    own = cases(family)
    random.Random(3).shuffle(own)
    policies = [policy_for(case) for case in own]
    done = Engine(model(family), max_batch_tokens=700).generate([case["prompt_ids"] for case in own], policies)
    assert {g.index: (g.canvas_ids, g.ledger.total.nfe) for g in done} == {
        index: (case["canvas_ids"], case["nfe"]) for index, case in enumerate(own)
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "parameters"),
    [("fixed", {"length": 16}), ("smartcrop", {"length": 32, "tau": 0.02, "include_eot": True, "tokens_per_step": 2})],
)
def test_the_same_tokens_under_any_budget_and_order(family: str, name: str, parameters: dict) -> None:
    prompts = [case["prompt_ids"] for case in cases(family)]
    policy = build_policy(name, **parameters)

    def answers(budget: int, order: list[int]) -> dict[str, tuple[list[int], list[int]]]:
        ids = [str(index) for index in order]
        done = Engine(model(family), budget).generate([prompts[index] for index in order], policy, sample_ids=ids)
        return {g.sample_id: (g.canvas_ids, g.trajectory) for g in done}

    in_order = list(range(len(prompts)))
    alone = answers(1, in_order)
    if name == "smartcrop":
        assert len({len(trajectory) for _, trajectory in alone.values()}) > 1, "crops that are all equal test little"
    for budget in (200, 333, 10**6):
        assert answers(budget, in_order) == alone
        assert answers(budget, in_order[::-1]) == alone


def test_mdlms_counts_are_those_of_the_released_program() -> None:
    for masks, steps, counts in json.loads((FOLDER / "a2d_qwen3_mdlm" / "schedules.json").read_text()):
        assert [count for count in mdlm_counts(masks, steps) if count] == [count for count in counts if count]


def test_dreams_counts_are_those_of_the_released_program() -> None:
    for case in cases("dream"):
        if case["method"] == "dream":
            params = case["params"]
            assert list(dream_counts(params["length"], params["steps"], params["eps"])) == case["commits"]
