"""Several policies on one prompt share forwards, which changes neither tokens nor ledgers."""

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising import Denoiser
from dlm_length.engine import Generation, Step

PROMPTS = [np.random.default_rng(place).integers(4, 700, 4 + 7 * place).tolist() for place in range(4)]
PROMPTS[1] = [2, 352, 297, 262, 515, 34, 356, 310, 570, 17, 3]
IDS = [f"question {place}" for place in range(len(PROMPTS))]


def arms(temperature: float) -> list[Denoiser]:
    names: list[tuple[str, dict]] = [
        *(("smartcrop", {"length": 20, "tau": tau}) for tau in (0.05, 0.3, 0.5, 0.95)),
        ("fixed", {"length": 20}),
        ("daedal", {"initial_length": 6, "max_length": 24, "block_length": 6, "expansion_factor": 4, "eos_window": 6}),
        ("random_length", {"length": 20, "lengths": dict.fromkeys(IDS, 20)}),
    ]
    return [build_policy(name, temperature=temperature, **parameters) for name, parameters in names]


def summary(g: Generation) -> tuple:
    costs = [(c.nfe, c.head_rows, c.length_sum, c.flops_executed) for c in (g.ledger.total, g.ledger.probe)]
    return g.sample_id, g.canvas_ids, g.trajectory, g.changes, costs, g.error


@pytest.mark.parametrize("budget", [1, 120, 10**6])
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_an_arm_gives_the_same_as_alone(tiny_model: MaskPredictor, temperature: float, budget: int):
    policies, steps = arms(temperature), list[Step]()
    engine = Engine(tiny_model, budget, seed=3)
    together = {
        (g.index, g.arm): summary(g)
        for g in engine.generate_arms(PROMPTS, [policies] * len(PROMPTS), IDS, on_step=steps.append)
    }
    requested = 0
    for arm, policy in enumerate(policies):
        for g in Engine(tiny_model, seed=3).generate(PROMPTS, policy, sample_ids=IDS):
            assert together.pop((g.index, arm)) == summary(g)
            requested += g.ledger.total.nfe
    assert not together
    run = sum(step.samples for step in steps)
    # At least the probes of the four taus and the first forward of the fixed canvas are one, and the whole of equals.
    assert run <= requested - (4 + 20) * len(PROMPTS)


def test_equal_arms_are_computed_once(tiny_model: MaskPredictor):
    steps = list[Step]()
    policy = build_policy("fixed", length=9)
    done = list(Engine(tiny_model).generate_arms(PROMPTS, [[policy] * 5] * 4, IDS, on_step=steps.append))
    assert len(done) == 20
    assert sum(step.samples for step in steps) == 9 * 4
    assert {g.ledger.total.nfe for g in done} == {9}


def test_an_arm_may_be_absent_and_a_failing_one_stops_no_other(tiny_model: MaskPredictor):
    good, bad = build_policy("fixed", length=8), build_policy("fixed", length=5000)
    left = [[None, good], [bad, good], [None, None], [good, None]]
    found = {(g.index, g.arm): g.error for g in Engine(tiny_model).generate_arms(PROMPTS, left, IDS)}
    assert found.pop((1, 0)) is not None
    assert found == {(0, 1): None, (1, 1): None, (3, 0): None}
