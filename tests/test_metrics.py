"""The metrics on their own, without a run, a hub or a network."""

import json
from typing import Any

import pytest

from dlm_length import metrics
from dlm_length.benchmarks import benchmarks
from dlm_length.common import ConfigError, UserError

DOUBLE = "```python\ndef double(x):\n    return 2 * x\n```"
WRONG = "```python\ndef double(x):\n    return x\n```"
ROW = {"prompt": "def double(x):\n", "entry_point": "double", "test": "def check(f):\n    assert f(2) == 4\n"}

CASES: list[tuple[type[metrics.BenchmarkMetric], list[str], list[Any], dict[str, Any], dict[str, float]]] = [
    (metrics.GSM8KMetric, ["So it is 18.", "7"], ["9 * 2 = 18\n#### 18", "8"], {}, {"exact_match": 0.5}),
    (metrics.GSM8KMetric, ["It is 3"], ["#### 3"], {"prompt_style": "text_cot_5shot"}, {"exact_match": 0.0}),
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
        [DOUBLE, WRONG],
        [ROW] * 2,
        {"isolation": "process_limits"},
        {"pass@1": 0.5},
    ),
    (
        metrics.MBPPMetric,
        [DOUBLE],
        [{"code": "def double(x): ...", "test_imports": [], "test_list": ["assert double(2) == 4"]}],
        {"isolation": "process_limits"},
        {"pass_at_1": 1.0},
    ),
    (
        metrics.MBPPMetric,
        [DOUBLE],
        [
            {"task_id": 7, "text": "Double.", "code": "def double(x): ...", "test_list": ["assert double(2) == 4"]}
            | {"test_setup_code": "two = 2", "challenge_test_list": []}
        ],
        {"isolation": "process_limits", "subset": "full"},
        {"pass_at_1": 1.0},
    ),
    (
        metrics.HumanEvalMetric,
        [DOUBLE, WRONG],
        [{"task_id": "a", "canonical_solution": "    return 2 * x", **ROW}] * 2,
        {"isolation": "process_limits"},
        {"pass@1": 0.5},
    ),
    (
        metrics.IFEvalMetric,
        ["no comma here", "one, two"],
        [{"key": 3, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}] * 2,
        {},
        {"prompt_level_strict_acc": 0.5},
    ),
    (metrics.GSM8KMetric, ["18", "7"], [{"question": "?", "answer": "#### 18"}, 7], {}, {"exact_match": 1.0}),
    (metrics.GSM8KMetric, ["\ud800 18"], ["$18.00"], {}, {"exact_match": 1.0}),
    (metrics.LongFormQAMetric, ["right"], ["right"], {}, {"rouge1": 1.0}),
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


def test_equal_rows_are_samples_of_one_problem() -> None:
    tripled = {name: text.replace("double", "triple").replace("== 4", "== 6") for name, text in ROW.items()}
    found = metrics.HumanEvalMetric().compute(
        predictions=[DOUBLE, WRONG, DOUBLE, WRONG],
        references=[ROW, tripled, ROW, tripled],
        samples_per_problem=2,
        isolation="process_limits",
    )
    assert found == {"pass@1": 0.5, "pass@2": 0.5}


@pytest.mark.parametrize(
    ("metric", "reference", "told"),
    [
        (
            metrics.GSM8KMetric,
            "eighteen",
            "item 1: expected an answer that ends in `#### NUMBER`, found '#### eighteen'",
        ),
        (metrics.GSM8KMetric, None, "item 1: expected A row of the data set, its answer"),
        (metrics.GSM8KMetric, {"question": "?"}, "answer missing or not text"),
        (metrics.MATH500Metric, "", "expected an expression in LaTeX"),
        (metrics.LongFormQAMetric, [], "expected at least one answer"),
        (
            metrics.IFEvalMetric,
            {"prompt": "p", "instruction_id_list": [], "kwargs": "{"},
            "in kwargs, or its JSON; found '{'",
        ),
        (metrics.HumanEvalMetric, ROW | {"test": "def check("}, "expected Python in 'test'"),
        (metrics.MBPPMetric, {"code": "def f(): ...", "test_list": []}, "expected a function in 'code'"),
    ],
)
def test_a_reference_that_is_none_is_refused_by_its_number(
    metric: type[metrics.BenchmarkMetric], reference: object, told: str
) -> None:
    unexecuted = {"execute_code": False} if "execute_code" in metric.parameters else {}
    good = next(references[0] for cls, _, references, _, _ in CASES if cls is metric)
    with pytest.raises(UserError, match=r"^references, item 1: ") as refused:
        metric().compute(predictions=["9" * 201] * 2, references=[good, reference], **unexecuted)
    assert told in str(refused.value)


def test_a_prediction_that_is_no_text_is_refused() -> None:
    with pytest.raises(UserError, match="predictions, item 0: expected a text, found None"):
        metrics.GSM8KMetric().compute(predictions=[None], references=["1"])


def test_predictions_can_be_added_one_by_one() -> None:
    metric = metrics.GSM8KMetric()
    metric.add(prediction="1", reference="1")
    metric.add_batch(predictions=["2"], references=[3])
    assert metric.compute()["exact_match"] == 0.5


def test_unknown_parameters_are_told_with_the_nearest() -> None:
    with pytest.raises(
        ConfigError, match=r"GSM8KMetric: prompt_stile: no such parameter.* Did you mean 'prompt_style'"
    ):
        metrics.GSM8KMetric().compute(predictions=["1"], references=["1"], prompt_stile="lm_eval")
    with pytest.raises(ConfigError, match=r"prompt_style: input should be 'chat_cot_4shot'.*, found 'x'"):
        metrics.GSM8KMetric().compute(predictions=["1"], references=["1"], prompt_style="x")


def test_every_benchmark_has_its_metric() -> None:
    classes = [cls for cls in vars(metrics).values() if isinstance(cls, type) and hasattr(cls, "benchmark")]
    # A mini benchmark is scored by the metric of the one it is a small form of, a task of lm-eval by its own.
    assert {cls.benchmark for cls in classes} == {
        name for name in benchmarks() if not name.startswith("mini_") and name != "lm_eval"
    }  # whose tasks have their own
    for cls in classes:
        assert cls().info.description == benchmarks()[cls.benchmark].summary()


def test_predictions_without_their_references_are_refused() -> None:
    with pytest.raises(ValueError, match="Mismatch"):
        metrics.GSM8KMetric().compute(predictions=["1", "2"], references=["#### 1"])
