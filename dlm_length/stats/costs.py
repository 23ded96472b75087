"""Costs and lengths over a set of samples: arrays in, numbers out. Undefined is NaN, never 0."""

import numpy as np
from numpy.typing import ArrayLike


def e_ratio(e_token: ArrayLike, n_token: ArrayLike) -> float:
    """Share of canvas tokens that are answer: sum(e_token) / sum(n_token), each (samples,) (DAEDAL's E_ratio)."""
    total = float(np.sum(n_token))
    return float(np.sum(e_token)) / total if total else float("nan")


def flops_saved(flops: ArrayLike, baseline: ArrayLike) -> float:
    """1 - sum(flops) / sum(baseline), each (samples,) over the same samples (SmartCrop's FLOPs saved)."""
    ours, theirs = np.asarray(flops, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    assert ours.shape == theirs.shape, f"a saving is paired: {ours.shape} samples against {theirs.shape}"
    return 1 - float(ours.sum()) / float(theirs.sum()) if theirs.sum() else float("nan")


def performance_delta(scores: ArrayLike, baseline: ArrayLike) -> float:
    """Relative change of the mean score, each (samples,) over the same samples (SmartCrop's performance delta)."""
    ours, theirs = np.asarray(scores, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    assert ours.shape == theirs.shape, f"a delta is paired: {ours.shape} samples against {theirs.shape}"
    mean = float(theirs.mean()) if theirs.size else 0.0
    return (float(ours.mean()) - mean) / mean if mean else float("nan")


def mean(values: ArrayLike) -> float:
    """Arithmetic mean, NaN of nothing."""
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else float("nan")
