"""A run's metrics from its samples: what metrics.json says, and how sure it is."""

import json
import math
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from dlm_length.config import RunConfig, load_config
from dlm_length.records import RunMetrics, SampleRecord
from dlm_length.runner.scoring import summarise
from dlm_length.stats import wilson

Make = Callable[..., SampleRecord]
EXTRACTIONS = ("exact_match_strict", "exact_match_flexible", "exact_match_boxed")
INSTRUCTIONS = ("inst_level_strict_acc", "inst_level_loose_acc")


def gsm8k(make_sample: Make, scores: Sequence[float | None]) -> list[SampleRecord]:
    return [
        make_sample(f"q/{k}", score=score, details=dict.fromkeys(EXTRACTIONS, score or 0.0))
        for k, score in enumerate(scores)
    ]


@pytest.fixture
def config() -> RunConfig:
    return load_config("tiny_gsm8k_fixed")


def test_every_metric_has_lm_evals_stderr_and_an_interval(config: RunConfig, make_sample: Make) -> None:
    scores = [1.0] * 6 + [0.0] * 3
    found = summarise(config, gsm8k(make_sample, [*scores, None]), [])
    assert list(found.stderr) == [f"{name}_stderr" for name in found.metrics]
    assert found.stderr["exact_match_stderr"] == pytest.approx(np.std(scores, ddof=1) / 3)
    interval = found.intervals["exact_match"]
    assert (interval.low, interval.high) == wilson(6 / 9, 9)
    assert (interval.method, interval.n, interval.resamples) == ("wilson", 9, None)
    assert RunMetrics.model_validate_json(found.model_dump_json()) == found


def test_a_graded_metric_has_the_bootstraps_interval(make_sample: Make) -> None:
    details = [{"rouge1": k / 10, "rouge2": 0.0, "rougeL": 0.5, "answer_words": 7 * k} for k in range(11)]
    records = [make_sample(f"q/{k}", score=each["rouge1"], details=each) for k, each in enumerate(details)]
    found = summarise(load_config("longformqa_fixed"), records, [])
    rouge = found.intervals["rouge1"]
    assert (rouge.method, rouge.resamples) == ("percentile", 10_000)
    assert 0.3 < rouge.low < 0.5 < rouge.high < 0.7
    assert found.intervals["rouge2"].method == "wilson", "none at all is a share too, and has a width"
    assert "rougeL" not in found.intervals, "all are one half: nothing says how they vary"
    assert found.stderr["answer_words_stderr"] == pytest.approx(7 * np.std(np.arange(11), ddof=1) / math.sqrt(11))


def test_instructions_are_clustered_by_prompt(make_sample: Make) -> None:
    """Of 30 prompts with 4 instructions each, all or none followed: 30 units, not 120."""
    records = []
    for k in range(30):
        followed = k % 2 == 0
        details = dict.fromkeys(INSTRUCTIONS, [followed] * 4) | {"prompt_level_loose_acc": followed}
        records.append(make_sample(f"ifeval/{k}", score=float(followed), details=details))
    found = summarise(load_config("ifeval_fixed"), records, [])
    assert found.metrics["inst_level_strict_acc"] == 0.5
    assert found.stderr["inst_level_strict_acc_stderr"] == pytest.approx(found.stderr["prompt_level_strict_acc_stderr"])
    assert found.intervals["inst_level_strict_acc"].n == 30


def test_several_samples_of_a_problem_are_one_unit(make_sample: Make) -> None:
    """Ten equal samples of each of 8 problems: the interval of 8 problems, and their mean where samples differ in
    number."""
    several = ("benchmark.samples_per_problem=10", "policy.temperature=0.5")
    config = load_config("tiny_humaneval_fixed", several)
    names = [(problem, sample) for problem in range(8) for sample in range(10)]
    records = [
        make_sample(f"HumanEval/{problem}#{sample}", score=float(problem < 6), details={"reason": "x"})
        for problem, sample in names
    ]
    found = summarise(config, records, [])
    interval = found.intervals["pass@1"]
    assert (interval.n, interval.low, interval.high) == (8, *wilson(6 / 8, 8))
    fewer = summarise(config, records[:-5], [])
    assert fewer.score == fewer.metrics["pass@1"] == 6 / 8


def test_one_graded_sample_and_none_have_no_uncertainty(config: RunConfig, make_sample: Make) -> None:
    one = summarise(config, gsm8k(make_sample, [0.5]), [])
    assert (one.stderr, one.intervals) == ({}, {})
    nothing = summarise(config, gsm8k(make_sample, [None]), [])
    assert (nothing.score, nothing.metrics, nothing.stderr, nothing.intervals) == (None, {}, {}, {})


@pytest.mark.parametrize("seed", range(5))
def test_no_number_depends_on_the_order_of_samples(config: RunConfig, make_sample: Make, seed: int) -> None:
    """As with runs that were interrupted, or whose samples finished in another order."""
    rng = random.Random(seed)
    records = [
        record.model_copy(update={"elapsed": rng.random(), "ledger": _lasting(record, rng.random())})
        for record in gsm8k(make_sample, [rng.random() for _ in range(200)])
    ]
    expected = summarise(config, records, [])
    rng.shuffle(records)
    assert summarise(config, records, []) == expected


def _lasting(record: SampleRecord, seconds: float) -> object:
    total = record.ledger.total.model_copy(update={"seconds": seconds})
    return record.ledger.model_copy(update={"total": total})


def test_metrics_of_earlier_versions_are_read(make_metrics: Callable[..., RunMetrics]) -> None:
    fields = json.loads(make_metrics().model_dump_json())
    earlier = RunMetrics.model_validate({name: v for name, v in fields.items() if name not in ("stderr", "intervals")})
    assert (earlier.stderr, earlier.intervals) == ({}, {})
