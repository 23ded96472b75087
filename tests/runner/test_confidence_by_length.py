"""CAL's bias: the means that its curve goes through."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from dlm_length.common import UserError
from dlm_length.config import RunConfig
from dlm_length.engine.attention import ATTENTIONS
from dlm_length.models import load_model
from dlm_length.runner.prepare import prepare
from dlm_length.runner.probe import measure_bias


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
