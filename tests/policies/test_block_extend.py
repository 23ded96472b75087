"""Stop strings of block extension, as in iLLaDA's implementation; its golden cases are in test_golden_families."""

import pytest
from golden.families import FOLDER, cases, policy_for

from dlm_length import Engine, Generation, MaskPredictor, build_policy
from dlm_length.common import ConfigError
from dlm_length.models import load_model

CASE = next(case for case in cases("illada") if case["method"] == "illada_var")
BLOCK = CASE["params"]["block_length"]


@pytest.fixture(scope="module")
def model() -> MaskPredictor:
    return load_model(str(FOLDER / "illada" / "checkpoint"), device="cpu")


def answer(model: MaskPredictor, *stop_strings: str) -> Generation:
    policy = policy_for(CASE).model_copy(update={"stop_strings": stop_strings})
    (generation,) = Engine(model).generate([CASE["prompt_ids"]], policy)
    return generation


def text_of_blocks(model: MaskPredictor, count: int) -> str:
    return model.tokenizer.decode(CASE["canvas_ids"][: count * BLOCK], special=True)


def test_the_answer_ends_with_the_block_that_completes_a_stop_string(model: MaskPredictor) -> None:
    """Also where it began in the block before."""
    one, two = (text_of_blocks(model, count) for count in (1, 2))
    across = two[len(one) - 2 : len(one) + 2]
    assert across not in one
    done = answer(model, "nowhere in it", across)
    assert done.canvas_ids == CASE["canvas_ids"][: 2 * BLOCK]
    assert done.ledger.total.nfe == 2 * CASE["params"]["steps_per_block"]


def test_other_stop_strings_change_nothing(model: MaskPredictor) -> None:
    done = answer(model, "nowhere in it")
    assert (done.canvas_ids, done.ledger.total.nfe) == (CASE["canvas_ids"], CASE["nfe"])


def test_special_tokens_are_part_of_the_text(model: MaskPredictor) -> None:
    ids = [489, model.tokens.eos, 204]
    assert "<seed:eos>" in model.tokenizer.decode(ids, special=True)
    assert "<seed:eos>" not in model.tokenizer.decode(ids)


def test_without_any_a_run_is_what_it_was() -> None:
    assert "stop_strings" in build_policy("block_extend").undecisive
    assert "stop_strings" not in build_policy("block_extend", stop_strings=["Question:"]).undecisive


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(ConfigError, match="stop_strings"):
        build_policy("block_extend", stop_strings=["", "Question:"])
