import numpy as np
import pytest

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Canvas

TOKENS = SpecialTokens(mask=7, eos=1)


def canvas(*ids: int) -> Canvas:
    made = Canvas(3, TOKENS)
    made.append_masks(len(ids))
    made.ids[:] = ids
    return made


def test_comes_empty_and_grows_by_masks():
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


def test_crop_keeps_the_beginning_and_lets_go_of_the_rest():
    made = canvas(4, 7, 5)
    whole = made.ids
    made.crop(2)
    assert made.ids.tolist() == [4, 7]
    whole[0] = 9
    assert made.ids[0] == 4


def test_commit_fills_masks_and_never_overwrites():
    made = canvas(7, 7, 4)
    made.commit(np.array([1]), np.array([5]))
    assert made.ids.tolist() == [7, 5, 4]
    with pytest.raises(AssertionError, match="overwritten"):
        made.commit(np.array([0, 2]), np.array([5, 5]))


def test_ends_are_eos_and_eot_where_there_is_one():
    assert TOKENS.ends == (1,)
    assert SpecialTokens(mask=7, eos=1, eot=2).ends == (1, 2)
