"""Two runs side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from table_helpers import text_rows

from dlm_length.common import ConfigError, UserError
from dlm_length.records import SampleRecord
from dlm_length.reports import run_diff

WriteRun = Callable[..., Path]
Make = Callable[..., SampleRecord]


def samples(make_sample: Make, scores: list[float | None]) -> list[SampleRecord]:
    return [make_sample(f"q/{place}", score=score) for place, score in enumerate(scores)]


def test_binary_scores_have_mcnemar_and_the_samples_that_flipped(write_run: WriteRun, make_sample: Make) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [1.0] * 10 + [0.0] * 2))
    second = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [0.0] * 7 + [1.0] * 5))
    compared = run_diff(first, second)
    assert compared.tests is not None
    rows = {row[0]: row[1:] for row in text_rows(compared.tests)}
    assert rows["exact McNemar"][:2] == ("-5.0000", "0.1797")
    assert float(rows["paired bootstrap"][1]) < 0.1797
    assert compared.tests.titles == ("test", "statistic", "p"), "one comparison: there is nothing to adjust"
    assert [(changed.id, changed.by) for changed in compared.changed] == [
        *((f"q/{place}", -1.0 if place < 7 else 1.0) for place in sorted([*range(7), 10, 11], key=str))
    ]
    assert any(note.startswith("Second minus first: -0.4167 over 12 samples") for note in compared.tests.notes)
    assert any("alpha 0.05 and power 0.8" in note for note in compared.tests.notes)


def test_so_few_flips_that_nothing_could_be_shown_are_told(write_run: WriteRun, make_sample: Make) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [1.0] * 49 + [0.0]))
    second = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [1.0] * 50))
    compared = run_diff(first, second)
    assert compared.tests is not None
    assert any("not even all flips in one direction" in note for note in compared.tests.notes)


def test_graded_scores_have_wilcoxon_and_permutation(write_run: WriteRun, make_sample: Make) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [0.1, 0.4, 0.5, 0.9]))
    second = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [0.2, 0.4, 0.9, None]))
    compared = run_diff(first, second)
    assert compared.tests is not None
    assert [row[0] for row in text_rows(compared.tests)] == [
        *("paired bootstrap", "exact Wilcoxon signed-rank", "exact paired permutation")
    ]
    assert [changed.id for changed in compared.changed] == ["q/3", "q/2", "q/0"]


def test_every_field_that_differs_is_told(write_run: WriteRun, make_sample: Make) -> None:
    sample = samples(make_sample, [1.0])
    first = write_run("tiny_gsm8k_fixed", sample)
    second = write_run("tiny_gsm8k_smartcrop", sample, "hardware.seed=7")
    rows = {row[0]: row[1:] for row in text_rows(run_diff(first, second).differences)}
    assert rows["policy.name"] == ("fixed", "smartcrop")
    assert rows["policy.tau"] == ("-", "0.9")
    assert rows["hardware.seed"] == ("0", "7")
    assert "policy.length" not in rows


def test_an_answer_is_the_same_on_a_canvas_with_more_eos(write_run: WriteRun, make_sample: Make) -> None:
    short = [make_sample(f"q/{place}", canvas_ids=[31, 32, *[1] * place]) for place in range(3)]
    full = [make_sample(f"q/{place}", canvas_ids=[31, 32, 1, 1]) for place in range(3)]
    changed = full[0].model_copy(update={"resps": [["another answer"]]})
    first, second = write_run("tiny_gsm8k_fixed", [changed, *full[1:]]), write_run("tiny_gsm8k_smartcrop", short)
    rows = {row[0]: row[1] for row in text_rows(run_diff(first, second).agreement)}
    assert rows["samples with the same answer"] == "2 of 3"
    assert rows["samples with equal canvases"] == "1 of 3"


def test_samples_that_failed_have_no_answer_to_agree_on(write_run: WriteRun, make_sample: Make) -> None:
    samples = [make_sample("a"), make_sample("b", error="too long", resps=[], score=None)]
    first, second = write_run("tiny_gsm8k_fixed", samples), write_run("tiny_gsm8k_smartcrop", samples)
    rows = {row[0]: row[1] for row in text_rows(run_diff(first, second).agreement)}
    assert rows["samples with the same answer"] == "1 of 1"
    assert rows["samples with equal canvases"] == "1 of 1"


def test_nothing_scored_has_no_tests_and_other_samples_are_refused(write_run: WriteRun, make_sample: Make) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [None, None]))
    assert run_diff(first, first).tests is None
    assert run_diff(first, first).changed == ()
    other = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [1.0]))
    with pytest.raises(UserError, match=rf"{other.name}' \(1 sample\) lacks 1 of another"):
        run_diff(first, other)


def test_runs_of_two_benchmarks_are_a_wrong_argument(write_run: WriteRun, make_sample: Make, metrics: Any) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [1.0]))
    other = metrics.model_copy(update={"benchmark": "mbpp"})
    second = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [1.0]), metrics=other)
    with pytest.raises(ConfigError, match=r"a comparison is paired: .* is a run of .*, .* of mbpp") as refused:
        run_diff(first, second)
    assert refused.value.exit_code == 2


def test_a_p_is_never_shown_as_0(write_run: WriteRun, make_sample: Make) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [1.0] * 20))
    second = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [0.0] * 20))
    tests = run_diff(first, second).tests
    assert tests is not None
    assert [row[2:] for row in text_rows(tests) if row[0] == "exact McNemar"] == [("< 0.0001",)]


def test_rounding_changes_no_score(write_run: WriteRun, make_sample: Make) -> None:
    first = write_run("tiny_gsm8k_fixed", samples(make_sample, [0.3] * 20))
    second = write_run("tiny_gsm8k_smartcrop", samples(make_sample, [0.1 + 0.2] * 20))
    compared = run_diff(first, second)
    assert compared.changed == ()
    assert compared.tests is not None
    assert [row[2] for row in text_rows(compared.tests)] == ["1.0000"] * 3
