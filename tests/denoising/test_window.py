"""What a forward commits in a window, for hand-made answers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlm_length.common import SpecialTokens
from dlm_length.denoising import Answer, Canvas, FollowUp, Stat, next_masked_window, select_confident

MASK = 0
TOKENS = SpecialTokens(mask=MASK, eos=1)


def fill(
    token: list[int], confidence: list[float], threshold: float = 0.9, forced: Answer | None = None
) -> tuple[list[bool], list[int], list[FollowUp]]:
    """Which of the window's masks are filled, all their tokens, and the follow-ups."""
    canvas = Canvas(3, TOKENS)
    canvas.append_masks(len(token) + 2)
    window = np.arange(2, len(token) + 2)
    answer = Answer(token=np.array(token, dtype=np.int64), confidence=np.array(confidence))
    selecting = select_confident(canvas, window, answer, threshold)
    follow_ups: list[FollowUp] = []
    try:
        question = next(selecting)
        while True:
            assert isinstance(question, FollowUp), "a fill runs no forward"
            follow_ups.append(question)
            assert forced is not None, "an unnecessary follow-up"
            question = selecting.send(forced)
    except StopIteration as end:
        chosen, tokens = end.value
        return chosen.tolist(), tokens.tolist(), follow_ups


@pytest.mark.parametrize(
    ("token", "confidence", "chosen"),
    [
        ([5, 6, 7], [0.91, 0.9, 0.99], [True, False, True]),
        ([5, 6, 7], [0.2, 0.4, 0.3], [False, True, False]),
        ([5, 6, 7], [0.4, 0.4, 0.4], [True, False, False]),
        ([MASK, 6, 7], [0.99, 0.95, 0.3], [False, True, False]),
        ([MASK, 6, 7], [0.99, 0.2, 0.3], [False, False, True]),
        ([MASK, 6], [1.0, 0.0], [False, True]),
        ([], [], []),
    ],
)
def test_all_that_is_sure_else_the_surest_and_never_mask(token: list[int], confidence: list[float], chosen: list[bool]):
    found, tokens, follow_ups = fill(token, confidence)
    assert (found, tokens, follow_ups) == (chosen, token, [])


def test_confidences_that_are_equal_in_float32_are_equal_here():
    """DAEDAL's reference implementation has its softmax in the dtype of the logits."""
    assert fill([5, 6, 7], [0.5, 1 - 1e-9, 1.0], threshold=1.0)[0] == [False, True, False]


def test_where_all_predict_mask_the_best_other_token_is_requested():
    forced = Answer(unmasked_token=np.array([5, 6, 7]), unmasked_confidence=np.array([0.1, 0.1, 0.6]))
    found, tokens, follow_ups = fill([MASK] * 3, [0.9, 0.95, 0.99], forced=forced)
    assert found == [False, False, True]
    assert tokens == [5, 6, 7]
    (question,) = follow_ups
    assert (question.positions.tolist(), question.head.want) == ([2, 3, 4], Stat.BEST_UNMASKED)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.floats(0, 1, width=32)), min_size=1, max_size=12),
    st.floats(0, 1, width=32),
    st.integers(0, 2**32 - 1),
)
def test_something_other_than_mask_is_always_committed(window: list, threshold: float, seed: int):
    rng = np.random.default_rng(seed)
    forced = Answer(unmasked_token=rng.integers(1, 5, len(window)), unmasked_confidence=rng.random(len(window)))
    token, confidence = [t for t, _ in window], [c for _, c in window]
    words = [t != MASK for t in token]
    found, tokens, follow_ups = fill(token, confidence, threshold, forced)
    filled = [place for place, chosen in enumerate(found) if chosen]
    assert filled
    assert MASK not in [tokens[place] for place in filled]
    assert bool(follow_ups) == (not any(words))
    sure = [place for place in range(len(window)) if words[place] and confidence[place] > threshold]
    if sure:
        assert filled == sure
    elif any(words):
        (only,) = filled
        assert confidence[only] == max(c for c, word in zip(confidence, words, strict=True) if word)


@pytest.mark.parametrize(
    ("ids", "cursor", "size", "found"),
    [
        ([5, 5, MASK, 5], 0, 2, 2),
        ([5, MASK, 5, 5], 0, 2, 0),
        ([5, 5, 5, MASK], 0, 3, 3),
        ([MASK, 5, 5, 5, MASK], 1, 2, 3),
        ([MASK, 5, 5, 5, 5], 1, 3, 5),
        ([5, 5], 2, 4, 2),
        ([5], 3, 4, 3),
    ],
)
def test_the_next_window_is_the_first_with_a_mask_or_the_end(ids: list[int], cursor: int, size: int, found: int):
    """Never past the end: what is appended later would be passed over."""
    canvas = Canvas(3, TOKENS)
    canvas.ids = np.array(ids)
    assert next_masked_window(canvas, cursor, size) == found
