"""CARVE on forwards made by hand: where masks go, when they stay, and how the canvas ends."""

from collections.abc import Callable

import numpy as np
import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.common import ConfigError
from dlm_length.denoising import Answer, Canvas
from dlm_length.policies.carve import highest_entropy_window
from dlm_length.trace.record import Frame, Traced

MASK, EOS, WORD = 0, 1, 9


@pytest.fixture(scope="session")
def course(play: Callable) -> Callable:
    """The course of CARVE where every mask predicts a word, with these divergences of the masks."""

    def course(divergence: float, token: int = WORD, **parameters: object) -> object:
        given = {"initial_length": 6, "max_length": 10, "insert": 3, "window": 2} | parameters

        def forward(canvas: Canvas) -> Answer:
            size = len(canvas)
            peak = np.exp(-np.abs(np.arange(size) - 3.4))  # the model is least sure at positions 3 and 4
            return Answer(
                token=np.full(size, token),
                confidence=np.linspace(0.9, 0.5, size),
                entropy=peak,
                unmasked_token=np.full(size, WORD),
                unmasked_confidence=np.linspace(0.9, 0.5, size),
                divergence=np.full(size, divergence),
            )

        return play(build_policy("carve", **given).denoise, forward)

    return course


def changes(done: object) -> list[tuple[str, int, int]]:
    return [(change.kind, change.position, change.after) for change in done.canvas.changes]


def test_masks_go_into_the_middle_of_the_window_until_the_longest_canvas(course: Callable):
    done = course(0.01)
    assert changes(done) == [("append", 0, 6), ("insert", 4, 9), ("insert", 4, 10)], "the second one has room for one"
    assert done.lengths[:4] == [6, 9, 9, 10]
    assert len(done.ids) == 10


def test_what_is_refused_is_taken_back(course: Callable):
    done = course(0.5)
    assert changes(done)[1:3] == [("insert", 4, 9), ("remove", 4, 6)]
    assert len(done.ids) == 6
    assert [questions[0].probe for questions in done.questions] == [False, True] * 6


def test_the_divergence_must_be_below_tau(course: Callable):
    assert len(course(0.02, tau_js=0.02).ids) == 6
    assert len(course(np.nextafter(0.02, 0), tau_js=0.02).ids) == 10
    assert len(course(0.0, tau_js=0.0).ids) == 6


def test_only_the_masks_that_were_there_are_compared_in_their_order(course: Callable):
    done = course(0.01, block_length=2)
    first, second = done.questions[0][0], done.questions[1][0]
    assert first.keep_hidden.tolist() == [0, 1, 2, 3, 4, 5]
    assert second.positions.tolist() == [0, 1, 2, 3, 7, 8]
    assert done.questions[2][0].keep_hidden.tolist() == list(range(1, 9)), "position 0 is committed"


def test_an_interval_leaves_steps_without_any_verification(course: Callable):
    done = course(0.5, interval=4)
    assert [len(questions[0].positions) for questions in done.questions if questions[0].probe] == [6, 2]
    assert done.canvas.forwards == 6 + 2


def test_a_canvas_as_long_as_allowed_is_decoded_as_it_is(course: Callable):
    done = course(0.0, initial_length=10)
    assert done.lengths == [10] * 10
    assert not any(question.keep_hidden is not None for questions in done.questions for question in questions)


def test_an_end_crops_the_canvas_and_one_forward_fills_what_is_before_it(play: Callable):
    def forward(canvas: Canvas) -> Answer:
        size = len(canvas)
        token = np.where(np.arange(size) == 3, EOS, WORD)
        confidence = np.where(np.arange(size) == 3, 0.9, 0.4)
        nothing = np.zeros(size)
        words = np.full(size, WORD)
        return Answer(token=token, confidence=confidence, entropy=nothing, divergence=nothing + 1,
                      unmasked_token=words, unmasked_confidence=nothing)  # fmt: skip

    policy = {"initial_length": 6, "max_length": 12, "window": 2, "interval": 9}
    done = play(build_policy("carve", **policy).denoise, forward)
    assert done.ids == [WORD, WORD, WORD, EOS]
    assert done.lengths == [6, 12, 4], "a verification, and the forward that fills"
    assert done.canvas.changes[-1].kind == "crop"
    kept = play(build_policy("carve", **policy, crop_at_eos=False).denoise, forward)
    assert len(kept.ids) == 6


def test_an_end_at_the_last_position_crops_nothing(play: Callable):
    def forward(canvas: Canvas) -> Answer:
        size = len(canvas)
        last = np.arange(size) == size - 1
        return Answer(token=np.where(last, EOS, WORD), confidence=last * 0.5 + 0.1)

    done = play(build_policy("carve", initial_length=4, max_length=4, window=2).denoise, forward)
    assert (done.ids, done.lengths) == ([WORD, WORD, WORD, EOS], [4, 4, 4, 4])


def test_fewer_steps_commit_more_in_each(course: Callable):
    done = course(0.5, steps=3, interval=9)
    masks = [
        canvas.count(MASK)
        for canvas, questions in zip(done.seen, done.questions, strict=True)
        if not questions[0].probe
    ]
    assert masks == [6, 4, 2]


def test_a_model_that_predicts_mask_is_asked_for_words_after_the_last_step(course: Callable):
    done = course(0.5, token=MASK, steps=2, interval=9, block_length=4)
    assert done.ids == [WORD] * 6
    assert done.canvas.forwards == 2 + 1 + 2, "two steps, one verification, and a forward a block"


def test_of_equal_windows_the_first_counts():
    assert highest_entropy_window(np.zeros(9), 4) == 1
    assert highest_entropy_window(np.array([0.0, 0, 0, 1, 1]), 2) == 3
    assert highest_entropy_window(np.ones(4), 4) == 1


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"window": 3}, "window must be even, as masks go into its middle; found 3"),
        ({"initial_length": 6, "window": 8}, "window must be at most initial_length, found 8 and 6"),
        ({"initial_length": 300}, "initial_length must be at most max_length, found 300 and 256"),
        ({"threshold": 0.9}, "threshold: no such parameter"),
    ],
)
def test_what_does_not_fit_is_refused(parameters: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_policy("carve", **parameters)


def test_a_trace_shows_what_was_taken_back_and_keeps_every_token_in_its_place(tiny_model: MaskPredictor):
    frames: list[Frame] = []
    policy = build_policy("carve", initial_length=6, max_length=10, insert=3, window=2, tau_js=0.0, crop_at_eos=False)
    (alone,) = Engine(tiny_model).generate([[2, 5, 6, 3]], policy)
    (watched,) = Engine(tiny_model).generate([[2, 5, 6, 3]], Traced(policy, frames.append))
    assert watched.canvas_ids == alone.canvas_ids
    assert [frame.probe for frame in frames] == [False, True] * 6
    for frame in frames:
        assert len(frame.dropped) == (3 if frame.probe else 0)
        assert len(frame.new) == (0 if frame.probe else 3)
        assert len(frame.committed) == (1 if frame.probe else 0)
        np.testing.assert_array_equal(frame.filled[frame.origin[frame.origin >= 0]], frame.after[frame.origin >= 0])
