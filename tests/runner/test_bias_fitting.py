"""CAL's bias: the curve against known ones and scipy's fit, and the means it goes through."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import curve_fit

from dlm_length.common import UserError
from dlm_length.config import RunConfig
from dlm_length.engine.attention import ATTENTIONS
from dlm_length.models import load_model
from dlm_length.policies.length_search import length_bias
from dlm_length.runner.bias_fitting import fit_bias, measure_bias
from dlm_length.runner.prepare import prepare

LENGTHS = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128]


def test_a_curve_without_noise_is_found_again():
    """CAL's own."""
    known = (1.0, 1.77, 0.56, 0.06, 0.24)
    found = fit_bias(LENGTHS, length_bias(np.array(LENGTHS), known))
    np.testing.assert_allclose(found, known, rtol=0.02)
    np.testing.assert_allclose(length_bias(np.arange(1, 129), found), length_bias(np.arange(1, 129), known), atol=5e-4)


@pytest.mark.parametrize("seed", range(3))
def test_with_noise_no_fit_of_scipy_is_better(seed: int):
    rng = np.random.default_rng(seed)
    lengths = np.array(LENGTHS)
    measured = length_bias(lengths, (0.6, 0.8, 0.4, 0.03, 0.3)) + rng.normal(0, 0.01, len(LENGTHS))

    def curve(places: np.ndarray, *bias: float) -> np.ndarray:
        return length_bias(places, bias)

    bounds = (np.zeros(5), [np.inf, 10, np.inf, 10, np.inf])
    theirs = curve_fit(curve, lengths, measured, p0=(0.5, 1.0, 0.5, 0.02, 0.2), bounds=bounds)[0]
    ours = fit_bias(LENGTHS, measured)
    assert ((curve(lengths, *ours) - measured) ** 2).sum() <= ((curve(lengths, *theirs) - measured) ** 2).sum() * 1.001


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=8))
def test_no_coefficient_is_negative(confidences: list[float]):
    bias = fit_bias(range(1, len(confidences) + 1), np.array(confidences))
    assert min(bias) >= 0
    assert bias[1] >= bias[3]


def test_a_flat_confidence_is_a_flat_curve():
    np.testing.assert_allclose(length_bias(np.arange(1, 200), fit_bias(LENGTHS, np.full(14, 0.4))), 0.4, atol=1e-5)


def test_the_means_are_those_of_masks_alone(configure: Callable[..., RunConfig], watch: object):
    config = configure()
    fitted = measure_bias(config, [8, 1, 2, 4, 3, 2], watch)
    assert fitted.lengths == (1, 2, 3, 4, 8)
    assert fitted.prompts == len(config.benchmark.problems())
    jobs = prepare([config])[0].jobs
    model = load_model(config.model.path, device="cpu", dtype="float32")
    means = []
    for job in jobs:
        ids = torch.tensor([*job.prompt_ids, *[model.tokens.mask] * 3])
        with torch.inference_mode():
            attend = ATTENTIONS["padded"]([len(ids)], torch.device("cpu"))
            logits = model.logits(model.hidden(ids, torch.arange(len(ids)), attend))[-3:]
        means.append(float(logits.softmax(-1).max(-1).values.mean()))
    assert fitted.confidences[2] == pytest.approx(np.mean(means), abs=1e-5)
    assert fitted.error < 0.2


@pytest.mark.parametrize("lengths", [[1, 2, 3, 4], [1, 2, 3, 4, 4, 4], [0, 1, 2, 3, 4]])
def test_too_few_lengths_are_told_before_anything_is_loaded(
    configure: Callable[..., RunConfig], watch: object, lengths: list[int]
):
    with pytest.raises(UserError, match="a curve of 5 coefficients needs at least 5 different lengths"):
        measure_bias(configure(), lengths, watch)


def test_a_canvas_beyond_the_model_is_told(configure: Callable[..., RunConfig], watch: object):
    with pytest.raises(UserError, match="the model takes at most 1024; leave out the longest lengths"):
        measure_bias(configure(), [1, 2, 3, 4, 1024], watch)
