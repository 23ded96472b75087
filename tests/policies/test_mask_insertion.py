"""DAEDAL's second stage on forwards made by hand: what is committed, where masks are inserted, and the questions."""

from collections.abc import Callable

import pytest

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, FollowUp, Stat
from dlm_length.policies.mask_insertion import MaskInsertion

MASK, EOS = 0, 1
TOKENS = SpecialTokens(mask=MASK, eos=EOS, eot=2)
SURE, UNSURE, LOST = 0.95, 0.5, 0.05
"""Above tau_high, between the thresholds, below tau_low."""


@pytest.fixture
def insert(play: Callable) -> Callable:
    """The course of stage 2 from a canvas of these tokens."""

    def insert(start: list[int], forwards: object, **parameters: object) -> object:
        canvas = Canvas(5, TOKENS)
        canvas.append_masks(len(start))
        canvas.ids[:] = start
        return play(MaskInsertion(**({"max_length": 100} | parameters)).insert, forwards, canvas=canvas)

    return insert


def test_commits_all_that_is_surely_predicted_and_nothing_else(insert: Callable, says: Callable):
    course = insert(
        [MASK] * 4,
        [
            says([10, 11, 12, 13], [SURE, 0.9, SURE, UNSURE]),  # 0.9 is not above 0.9
            says([20, 21, 22, 23], [UNSURE, SURE, UNSURE, SURE]),
        ],
    )
    assert course.seen[1] == [10, MASK, 12, MASK]
    assert course.ids == [10, 21, 12, 23]
    assert course.rows == [[[0, 1, 2, 3]], [[1, 3]]], "only masks go through the head"


def test_where_nothing_is_sure_the_most_confident_is_committed(insert: Callable, says: Callable):
    course = insert(
        [MASK] * 3,
        [says([10, 11, 12], [0.3, 0.4, 0.2]), says([10, 11, 12], [0.3, 0.1, 0.3]), says([10, 11, 12], 0.3)],
    )
    assert course.seen[1] == [MASK, 11, MASK]
    assert course.seen[2] == [10, 11, MASK], "the earlier of equals"


def test_a_prediction_of_mask_is_never_committed_however_sure(insert: Callable, says: Callable):
    course = insert(
        [MASK] * 3,
        [
            says([MASK, 11, 12], [0.99, 0.2, 0.3]),
            says([MASK, 11, 12], [0.99, SURE, SURE]),
            says([10, 11, 12], 0.4),
        ],
    )
    assert course.seen[1] == [MASK, MASK, 12]
    assert course.seen[2] == [MASK, 11, 12]
    assert course.ids == [10, 11, 12]


def test_where_all_predict_mask_the_best_other_token_is_forced_at_its_surest_place(insert: Callable, says: Callable):
    stuck = says(MASK, 0.6, unmasked_token=[20, 21, 22], unmasked_confidence=[0.2, 0.7, 0.3])
    course = insert([MASK] * 3, [stuck] * 3)
    assert course.seen[1:] == [[MASK, 21, MASK], [MASK, 21, 22]]
    assert course.ids == [20, 21, 22]
    again = course.questions[0][1]
    assert isinstance(again, FollowUp)
    assert (again.positions.tolist(), again.head.want) == ([0, 1, 2], Stat.BEST_UNMASKED)


def test_the_least_confident_mask_of_the_window_becomes_several(insert: Callable, says: Callable):
    first = says([10, 11, 12, 13, 14], [SURE, 0.09, 0.03, 0.05, 0.01], eos=0.0)
    last = says([20, 21, 22, 23, 24, 25, 26], SURE)
    course = insert([MASK] * 5, [first, last, last], expansion_factor=3, block_length=4)
    # Position 4 is less confident still, but outside the window.
    assert course.seen[1] == [10, MASK, MASK, MASK, MASK, MASK, MASK]
    (change,) = course.canvas.changes[1:]
    assert (change.forward, change.kind, change.position, change.before, change.after) == (1, "insert", 2, 5, 7)


def test_what_is_committed_behind_the_expanded_mask_moves_with_the_canvas(insert: Callable, says: Callable):
    first = says([10, 11, 12, 13], [LOST, SURE, UNSURE, SURE], eos=0.0)
    course = insert([MASK, MASK, MASK, MASK, 77], [_longer(says, first), says(9, SURE, length=6)], expansion_factor=2)
    assert course.seen[1] == [MASK, MASK, 11, MASK, 13, 77]


def _longer(says: Callable, answer: Answer) -> Answer:
    """The same forward with a fifth position that nobody queries."""
    return says(
        [*answer.token.tolist(), 5], [*answer.confidence.tolist(), 1.0], eos=[*answer.eos.tolist(), 0.0], length=5
    )


def test_neither_a_mask_that_is_filled_nor_one_that_is_sure_enough_is_expanded(insert: Callable, says: Callable):
    lost_but_best = says([10, 11], [LOST, 0.04], eos=0.0)  # the fallback fills 0, so 1 is the candidate
    course = insert([MASK] * 2, [lost_but_best, says(9, SURE, length=3)], expansion_factor=2)
    assert course.seen[1] == [10, MASK, MASK]
    only = insert([MASK], [says([10], [LOST])], expansion_factor=2)
    assert only.ids == [10], "the fallback filled the only candidate: the EOS confidence was not requested"
    exactly = insert([MASK] * 2, [says([10, 11], [SURE, 0.1]), says([10, 11], SURE)], expansion_factor=2)
    assert exactly.lengths == [2, 2], "0.1 is not below 0.1"


def test_a_prediction_of_mask_can_be_expanded(insert: Callable, says: Callable):
    course = insert([MASK] * 2, [says([10, MASK], [SURE, LOST], eos=0.0), says(9, SURE, length=3)], expansion_factor=2)
    assert course.lengths == [2, 3]


@pytest.mark.parametrize(("eos", "grows"), [(0.89, True), (0.9, False), (0.91, False)])
def test_expands_only_while_the_end_is_not_yet_sure(insert: Callable, says: Callable, eos: float, grows: bool):
    first = says([10, EOS], [SURE, LOST], eos=eos)
    course = insert([MASK] * 2, [first, says(9, SURE, length=3 if grows else 2)], expansion_factor=2, eos_window=1)
    assert course.lengths == [2, 3 if grows else 2]


def test_nine_certain_ends_of_ten_reach_a_threshold_of_nine_tenths(insert: Callable, says: Callable):
    start = [MASK, MASK, *[EOS] * 9]
    first = says([10, 11, *[EOS] * 9], [SURE, LOST, *[SURE] * 9], eos=1.0)
    course = insert(start, [first, says(9, SURE, length=11)], eos_window=10)
    assert course.lengths == [11, 11]


def test_the_eos_confidence_is_not_requested_in_vain(insert: Callable, says: Callable):
    """`says` gives no EOS probability here: a request for one would fail."""
    insert([MASK] * 2, [says([10, 11], [SURE, UNSURE]), says([10, 11], SURE)])
    at_the_limit = insert([MASK] * 2, [says([10, 11], [SURE, LOST]), says([10, 11], SURE)], max_length=2)
    assert at_the_limit.lengths == [2, 2]


def test_the_eos_confidence_is_of_the_forward_before_its_tokens_are_committed(insert: Callable, says: Callable):
    first = says([10, EOS, 12], [UNSURE, SURE, LOST], eos=0.2)
    course = insert([MASK] * 3, [first, says(9, SURE, length=4)], expansion_factor=2, eos_window=1)
    _, scan = course.questions[0]
    assert isinstance(scan, FollowUp)
    assert scan.head.want == Stat.TOKEN | Stat.EOS
    assert scan.positions.tolist() == [0, 1, 2]


def test_what_would_stand_past_the_longest_canvas_is_cut_off(insert: Callable, says: Callable):
    first = says([10, 11, 12, 13], [SURE, LOST, SURE, SURE], eos=0.0)
    course = insert([MASK] * 4, [first, says(9, SURE, length=6)], expansion_factor=4, max_length=6)
    assert course.seen[1] == [10, MASK, MASK, MASK, MASK, 12], "13 is gone"
    (change,) = course.canvas.changes[1:]
    assert (change.before, change.after) == (4, 6)


def test_at_the_longest_canvas_it_only_denoises_from_then_on(insert: Callable, says: Callable):
    grow = says([10, LOST], [SURE, LOST], eos=0.0)
    course = insert([MASK] * 2, [grow, says(9, LOST, length=4), *[says(9, LOST, length=4)] * 2], max_length=4)
    assert course.lengths == [2, 4, 4, 4], "the EOS confidence was requested once"
    assert [len(questions) for questions in course.questions] == [2, 1, 1, 1]


def test_an_expansion_by_one_changes_nothing_and_still_ends(insert: Callable, says: Callable):
    course = insert([MASK] * 3, lambda _: says(9, LOST, eos=0.0, length=3), expansion_factor=1)
    assert (course.lengths, course.ids) == ([3, 3, 3], [9, 9, 9])
    assert len(course.canvas.changes) == 1, "the canvas as it was given"


def test_the_window_moves_on_once_it_is_full_and_passes_full_ones_without_a_forward(insert: Callable, says: Callable):
    start = [MASK, 51, 52, 53, 54, MASK, MASK]
    sure = says([9] * 7, SURE)
    course = insert(start, [sure, sure, sure], block_length=2)
    assert course.rows == [[[0]], [[5]], [[6]]]
    assert course.ids == [9, 51, 52, 53, 54, 9, 9]


def test_the_window_stays_until_the_masks_inserted_into_it_are_filled(insert: Callable, says: Callable):
    grow = says([10, 11, 12], [SURE, LOST, SURE], eos=0.0)
    sure = says(9, SURE, length=6)
    course = insert([MASK] * 3, [grow, sure, sure, sure], block_length=2, expansion_factor=4, max_length=6)
    assert course.rows[1:] == [[[1]], [[2, 3]], [[4, 5]]]
