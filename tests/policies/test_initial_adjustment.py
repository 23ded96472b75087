"""DAEDAL's first stage on forwards made by hand."""

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.denoising import Answer, Canvas
from dlm_length.policies.initial_adjustment import InitialAdjustment

MASK, EOS, WORD = 0, 1, 9


@pytest.fixture(scope="session")
def adjusted(play: Callable, says: Callable) -> Callable:
    """The course of stage 1 where the k-th forward has the k-th EOS confidence; the last one stays."""

    def adjusted(confidences: Iterable[float], **parameters: object) -> object:
        values = list(confidences)

        def forward(canvas: Canvas) -> Answer:
            value = values[min(canvas.forwards, len(values) - 1)]
            return says(token=EOS, eos=value, length=len(canvas))

        return play(InitialAdjustment(**({"eos_window": 4} | parameters)).adjust, forward)

    return adjusted


def test_lengthens_while_the_confidence_is_below_the_threshold(adjusted: Callable):
    course = adjusted([0.1, 0.49, 0.5, 0.0], initial_length=6, expansion_factor=3, tau_eos=0.5)
    assert course.lengths == [6, 9, 12]
    assert course.ids == [MASK] * 12 + [EOS] * 2
    assert all(question.probe for (question, *_) in course.questions), "it only chooses a length"


def test_a_confident_first_canvas_stays(adjusted: Callable):
    course = adjusted([0.5], initial_length=6, tau_eos=0.5)
    assert course.lengths == [6]
    assert [(c.forward, c.kind, c.before, c.after) for c in course.canvas.changes] == [
        (0, "append", 0, 6),
        (1, "append", 6, 8),
    ]


def test_stops_at_the_longest_canvas_with_a_shorter_last_step_and_no_room_for_a_tail(adjusted: Callable):
    course = adjusted([0.0], initial_length=6, expansion_factor=4, max_length=13)
    assert course.lengths == [6, 10, 13], (
        "the last forward is over the longest canvas, as in the reference implementation"
    )
    assert course.ids == [MASK] * 13


def test_a_first_canvas_as_long_as_the_longest_costs_one_forward(adjusted: Callable):
    course = adjusted([0.0], initial_length=6, max_length=6)
    assert course.lengths == [6]
    assert course.ids == [MASK] * 6


@pytest.mark.parametrize(
    ("parameters", "tail"),
    [({}, 2), ({"eos_window": 5}, 2), ({"eos_window": 1}, 0), ({"tail_eos": 0}, 0), ({"tail_eos": 50}, 14)],
)
def test_the_tail_of_eos_is_half_the_window_unless_given_and_never_above_the_longest(
    adjusted: Callable, parameters: dict, tail: int
):
    course = adjusted([1.0], initial_length=6, max_length=20, tau_eos=0.1, **parameters)
    assert course.ids == [MASK] * 6 + [EOS] * tail


def test_nine_certain_ends_of_ten_reach_a_threshold_of_nine_tenths(play: Callable, says: Callable):
    token = [WORD] * 3 + [EOS] * 9
    part = InitialAdjustment(initial_length=12, eos_window=10, tau_eos=0.9)
    course = play(part.adjust, [says(token=token, eos=1.0)])
    assert course.lengths == [12]


@given(
    confidences=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    initial=st.integers(1, 30),
    room=st.integers(0, 40),
    expansion=st.integers(1, 50),
    tail=st.none() | st.integers(0, 60),
    tau=st.floats(0, 1),
)
def test_never_above_the_longest_and_never_more_forwards_than_steps(
    adjusted: Callable, confidences: list[float], initial: int, room: int, expansion: int, tail: int | None, tau: float
):
    parameters = {"initial_length": initial, "max_length": initial + room, "expansion_factor": expansion}
    course = adjusted(confidences, tau_eos=tau, tail_eos=tail, **parameters)
    assert course.lengths == [min(initial + k * expansion, initial + room) for k in range(len(course.lengths))]
    assert len(course.canvas) == min(course.lengths[-1] + (2 if tail is None else tail), initial + room)
    assert course.ids.count(MASK) == course.lengths[-1]
