"""The window that variable-length methods denoise: what a forward commits in it, and where it goes next."""

import numpy as np
from numpy.typing import NDArray

from dlm_length.denoising.canvas import Canvas, Positions
from dlm_length.denoising.query import Answer, FollowUp, Stat, StatSpec, SubCoroutine


def select_confident(
    canvas: Canvas, window: Positions, answer: Answer, threshold: float
) -> SubCoroutine[tuple[NDArray[np.bool_], NDArray[np.int64]]]:
    """What to commit after a forward: which of the masks of `window`, and the tokens for all of them.

    Every position whose prediction has a confidence above `threshold`; else the most confident one. A prediction of
    MASK never counts; where there is no other, the best token other than MASK, at the position that is surest of it.
    `answer`: TOKEN and CONFIDENCE of the window's (masks,). Returns two arrays of (masks,).
    Source: DAEDAL, arXiv 2508.00819, as its reference implementation fills; rho-EOS's does the same.
    """
    words = answer.token != canvas.tokens.mask
    fill = words & (answer.confidence > threshold)
    if fill.any() or not window.size:
        return fill, answer.token
    if words.any():
        best = np.where(words, answer.confidence, -np.inf).argmax()
        return _only(best, window), answer.token
    forced = yield FollowUp(window, StatSpec(Stat.BEST_UNMASKED))
    return _only(forced.unmasked_confidence.argmax(), window), forced.unmasked_token


def next_masked_window(canvas: Canvas, cursor: int, size: int) -> int:
    """Where the first window of `size` with a mask begins, at or behind `cursor`; the canvas's end where none has."""
    while cursor < len(canvas) and not canvas.masked(cursor, cursor + size).size:
        cursor = min(cursor + size, len(canvas))
    return cursor


def _only(index: np.intp, window: Positions) -> NDArray[np.bool_]:
    only = np.zeros(len(window), dtype=np.bool_)
    only[index] = True
    return only
