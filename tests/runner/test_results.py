"""What the results of commands show of themselves."""

import json
from collections.abc import Callable
from pathlib import Path

from dlm_length.records import RunMetrics
from dlm_length.runner.execution import RunResult
from dlm_length.runner.shards import ShardResult


def test_a_result_is_one_short_line(make_metrics: Callable[..., RunMetrics]) -> None:
    metrics = make_metrics().model_copy(
        update={"samples": 50, "score": 0.86, "metric": "exact_match", "policy_label": "fixed 128"}
    )
    expected = "<RunResult results/a: fixed 128, 50 samples, 3 of them generated now, exact_match 0.8600>"
    assert repr(RunResult(Path("results/a"), metrics, 3)) == expected
    unscored = metrics.model_copy(update={"score": None})
    assert repr(RunResult(Path("results/a"), unscored, 0)).endswith("0 of them generated now, no score>")


def test_what_a_shard_leaves_is_json() -> None:
    made = ShardResult(
        generated=3,
        merged=(Path("results/a"),),
        waiting=(Path("results/b"),),
        left_out=(Path("results/c"),),
        lost={Path("results/a"): ("gsm8k/1", "gsm8k/4")},
    )
    assert json.loads(json.dumps(made.as_data())) == {
        "generated": 3,
        "merged": ["results/a"],
        "waiting": ["results/b"],
        "left_out": ["results/c"],
        "lost": {"results/a": ["gsm8k/1", "gsm8k/4"]},
    }
