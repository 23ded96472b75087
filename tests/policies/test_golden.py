"""Token-exact against the reference implementations: see tests/golden/README.md for the cases' origin."""

import json
from collections import Counter
from pathlib import Path

import pytest

from dlm_length import Engine, MaskPredictor, build_policy

POLICY = {
    "llada_fixed": "fixed",
    "fast_dllm_threshold": "fixed",
    "smartcrop": "smartcrop",
    "daedal": "daedal",
    "rho_eos": "rho_eos",
}
CASES = [json.loads(line) for line in (Path(__file__).parents[1] / "golden" / "cases.jsonl").read_text().splitlines()]


def test_every_method_has_its_cases():
    assert Counter(case["method"] for case in CASES) == {
        "llada_fixed": 24,
        "fast_dllm_threshold": 24,
        "smartcrop": 24,
        "daedal": 40,
        "rho_eos": 24,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_canvas_forwards_and_lengths_are_those_of_the_reference_implementation(tiny_model: MaskPredictor, case: dict):
    policy = build_policy(POLICY[case["method"]], **case["params"])
    (generation,) = Engine(tiny_model).generate([case["prompt_ids"]], policy)
    assert generation.error is None
    assert generation.canvas_ids == case["canvas_ids"]
    assert generation.ledger.total.nfe == case["nfe"]
    assert generation.trajectory == case["lengths"]
    if case["method"] not in ("daedal", "rho_eos"):
        assert generation.ledger.probe.nfe == (case["method"] == "smartcrop")


def test_different_cases_come_out_the_same_in_one_batch(tiny_model: MaskPredictor):
    mixed = CASES[::3]
    policies = [build_policy(POLICY[case["method"]], **case["params"]) for case in mixed]
    done = list(Engine(tiny_model, max_batch_tokens=1024).generate([case["prompt_ids"] for case in mixed], policies))
    assert {g.index: (g.canvas_ids, g.ledger.total.nfe) for g in done} == {
        index: (case["canvas_ids"], case["nfe"]) for index, case in enumerate(mixed)
    }
