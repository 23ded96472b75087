"""Token- and forward-exact against the reference implementations with caches: see tests/golden/README.md."""

import json
from collections import Counter
from pathlib import Path

import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.models import load_model

_FILE = Path(__file__).parents[1] / "golden" / "caches" / "cases.jsonl"
CASES = [json.loads(line) for line in _FILE.read_text().splitlines()]


@pytest.fixture(scope="module")
def models(tiny_model: MaskPredictor) -> dict[str, MaskPredictor]:
    mini = load_model("embedded:llada-mini", device="cpu", dtype="float32")
    return {"llada-tiny": tiny_model, "llada-mini": mini}


def policy_of(case: dict):
    cache = case["params"]["cache"].removesuffix("_decode")  # the program's own name of its variant
    return build_policy("fixed", **{**case["params"], "cache": cache})


def worked(case: dict) -> list[tuple[int, int]]:
    """The program's forwards without those on a block that was finished already."""
    return [tuple(pair) for index, pair in enumerate(case["forwards"]) if index not in case.get("idle", ())]


def test_every_program_has_its_cases():
    assert Counter(case["params"]["cache"] for case in CASES).keys() == {"prefix", "dual", "dkv_decode"}
    assert len(CASES) == 84


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_canvas_and_forwards_are_those_of_the_released_program(models: dict[str, MaskPredictor], case: dict):
    (generation,) = Engine(models[case["model"]]).generate([case["prompt_ids"]], policy_of(case))
    assert generation.error is None
    assert generation.canvas_ids == case["canvas_ids"]
    assert generation.forwards == worked(case)
    assert generation.ledger.total.nfe == case.get("nfe_v1", case["nfe"])
    assert generation.ledger.total.query_sum == sum(queries for queries, _ in worked(case))


@pytest.mark.parametrize("max_batch_tokens", [64, 700, 4096])
def test_different_caches_come_out_the_same_in_one_batch(tiny_model: MaskPredictor, max_batch_tokens: int):
    mixed = [case for case in CASES if case["model"] == "llada-tiny"][::4]
    engine = Engine(tiny_model, max_batch_tokens=max_batch_tokens)
    done = engine.generate([case["prompt_ids"] for case in mixed], [policy_of(case) for case in mixed])
    found = {g.index: (g.canvas_ids, g.forwards) for g in done}
    assert found == {index: (case["canvas_ids"], worked(case)) for index, case in enumerate(mixed)}
