"""The moving window of variable-length methods: what a forward commits in it, and its next position."""

import numpy as np
from numpy.typing import NDArray

from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import Answer, FollowUp, Stat, StatSpec, SubCoroutine


def select_confident(
    canvas: Canvas, window: Positions, answer: Answer, threshold: float
) -> SubCoroutine[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """What to commit after a forward: which masks of `window`, and the tokens for all of them, (masks,) each.

    Those are the masks whose confidence is above `threshold`; if there are none, the most confident one. Predictions of
    MASK do not count; if all masks predict MASK, the most likely other token is committed where it is most likely.
    `window`: masked positions, (masks,). `answer`: their TOKEN and CONFIDENCE.
    Source: the reference implementation of DAEDAL, arXiv 2508.00819; that of rho-EOS does the same.
    """
    confidence = answer.float32_confidence
    is_word = answer.token != canvas.tokens.mask
    fill = is_word & (confidence > threshold)
    if fill.any() or not window.size:
        return fill, answer.token
    if is_word.any():
        best = np.where(is_word, confidence, -np.inf).argmax()
        return _only(best, window), answer.token
    forced = yield FollowUp(window, StatSpec(Stat.BEST_UNMASKED))
    return _only(forced.unmasked_confidence.argmax(), window), forced.unmasked_token


def next_masked_window(canvas: Canvas, cursor: int, size: int) -> int:
    """Start of the first window of `size` positions with a mask, from `cursor` on in steps of `size`; else the end."""
    while cursor < len(canvas) and not canvas.masked(cursor, cursor + size).size:
        cursor = min(cursor + size, len(canvas))
    return cursor


def _only(index: np.intp, window: Positions) -> NDArray[np.bool_]:
    """True at one index of the window, (masks,)."""
    only = np.zeros(len(window), dtype=np.bool_)
    only[index] = True
    return only
