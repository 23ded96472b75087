"""Costs, effects and tests of paired runs: arrays in, frozen results out."""

from dlm_length.stats.arrays import is_binary
from dlm_length.stats.effects import (
    Statistic,
    cost_statistics,
    e_ratio,
    flops_saved,
    mean,
    performance_delta,
    standard_deviation,
)
from dlm_length.stats.errors import StatisticsError
from dlm_length.stats.margins import MARGIN_LEVEL, MarginTest, check_margin, margin_test
from dlm_length.stats.paired_tests import (
    STARS_BY,
    Flips,
    TestName,
    choose_test,
    flips,
    further_tests,
    mcnemar,
    paired_bootstrap,
    permutation,
    run_test,
    wilcoxon,
)
from dlm_length.stats.pairing import Incomplete, Paired, pair
from dlm_length.stats.power import (
    Power,
    Spread,
    minimum_detectable_effect,
    observed_spread,
    samples_for_margin,
    samples_needed,
)
from dlm_length.stats.resampling import RESAMPLES, Estimate, IntervalKind, bootstrap
from dlm_length.stats.significance import TestResult, holm, stars

__all__ = [
    "MARGIN_LEVEL",
    "RESAMPLES",
    "STARS_BY",
    "Estimate",
    "Flips",
    "Incomplete",
    "IntervalKind",
    "MarginTest",
    "Paired",
    "Power",
    "Spread",
    "Statistic",
    "StatisticsError",
    "TestName",
    "TestResult",
    "bootstrap",
    "check_margin",
    "choose_test",
    "cost_statistics",
    "e_ratio",
    "flips",
    "flops_saved",
    "further_tests",
    "holm",
    "is_binary",
    "margin_test",
    "mcnemar",
    "mean",
    "minimum_detectable_effect",
    "observed_spread",
    "pair",
    "paired_bootstrap",
    "performance_delta",
    "permutation",
    "run_test",
    "samples_for_margin",
    "samples_needed",
    "standard_deviation",
    "stars",
    "wilcoxon",
]
