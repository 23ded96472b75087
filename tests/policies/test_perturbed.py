"""The perturbed crop: rounding, limits, and SmartCrop itself at no perturbation."""

from collections.abc import Callable

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising import Answer, Canvas


@pytest.fixture
def perturbed(play: Callable) -> Callable:
    """Canvas length where SmartCrop would crop a canvas of twenty to `crop`."""

    def perturbed(crop: int, delta: float) -> int:
        def forward(canvas: Canvas) -> Answer:
            size = len(canvas)
            ends = (np.arange(size) == crop - 1) * 1.0
            return Answer(token=np.full(size, 9), confidence=np.full(size, 0.5), eos=ends, eot=np.zeros(size))

        course = play(build_policy("perturbed", length=20, delta=delta).denoise, forward)
        assert course.lengths == [20, *[len(course.canvas)] * len(course.canvas)]
        return len(course.canvas)

    return perturbed


@pytest.mark.parametrize(
    ("crop", "delta", "length"),
    [
        (10, 0.0, 10),
        (10, 0.5, 15),
        (10, -0.5, 5),
        (10, 0.14, 11),
        (10, 0.16, 12),
        (10, -0.14, 9),
        (7, -0.3, 5),  # 4.9
        (15, 0.5, 20),  # 22.5, but the canvas has 20
        (1, -0.5, 1),
        (3, -1.0, 1),
        (1, 1e308, 20),
        (20, 1e308, 20),
    ],
)
def test_the_crop_changes_by_its_share_within_the_canvas(perturbed: Callable, crop: int, delta: float, length: int):
    assert perturbed(crop, delta) == length


def test_no_perturbation_is_smartcrop(tiny_model: MaskPredictor, ask: Callable):
    prompts = [ask("What is a lamp? Explain in one sentence."), ask("Repeat the word warm exactly 6 times.")]
    settings = {"length": 40, "tau": 0.8, "block_length": 8, "tokens_per_step": 2}
    done = {}
    for name, own in (("smartcrop", {}), ("perturbed", {"delta": 0.0}), ("perturbed", {"delta": 0.5})):
        generations = Engine(tiny_model).generate(prompts, build_policy(name, **settings, **own))
        costs = ("nfe", "head_rows", "length_sum", "flops_executed")
        done[name, own.get("delta")] = {
            g.index: (g.canvas_ids, g.trajectory, [getattr(g.ledger.total, cost) for cost in costs], g.ledger.probe.nfe)
            for g in generations
        }
    smartcrop, same, longer = done.values()
    assert same == smartcrop
    assert all(len(longer[index][0]) > len(smartcrop[index][0]) for index in longer)
