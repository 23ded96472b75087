"""The findings of a report say what its tables say, in the words that the intervals and tests allow."""

from pathlib import Path

import pytest

from dlm_length.analysis.sections import collect, compared
from dlm_length.reports.findings import Findings, findings
from dlm_length.reports.table import text_table


def found(*paths: Path, **options: object) -> Findings:
    return findings(compared(collect(paths or [Path("results")])), **options)  # type: ignore[arg-type]


def samples(scores: str, flops: int) -> dict[str, dict[str, object]]:
    """A sample for each digit: its score in tenths, and what it cost."""
    return {f"q/{place}": {"score": int(score) / 10, "flops": flops + place} for place, score in enumerate(scores)}


@pytest.fixture
def study(finish_run) -> None:
    """SmartCrop at two tau, one of them the default, and DAEDAL, on 12 questions."""
    finish_run("tiny_gsm8k_fixed", samples("9" * 12, 1000))
    finish_run("tiny_gsm8k_smartcrop", samples("9" * 12, 100), "policy.tau=0.5")
    finish_run("tiny_gsm8k_smartcrop", samples("9" * 11 + "8", 400))
    finish_run("tiny_gsm8k_daedal", samples("0" * 12, 2000))


def test_of_one_benchmark_every_policy_has_its_sentence_with_the_interval(study) -> None:
    made = found()
    assert not made.by_section
    by_subject = {each.subject: each for each in made.overall}
    assert list(by_subject) == ["DAEDAL", "SmartCrop, τ = 0.9"]
    worse, same = by_subject.values()
    assert worse.sentence == "99% more FLOPs than Fixed canvas, L = 64; score significantly down."
    (each,) = compared(collect([Path("results")]))
    saved = next(iter(each.by_run("flops_saved").values()))
    assert saved.value == pytest.approx(1 - 2005.5 / 1005.5)
    interval = f"[{100 * saved.low:.1f}, {100 * saved.high:.1f}]"
    assert worse.detail.startswith(f"FLOPs saved: -99.5% {interval}; relative change of mean accuracy: -100.0% [")
    assert worse.detail.endswith("0.000 against 0.900.")
    assert same.sentence == "60% fewer FLOPs than Fixed canvas, L = 64; no significant change of the score."
    assert "change of mean accuracy: -0.9% [-2.8, 0.0], p = " in same.detail
    assert same.sources[0].name.split("__")[2] == "smartcrop"
    assert made.notes[0] == "Baseline: Fixed canvas, L = 64."
    assert "Not significant is no evidence of no change" in made.notes[1]
    assert "is represented by its default" in made.notes[2]


def test_a_control_says_what_it_does(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", samples("9" * 12, 1000))
    finish_run("tiny_gsm8k_random_length", samples("5" * 12, 400))
    (control,) = found().overall
    assert control.subject == "Random length (control)"
    assert control.detail.startswith("Each prompt gets the length that SmartCrop chose for another")
    assert "; FLOPs saved: 5" in control.detail


def test_of_several_benchmarks_a_sentence_names_the_least_and_the_greatest(finish_run) -> None:
    for name, score, flops in (("a", "1", 400), ("b", "9", 900)):
        prompt = f"benchmark.prompt_style={'chat_tags' if name == 'a' else 'text_cot_0shot'}"
        finish_run("tiny_gsm8k_fixed", samples("9" * 12, 1000), prompt)
        finish_run("tiny_gsm8k_smartcrop", samples(score * 12, flops), prompt)
    made = found()
    (finding,) = made.overall
    titles = [title for title, _ in made.by_section]
    assert len(titles) == 2
    assert finding.sentence.startswith(
        "10 to 60% fewer FLOPs than Fixed canvas, L = 64; score significantly down on 1 of 2 benchmarks ("
    )
    assert finding.detail.startswith("FLOPs saved: 9.9% [9.9, 10.0] (GSM8K, llada-tiny (prompt_style")
    assert "; relative change of score: -88.9% [-88.9, -88.9] (" in finding.detail
    assert ") to 0.0% [0.0, 0.0] (" in finding.detail
    assert [len(each) for _, each in made.by_section] == [1, 1]


def test_a_saving_that_is_not_significant_is_not_claimed(finish_run) -> None:
    """Of few samples, which differ both ways."""
    for style, factor in (("chat_tags", 1), ("text_cot_0shot", 10)):
        costs = [factor * flops for flops in (900, 1200, 1000, 950, 1100, 900)]
        prompt = f"benchmark.prompt_style={style}"
        finish_run("tiny_gsm8k_fixed", samples("9" * 6, 1000 * factor), prompt)
        smartcrop = {f"q/{place}": {"score": 0.9, "flops": flops} for place, flops in enumerate(costs)}
        finish_run("tiny_gsm8k_smartcrop", smartcrop, prompt)
    made = found()
    assert ", significantly on 0 of 2 benchmarks; no significant change of the score" in made.overall[0].sentence
    for _, (finding,) in made.by_section:
        assert finding.sentence == "No significant change of the FLOPs; no significant change of the score."
        assert finding.detail.startswith("FLOPs saved: ")


def test_without_a_baseline_nothing_is_found(finish_run) -> None:
    finish_run("tiny_gsm8k_smartcrop", samples("99", 100))
    assert found() == Findings((), (), ())


def test_a_score_that_is_undefined_or_missing_is_no_change(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", samples("00", 1000))
    finish_run("tiny_gsm8k_smartcrop", samples("99", 100))
    assert "has no size, as the baseline's is 0" in found().overall[0].sentence


def test_verdicts_of_tables_are_counted() -> None:
    rows = [("a", "within CI"), ("b", "outside CI"), ("c", "within CI")]
    tables = [text_table("v", "Published", ("of", "verdict"), rows), text_table("o", "Other", ("of",), [("a",)])]
    (finding,) = findings([], tables).overall
    assert (finding.subject, finding.sentence, finding.detail) == (
        "Published",
        "3 verdicts: 2 within CI, 1 outside CI.",
        "",
    )
