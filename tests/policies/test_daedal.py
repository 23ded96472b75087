"""DAEDAL's two stages put together, and each alone."""

from collections.abc import Callable

import pytest

from dlm_length import Engine, MaskPredictor, build_policy
from dlm_length.denoising import Answer, Canvas

MASK, EOS = 0, 1
SMALL = {"initial_length": 4, "max_length": 12, "expansion_factor": 3, "eos_window": 4, "block_length": 3}


@pytest.fixture(scope="session")
def decided(play: Callable, says: Callable) -> Callable:
    """The course of DAEDAL where a forward over fewer than `enough` tokens finds no end, and every other one does."""

    def decided(enough: int, confidence: float = 0.5, **parameters: object) -> object:
        def forward(canvas: Canvas) -> Answer:
            end = len(canvas) >= enough
            return says(token=EOS if end else 9, eos=1.0 if end else 0.0, confidence=confidence, length=len(canvas))

        return play(build_policy("daedal", **SMALL, **parameters).denoise, forward)

    return decided


def test_finds_its_length_then_denoises_it_with_the_tail_in_place(decided: Callable):
    course = decided(7)
    assert [question.probe for (question, *_) in course.questions] == [True] * 2 + [False] * 7
    assert course.lengths == [4, 7, *[9] * 7]
    assert course.seen[2] == [MASK] * 7 + [EOS] * 2
    assert course.ids == [EOS] * 9


def test_the_window_of_the_tail_alone_costs_no_forward(decided: Callable):
    """The last window of three is [6, 9): one mask and the tail."""
    course = decided(7, confidence=0.95)
    assert course.rows[2:] == [[[0, 1, 2]], [[3, 4, 5]], [[6]]]
    longer = decided(7, confidence=0.95, tail_eos=5)
    assert longer.lengths[2:] == [12] * 3


def test_the_first_stage_alone_decodes_its_canvas_as_a_fixed_one_that_keeps_the_tail(decided: Callable):
    course = decided(7, stages="initial")
    assert course.lengths == [4, 7, *[9] * 7], "the committed tail costs no forward"
    assert course.rows[2:5] == [[[0, 1, 2]], [[1, 2]], [[2]]], "blocks, one token a forward"


def test_the_second_stage_alone_begins_with_the_initial_length(decided: Callable):
    course = decided(0, stages="insertion")
    assert course.lengths == [4] * 4
    assert not any(question.probe for (question, *_) in course.questions)
    grown = decided(99, confidence=0.05, stages="insertion", tau_expand=1.0)
    assert max(grown.lengths) == len(grown.canvas) == 12


def test_no_head_row_is_spent_on_what_cannot_change_anything(tiny_model: MaskPredictor, ask: Callable):
    """Reference implementations compute every position of every forward in the head."""
    prompt = ask("Tom has 12 coins. Tom finds 30. How many coins does Tom have now?")
    policy = build_policy("daedal", initial_length=16, max_length=96, block_length=8, eos_window=8)
    (g,) = Engine(tiny_model).generate([prompt], policy)
    whole = sum(g.trajectory)
    assert g.ledger.total.nfe >= 10
    assert g.ledger.total.head_rows < whole / 2
