"""Costs, effects and tests: arrays in, numbers out."""

from dlm_length.stats.costs import e_ratio, flops_saved, mean, performance_delta

__all__ = ["e_ratio", "flops_saved", "mean", "performance_delta"]
