"""Parts put together give the methods they come from."""

from collections.abc import Callable

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising import Answer, Canvas

GROWING = {"max_length": 40, "expansion_factor": 4, "eos_window": 8, "tau_eos": 0.3, "initial_length": 12}
INSERTING = {"block_length": 8, "tau_high": 0.8, "tau_low": 0.3}


@pytest.fixture
def done(tiny_model: MaskPredictor, ask: Callable) -> Callable:
    """What comes out of a policy on three prompts: tokens, lengths and every cost but time."""
    prompts = [ask("What is a lamp? Explain in one sentence."), [*range(40, 70)], ask("Write f4(x): add 7 to x.")]

    def done(name: str, **parameters: object) -> dict[int, tuple]:
        found = Engine(tiny_model, seed=3).generate(prompts, build_policy(name, **parameters))
        costs = ("nfe", "length_sum", "length_squared_sum", "head_rows", "flops_reference", "flops_executed")
        return {
            g.index: (
                g.canvas_ids,
                g.trajectory,
                [[getattr(part, cost) for cost in costs] for part in (g.ledger.total, g.ledger.probe)],
            )
            for g in found
        }

    return done


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize(
    ("length_from", "then", "shared", "composed", "name", "own"),
    [
        ("smartcrop", "schedule", {"length": 32, "tau": 0.6}, {}, "smartcrop", {}),
        ("smartcrop", "schedule", {"length": 32, "block_length": 8, "remasking": "entropy"}, {}, "smartcrop", {}),
        (
            "smartcrop",
            "threshold",
            {"length": 32, "block_length": 8, "threshold": 0.6, "include_eot": True, "round_to": 8},
            {},
            "smartcrop",
            {},
        ),
        ("smartcrop", "insertion", {"length": 32, "max_length": 40} | INSERTING, {}, "crop_insert", {"margin": 0.0}),
        ("initial_adjustment", "insertion", GROWING | INSERTING, {}, "daedal", {}),
        ("initial_adjustment", "schedule", GROWING | {"block_length": 8}, {}, "daedal", {"stages": "initial"}),
        (
            "fixed",
            "insertion",
            {"max_length": 40, "expansion_factor": 4} | INSERTING,
            {"length": 16},
            "daedal",
            {"stages": "insertion", "initial_length": 16},
        ),
        ("fixed", "schedule", {"length": 24, "block_length": 8, "tokens_per_step": 2}, {}, "fixed", {}),
        ("fixed", "threshold", {"length": 24, "block_length": 8, "threshold": 0.6}, {}, "fixed", {}),
    ],
)
def test_a_composition_of_a_methods_own_parts_is_the_method(
    done: Callable,
    length_from: str,
    then: str,
    shared: dict,
    composed: dict,
    name: str,
    own: dict,
    temperature: float,
):
    settings = shared | {"temperature": temperature}
    method = done(name, **settings, **own)
    assert done("composed", length_from=length_from, then=then, **settings, **composed) == method


@pytest.mark.parametrize("length_from", ["smartcrop", "initial_adjustment", "fixed"])
@pytest.mark.parametrize("then", ["schedule", "threshold", "insertion"])
def test_every_composition_can_begin_short_and_end_there(play: Callable, length_from: str, then: str):
    """Parts that take no part do not stand in the way: the first stage begins with 64 tokens by default."""
    grows = length_from == "initial_adjustment" or then == "insertion"
    own: dict = {"initial_length": 6} if length_from == "initial_adjustment" else {"length": 6}
    own |= ({"max_length": 9} if grows else {}) | ({"threshold": 0.5} if then == "threshold" else {})

    def forward(canvas: Canvas) -> Answer:
        nothing = np.zeros(len(canvas))
        return Answer(token=np.full(len(canvas), 9), confidence=nothing, eos=nothing, eot=nothing)

    course = play(build_policy("composed", length_from=length_from, then=then, **own).denoise, forward)
    assert (course.lengths[0], course.ids) == (6, [9] * (9 if grows else 6))
