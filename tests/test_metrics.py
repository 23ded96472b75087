"""The metrics on their own, without a run, a hub or a network."""

import json
from typing import Any

import pytest

from dlm_length import metrics
from dlm_length.benchmarks import benchmarks

CASES: list[tuple[type[metrics.BenchmarkMetric], list[str], list[Any], dict[str, Any], dict[str, float]]] = [
    (metrics.GSM8KMetric, ["So it is 18.", "7"], ["9 * 2 = 18\n#### 18", "8"], {}, {"exact_match": 0.5}),
    (metrics.GSM8KMetric, ["It is 3"], ["#### 3"], {"prompt_style": "lm_eval"}, {"exact_match": 0.0}),
    (metrics.MATH500Metric, ["\\boxed{0.5}", "\\boxed{2}"], ["\\frac12", "3"], {}, {"math_verify": 0.5}),
    (metrics.LongFormQAMetric, ["The right words."], [["no", "the right words"]], {}, {"rouge1": 1.0, "rouge2": 1.0}),
    (
        metrics.IFEvalMetric,
        ["no comma here", "one, two"],
        [{"prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": json.dumps([{}])}] * 2,
        {},
        {"prompt_level_strict_acc": 0.5, "inst_level_strict_acc": 0.5, "inst_level_loose_acc": 0.5},
    ),
    (
        metrics.HumanEvalMetric,
        ["```python\ndef double(x):\n    return 2 * x\n```", "```python\ndef double(x):\n    return x\n```"],
        [{"prompt": "def double(x):\n", "entry_point": "double", "test": "def check(f):\n    assert f(2) == 4\n"}] * 2,
        {"isolation": "process_limits"},
        {"pass@1": 0.5},
    ),
    (
        metrics.MBPPMetric,
        ["```python\ndef double(x):\n    return 2 * x\n```"],
        [{"code": "def double(x): ...", "test_imports": [], "test_list": ["assert double(2) == 4"]}],
        {"isolation": "process_limits"},
        {"pass@1": 1.0},
    ),
]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("evaluate.config.HF_METRICS_CACHE", str(folder), raising=False)


@pytest.mark.parametrize(("metric", "predictions", "references", "parameters", "expected"), CASES)
def test_a_metric_scores_on_its_own(
    metric: type[metrics.BenchmarkMetric],
    predictions: list[str],
    references: list[Any],
    parameters: dict[str, Any],
    expected: dict[str, float],
) -> None:
    found = metric().compute(predictions=predictions, references=references, **parameters)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_every_benchmark_has_its_metric() -> None:
    classes = [cls for cls in vars(metrics).values() if isinstance(cls, type) and hasattr(cls, "benchmark")]
    # A mini benchmark is scored by the metric of the one it is a small form of.
    assert {cls.benchmark for cls in classes} == {name for name in benchmarks() if not name.startswith("mini_")}
    for cls in classes:
        assert cls().info.description == benchmarks()[cls.benchmark].summary()


def test_predictions_without_their_references_are_refused() -> None:
    with pytest.raises(ValueError, match="Mismatch"):
        metrics.GSM8KMetric().compute(predictions=["1", "2"], references=["#### 1"])
