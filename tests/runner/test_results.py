"""What a finished run shows of itself."""

from collections.abc import Callable
from pathlib import Path

from dlm_length.records import RunMetrics
from dlm_length.runner.execution import RunResult


def test_a_result_is_one_short_line(make_metrics: Callable[..., RunMetrics]) -> None:
    metrics = make_metrics().model_copy(
        update={"samples": 50, "score": 0.86, "metric": "exact_match", "policy_label": "fixed 128"}
    )
    expected = "<RunResult results/a: fixed 128, 50 samples, 3 of them generated now, exact_match 0.8600>"
    assert repr(RunResult(Path("results/a"), metrics, 3)) == expected
    unscored = metrics.model_copy(update={"score": None})
    assert repr(RunResult(Path("results/a"), unscored, 0)).endswith("0 of them generated now, no score>")
