"""Commit rules by confidence: threshold, Fast-dLLM's factor rule, dInfer's hierarchical rule."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from dlm_length.common import Parameters, Probability
from dlm_length.denoising.canvas import Positions

Comparison = Literal["at_least", "above"]


class CommitRule(Parameters):
    """Options of threshold decoding, and rules in its place."""

    threshold_is: Comparison | None = None
    """Commit confidences of at least `threshold` (>=, as in Fast-dLLM) or above it (>, as in dInfer's hierarchical rule
    and LLaDA2.0); None: as in the rule's reference implementation."""
    low_threshold: Probability | None = None
    """dInfer's hierarchical rule: in addition to masks that pass `threshold`, commit the most confident mask of every
    run of adjacent masks if its confidence is above this; 0.4 by default in dInfer, 0.62 in its evaluations."""
    factor: float | None = Field(default=None, gt=0.0)
    """Fast-dLLM's factor rule, in place of a threshold: of the confidences in descending order, commit those before the
    first n-th that is below 1 - factor / (n + 1), and always the first one. Fast-dLLM's scripts have 1.0."""


def passes(confidence: NDArray[np.float64], threshold: float, comparison: Comparison) -> NDArray[np.bool_]:
    """Which confidences pass the threshold, (masks,)."""
    return confidence >= threshold if comparison == "at_least" else confidence > threshold


def run_heads(positions: Positions, confidence: NDArray[np.float64], low_threshold: float) -> NDArray[np.bool_]:
    """The most confident mask of each run of adjacent positions, if above `low_threshold`; the first one of ties.

    `positions`: (masks,), ascending. `confidence`: (masks,). Returns whether to commit each mask, (masks,).
    Source: get_transfer_index_hierarchy_fast_v2 of dInfer.
    """
    chosen = np.zeros(len(positions), dtype=np.bool_)
    for run in np.split(np.arange(len(positions)), np.flatnonzero(np.diff(positions) > 1) + 1):
        if run.size:
            best = run[confidence[run].argmax()]
            chosen[best] = confidence[best] > low_threshold
    return chosen


def factor_count(ranked: NDArray[np.float64], factor: float) -> int:
    """Number of confidences that Fast-dLLM's factor rule commits; `ranked`: (masks,), descending.

    If the last one alone is below its bound, it is committed too, as in the reference implementation.
    Source: get_transfer_index_dynamic of NVlabs/Fast-dLLM.
    """
    masks = len(ranked)
    below = ranked < 1 - factor / (np.arange(1, masks + 1) + 1)
    below[:1] = False
    first = int(below.argmax()) if below.any() else masks - 1
    return first + 1 if first in (0, masks - 1) else first
