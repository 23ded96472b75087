"""Crop, then insert: the margin, and DAEDAL's second stage behind it."""

from collections.abc import Callable

import numpy as np
import pytest

from dlm_length import build_policy
from dlm_length.denoising import Answer, Canvas


@pytest.fixture
def course(play: Callable) -> Callable:
    """The course where SmartCrop would crop a canvas of 80 to `crop`, and each forward is that sure."""

    def course(crop: int, confidence: float = 0.95, **parameters: object) -> object:
        def forward(canvas: Canvas) -> Answer:
            size = len(canvas)
            ends = (np.arange(size) == crop - 1) * 1.0
            return Answer(token=np.full(size, 9), confidence=np.full(size, confidence), eos=ends, eot=np.zeros(size))

        return play(build_policy("crop_insert", **({"length": 80} | parameters)).denoise, forward)

    return course


@pytest.mark.parametrize(
    ("crop", "margin", "length"),
    [
        (10, 0.0, 10),
        (10, 0.1, 11),
        (11, 0.1, 13),  # 12.1, rounded up
        (50, 0.1, 55),
        (70, 0.1, 77),
        (50, 0.2, 60),
        (40, 0.5, 60),
        (75, 0.1, 80),
        (1, 5.0, 6),
        (2, 1e308, 80),
    ],
)
def test_the_margin_is_a_share_of_the_crop_rounded_up_and_within_the_canvas(
    course: Callable, crop: int, margin: float, length: int
):
    """50 * 1.1 is 55.00000000000001 in floating point, which must not become 56."""
    assert course(crop, margin=margin).lengths[1] == length


def test_the_probe_is_one_and_insertion_follows(course: Callable):
    done = course(6, confidence=0.05, margin=0.0, block_length=4, expansion_factor=3, max_length=100)
    assert [question.probe for (question, *_) in done.questions][:3] == [True, False, False]
    assert done.lengths[:3] == [80, 6, 8]
    assert len(done.canvas) > 80, "insertion may go beyond the canvas of the probe"
    assert len(done.canvas) <= 100
