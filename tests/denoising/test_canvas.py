import numpy as np
import pytest

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Canvas, LengthChange

TOKENS = SpecialTokens(mask=7, eos=1)


def canvas(*ids: int) -> Canvas:
    made = Canvas(3, TOKENS)
    made.append_masks(len(ids))
    made.ids[:] = ids
    return made


def test_a_canvas_is_empty_at_first_and_grows_by_masks():
    made = Canvas(3, TOKENS)
    assert len(made) == 0
    made.append_masks(2)
    made.append_masks(1)
    assert made.ids.tolist() == [7, 7, 7]
    assert made.all.tolist() == [0, 1, 2]


def test_masked_positions_count_from_the_canvas_whatever_the_span():
    made = canvas(7, 4, 7, 7, 5)
    assert made.masked().tolist() == [0, 2, 3]
    assert made.masked(1, 3).tolist() == [2]
    assert made.masked(4).tolist() == []


def test_crop_keeps_the_beginning_and_drops_the_rest():
    made = canvas(4, 7, 5)
    whole = made.ids
    made.crop(2)
    assert made.ids.tolist() == [4, 7]
    whole[0] = 9
    assert made.ids[0] == 4


def test_crop_to_nothing_leaves_an_empty_canvas_that_can_grow_again():
    made = canvas(4, 7)
    made.crop(0)
    assert (len(made), made.masked().tolist(), made.all.tolist()) == (0, [], [])
    made.append_masks(1)
    assert made.ids.tolist() == [7]


@pytest.mark.parametrize("length", [-1, 4])
def test_a_crop_must_be_within_the_canvas(length: int):
    with pytest.raises(AssertionError, match="cannot crop a canvas of 3"):
        canvas(7, 7, 7).crop(length)


def test_a_tail_of_eos_is_committed():
    made = canvas(7, 4)
    made.append_eos(2)
    assert made.ids.tolist() == [7, 4, 1, 1]
    assert made.masked().tolist() == [0]
    with pytest.raises(AssertionError, match="overwritten"):
        made.commit(np.array([2]), np.array([5]))


@pytest.mark.parametrize(
    ("position", "count", "limit", "ids"),
    [
        (1, 3, 10, [4, 7, 7, 7, 5, 7]),
        (3, 2, 10, [4, 7, 5, 7, 7]),
        (1, 1, 10, [4, 7, 5, 7]),
        (1, 3, 6, [4, 7, 7, 7, 5, 7]),
        (1, 3, 5, [4, 7, 7, 7, 5]),
        (1, 9, 5, [4, 7, 7, 7, 7]),
        (3, 9, 4, [4, 7, 5, 7]),
    ],
)
def test_a_mask_becomes_several_and_positions_past_the_limit_are_cut(
    position: int, count: int, limit: int, ids: list[int]
):
    made = canvas(4, 7, 5, 7)
    made.expand(position, count, limit)
    assert made.ids.tolist() == ids


def test_only_a_mask_is_expanded():
    with pytest.raises(AssertionError, match="a committed token would be expanded"):
        canvas(4, 7).expand(0, 2, 10)


def test_every_change_of_length_is_recorded_with_the_forward_before_it():
    made = Canvas(3, TOKENS)
    made.append_masks(4)
    made.forwards += 1
    made.expand(2, 3, 5)  # one of the two new masks is cut off
    made.append_eos(2)
    made.forwards += 2
    made.crop(1)
    made.forwards += 1
    made.crop(0)
    assert made.changes == [
        LengthChange(0, "append", 0, 0, 4),
        LengthChange(1, "insert", 2, 4, 5),
        LengthChange(1, "append", 5, 5, 7),
        LengthChange(3, "crop", 1, 7, 1),
        LengthChange(4, "crop", 0, 1, 0),
    ]


def test_what_changes_no_length_is_not_recorded():
    made = Canvas(3, TOKENS)
    made.append_masks(0)
    made.append_eos(0)
    assert made.changes == []
    made.append_masks(3)
    made.crop(3)
    made.expand(1, 1, 9)
    made.expand(1, 5, 3)
    assert [change.after for change in made.changes] == [3]


def test_commit_fills_masks_and_never_overwrites():
    made = canvas(7, 7, 4)
    made.commit(np.array([1]), np.array([5]))
    assert made.ids.tolist() == [7, 5, 4]
    with pytest.raises(AssertionError, match="overwritten"):
        made.commit(np.array([0, 2]), np.array([5, 5]))


def test_ends_are_eos_and_eot_where_there_is_one():
    assert TOKENS.ends == (1,)
    assert SpecialTokens(mask=7, eos=1, eot=2).ends == (1, 2)


def test_masks_are_inserted_between_tokens_and_removed():
    made = canvas(4, 5, 7)
    made.insert_masks(1, 2)
    assert made.ids.tolist() == [4, 7, 7, 5, 7]
    made.remove_masks(1, 2)
    assert made.ids.tolist() == [4, 5, 7]
    made.insert_masks(3, 1)
    assert made.ids.tolist() == [4, 5, 7, 7]
    assert [(c.kind, c.position, c.before, c.after) for c in made.changes[-3:]] == [
        ("insert", 1, 3, 5),
        ("remove", 1, 5, 3),
        ("insert", 3, 3, 4),
    ]


@pytest.mark.parametrize(("position", "count"), [(0, 1), (1, 2), (2, 2)])
def test_only_masks_are_removed(position: int, count: int):
    with pytest.raises(AssertionError, match="a committed token would be removed"):
        canvas(4, 7, 5).remove_masks(position, count)
