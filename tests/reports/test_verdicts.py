"""Verdicts on published numbers, from finished runs by hand."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dlm_length.config import Reproduction, RunConfig, load_reproduction
from dlm_length.records import RunMetrics, SampleRecord
from dlm_length.reports.sheet import Number, Row, Sheet, plain_cell
from dlm_length.reports.verdicts import judge, verdict_sheets

Make = Callable[..., SampleRecord]
Finish = Callable[..., Path]
Ledger = Callable[[int], dict[str, Any]]


@pytest.fixture
def finish(tmp_path: Path, metrics: RunMetrics) -> Finish:
    """Writes a run as finished, with these samples."""

    def finish(config: RunConfig | None, samples: Sequence[SampleRecord]) -> Path:
        assert config is not None
        folder = tmp_path / config.run_name
        folder.mkdir()
        (folder / "config.yaml").write_text(config.to_yaml())
        (folder / "samples.jsonl").write_text("".join(sample.model_dump_json() + "\n" for sample in samples))
        counts = {
            "samples": len(samples),
            "scored": sum(sample.score is not None for sample in samples),
            "failed": sum(sample.error is not None for sample in samples),
        }
        own = metrics.model_copy(update=counts)
        (folder / "metrics.json").write_text(own.model_dump_json())
        return folder

    return finish


@pytest.fixture
def ledger(make_sample: Make) -> Ledger:
    """A sample's, with that many FLOPs."""
    own = make_sample().model_dump()["ledger"]
    return lambda flops: own | {"total": own["total"] | {"flops_reference": flops}}


def runs(reproduction: Reproduction) -> dict[str, RunConfig]:
    """By the paper's name of the method."""
    return {each.cell.method: each.run for each in reproduction.expected if each.run}


def row(sheet: Sheet, method: str, quantity: str) -> tuple[Row, dict[str, str]]:
    """The only row of a method and quantity, and its cells as text, by column."""
    (found,) = [each for each in sheet.rows if each.cells[:2] == (method, quantity)]
    return found, dict(zip((column.title for column in sheet.columns), map(plain_cell, found.cells), strict=True))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (49.0, 51.0, "inside"),
        (50.0, 50.0, "inside"),
        (50.04, 50.2, "inside"),  # 50.04 is printed as 50.0
        (100 * 0.5005, 51.0, "inside"),  # and so may be 50.05, which is not that in binary
        (50.051, 51.0, "outside"),
        (49.0, 49.95, "inside"),
        (49.0, 49.949, "outside"),
        (49.0, math.inf, "inside"),
        (51.0, math.inf, "outside"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_a_printed_number_reaches_half_a_unit_of_its_last_digit(low: float, high: float, verdict: str) -> None:
    assert judge(50.0, 0.05, low, high) == verdict


def test_a_negative_number_is_rounded_to_both_sides() -> None:
    assert judge(-2.92, 0.005, -2.915, 0.0) == judge(-2.92, 0.005, -9.0, -2.925) == "inside"
    assert judge(-2.92, 0.005, -2.914, 0.0) == judge(-2.92, 0.005, -9.0, -2.926) == "outside"


def test_published_beside_reproduced(finish: Finish, make_sample: Make, ledger: Ledger) -> None:
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    fixed = [
        make_sample(
            f"q/{k}",
            prompt_length=100 + k,
            processed_length=396 + (k < 7),
            score=float(k < 5),
            ledger=ledger(100_000),
        )
        for k in range(10)
    ]
    crop = [
        make_sample(f"q/{k}", prompt_length=100 + k, processed_length=250, score=float(k < 6), ledger=ledger(30_605))
        for k in range(10)
    ]
    folders = [finish(configs["FC"], fixed), finish(configs["SC 0.5"], crop)]
    (sheet,) = verdict_sheets(reproduction, folders)
    assert sheet.name == "verdicts-smartcrop-table-1-llada-8b-instruct"
    assert sheet.title == "SmartCrop, table 1: published and reproduced (LLaDA-8B-Instruct)"
    (group,) = sheet.groups
    assert group.heading == "GSM8K: exact_match, n = 10"
    assert len(group.rows) == 3 + 5 * 5

    processed, cells = row(sheet, "FC", "processed")
    assert cells | {"low": "", "high": "", "p": "", "p (Holm)": ""} == {
        "method": "FC",
        "of": "processed",
        "published": "396.7",
        "reproduced": "396.7",
        "difference": "0.0",
        "low": "",
        "high": "",
        "verdict": "inside",
        "p": "",
        "p (Holm)": "",
    }
    low, high = processed.cells[5:7]
    assert isinstance(low, Number)
    assert isinstance(high, Number)
    assert 396.0 < low.value < 396.7 < high.value <= 397.0
    assert processed.sources == (folders[0],)
    assert processed.baseline

    score = row(sheet, "FC", "score")[1]
    assert (score["published"], score["reproduced"], score["difference"]) == ("0.5616", "0.5000", "-0.0616")
    assert score["verdict"] == "inside"
    prompt = row(sheet, "FC", "prompt")[1]
    assert (prompt["reproduced"], prompt["verdict"]) == ("104.5", "outside")

    saved, cells = row(sheet, "SC 0.5", "FLOPs saved (%)")
    assert (cells["published"], cells["verdict"]) == ("69.39***", "inside"), (
        "69.395 is the edge of what prints as 69.39"
    )
    assert cells["reproduced"].startswith("69.3")
    assert cells["reproduced"].endswith("**")
    assert saved.sources == (folders[1], folders[0])
    assert not saved.baseline
    delta = row(sheet, "SC 0.5", "delta (%)")[1]
    assert (delta["published"], delta["reproduced"], delta["difference"]) == ("-2.92", "20.00", "22.92")
    assert float(delta["low"]) <= 20 <= float(delta["high"])

    missing, cells = row(sheet, "SC 0.9", "FLOPs saved (%)")
    assert (cells["reproduced"], cells["difference"], cells["verdict"]) == ("-", "-", "not run")
    assert missing.sources == ()
    told = " ".join(sheet.notes)
    verdicts = [plain_cell(each.cells[-1]) for each in sheet.rows]
    counted = ", ".join(f"{verdicts.count(name)} {name}" for name in ("inside", "outside", "undecided", "not run"))
    assert f"28 published numbers: {counted}. Not run (20): there is no finished run." in told
    assert "arXiv 2603.06123, table 1; the stars there are the paper's" in told
    assert "95% percentile interval of the reproduced number, bootstrap over samples, 5,000 resamples" in told
    assert "FLOPs saved: paired bootstrap, n = 10, 5,000 resamples" in told
    assert "reproduced test our run against our baseline" in told
    assert "not the difference from the published number" in told
    assert "Holm's adjustment takes all 2 p of this table as one family: its effects." in told
    assert "FC: the fixed canvas; SC: SmartCrop at the tau behind it." in told
    assert "stands in for" not in told
    assert "Set beside the plan" not in told


def test_a_saving_just_off_the_edge_is_outside(finish: Finish, make_sample: Make, ledger: Ledger) -> None:
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", ledger=ledger(flops)) for k in range(3)])
        for method, flops in (("FC", 100_000), ("SC 0.5", 30_604))
    ]
    assert row(verdict_sheets(reproduction, folders)[0], "SC 0.5", "FLOPs saved (%)")[1]["verdict"] == "outside"


def test_a_baseline_that_solves_nothing_leaves_the_delta_undecided(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", score=score) for k in range(4)])
        for method, score in (("FC", 0.0), ("SC 0.5", 1.0))
    ]
    (sheet,) = verdict_sheets(reproduction, folders)
    cells = row(sheet, "SC 0.5", "delta (%)")[1]
    assert (cells["reproduced"].strip("*"), cells["low"], cells["high"], cells["verdict"]) == (
        "-",
        "-",
        "-",
        "undecided",
    )
    assert "Undecided (1): relative to a mean of 0, and so undefined." in " ".join(sheet.notes)
    assert row(sheet, "SC 0.5", "score")[1]["verdict"] == "outside"


def test_one_sample_and_no_score_leave_numbers_undecided(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("rho_eos", benchmarks=["GSM8K"])
    folder = finish(runs(reproduction)["DAEDAL"], [make_sample(n_token=20, e_token=15)])
    (sheet,) = verdict_sheets(reproduction, [folder])
    cells = row(sheet, "DAEDAL", "E_ratio (%)")[1]
    assert (cells["reproduced"], cells["difference"], cells["low"], cells["verdict"]) == (
        "75.0",
        "0.9",
        "-",
        "undecided",
    )
    assert "Undecided (1): one sample has no spread." in " ".join(sheet.notes)

    reproduction = load_reproduction("daedal", benchmarks=["humaneval"])
    unscored = [make_sample(f"q/{k}", score=None) for k in range(3)]
    (sheet,) = verdict_sheets(reproduction, [finish(runs(reproduction)["DAEDAL"], unscored)])
    cells = row(sheet, "DAEDAL", "score (%)")[1]
    assert (cells["reproduced"], cells["verdict"]) == ("-", "undecided")
    assert not any(word in " ".join(sheet.notes) for word in ("SmartCrop", "our baseline", "Holm")), "it has none"
    assert "Undecided (1): no sample has a value." in " ".join(sheet.notes)
    assert "3 samples were not scored" in " ".join(sheet.notes)
    assert row(sheet, "DAEDAL", "N_token")[1]["verdict"] == "outside"


def test_samples_that_failed_count_in_no_mean(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("daedal", benchmarks=["gsm8k"])
    ran = [make_sample(f"q/{k}", n_token=363, e_token=267) for k in range(3)]
    failed = make_sample("q/x", n_token=0, e_token=0, score=None, error="too long")
    (sheet,) = verdict_sheets(reproduction, [finish(runs(reproduction)["DAEDAL"], [*ran, failed])])
    for quantity, shown in (("N_token", "363.0"), ("E_token", "267.0"), ("E_ratio (%)", "73.6")):
        cells = row(sheet, "DAEDAL", quantity)[1]
        assert (cells["reproduced"], cells["low"], cells["high"]) == (shown, shown, shown)
        # 267 of 363 is 73.554%, which is not printed as 73.5.
        assert cells["verdict"] == ("outside" if quantity == "E_ratio (%)" else "inside")
    assert "1 samples could not be run" in " ".join(sheet.notes)
    assert sheet.groups[0].heading == "GSM8K: exact_match, n = 4"


def test_several_answers_to_a_problem_are_one_unit(finish: Finish, make_sample: Make) -> None:
    given = ["benchmark.samples_per_problem=2", "benchmark.execute_code=true"]
    reproduction = load_reproduction("daedal", benchmarks=["humaneval"], overrides=given)
    same = [make_sample(f"HumanEval/{k}#{answer}", score=float(k % 2)) for k in range(4) for answer in range(2)]
    (sheet,) = verdict_sheets(reproduction, [finish(runs(reproduction)["fixed 64"], same)])
    cells = row(sheet, "fixed 64", "score (%)")[1]
    assert (cells["reproduced"], cells["low"], cells["high"]) == ("50.0", "0.0", "100.0"), "four coins, not eight"
    assert "Set beside the plan: benchmark.samples_per_problem=2, benchmark.execute_code=true." in sheet.notes


def test_stand_ins_are_told_with_the_direction_of_effects(finish: Finish, make_sample: Make, ledger: Ledger) -> None:
    reproduction = load_reproduction("smartcrop", model="embedded", benchmarks=["mini_gsm8k"])
    configs = runs(reproduction)
    flops = {"FC": 100, "SC 0.5": 40, "SC 0.9": 120}
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", score=float(k < 2), ledger=ledger(cost)) for k in range(4)])
        for method, cost in flops.items()
    ]
    (sheet,) = verdict_sheets(reproduction, folders)
    assert sheet.groups[0].heading == "GSM8K, here mini_gsm8k: exact_match, n = 4"
    told = next(note for note in sheet.notes if "stands in" in note)
    assert told == (
        "Not the paper's: llada-mini stands in for LLaDA-8B-Instruct, mini_gsm8k stands in for GSM8K. The numbers"
        " only stand beside each other; what can be compared is the direction of effects: 1 of 4 here have the"
        " published sign."
    )


def test_a_twin_shared_by_two_benchmarks_stands_in_both_groups(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("rho_eos", model="embedded", benchmarks=["mini_gsm8k"])
    folder = finish(runs(reproduction)["rho-EOS"], [make_sample(f"q/{k}") for k in range(4)])
    (sheet,) = verdict_sheets(reproduction, [folder])
    assert [group.heading.partition(":")[0] for group in sheet.groups] == [
        *("GSM8K, here mini_gsm8k", "MATH500, here mini_gsm8k")
    ]
    assert [group.rows[0].sources for group in sheet.groups] == [(folder,), (folder,)]
    assert "mini_gsm8k stands in for GSM8K and MATH500" in " ".join(sheet.notes)
    assert "the direction of effects" not in " ".join(sheet.notes), "this table has none"


def test_one_table_for_each_of_the_papers(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("daedal", only=["main", "ablations"], benchmarks=["gsm8k"])
    folder = finish(runs(reproduction)["DAEDAL"], [make_sample(f"q/{k}") for k in range(2)])
    sheets = verdict_sheets(reproduction, [folder])
    assert [sheet.name for sheet in sheets] == [
        f"verdicts-daedal-{table}-llada-8b-instruct"
        for table in ("main", "stages", "initial-length", "expansion-factor", "eos-window")
    ]
    for sheet, method in zip(sheets, ("DAEDAL", "both L_init=64", "L_init=64", "E_factor=8", "W_eos=32"), strict=True):
        assert row(sheet, method, "N_token")[0].sources == (folder,)
    grids = load_reproduction("daedal", only=["grids"])
    assert verdict_sheets(grids, [folder]) == []


def test_a_remark_stands_in_the_notes_of_its_own_numbers_alone() -> None:
    contradicts = "contradicts itself: 588 of 743"
    for model, wanted in (("llada-1.5", True), ("llada-8b-instruct", False)):
        (sheet,) = verdict_sheets(load_reproduction("daedal", model=model), [])
        assert (contradicts in " ".join(sheet.notes)) is wanted
        assert [group.heading for group in sheet.groups] == ["GSM8K", "MATH500", "MBPP", "HumanEval"]
        assert {each.cells[-1] for each in sheet.rows} == {"not run"}
    (printed,) = verdict_sheets(load_reproduction("daedal", model="llada-1.5", benchmarks=["math500"]), [])
    assert row(printed, "DAEDAL", "E_ratio (%)")[1]["published"] == "75.2"
