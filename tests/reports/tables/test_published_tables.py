"""Verdicts on published numbers, from finished runs by hand."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.published import AS_PUBLISHED, Verdict, judge
from dlm_length.config import Reproduction, RunConfig, load_reproduction
from dlm_length.records import RunMetrics, SampleRecord
from dlm_length.reports.table import Number, ReportTable, Row, plain_cell
from dlm_length.reports.tables.published import verdict_tables

Make = Callable[..., SampleRecord]
Finish = Callable[..., Path]
VERDICTS = get_args(Verdict)
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


def row(table: ReportTable, method: str, quantity: str) -> tuple[Row, dict[str, str]]:
    """The only row of a method and quantity, and its cells as text, by column."""
    (found,) = [each for each in table.rows if each.cells[:2] == (method, quantity)]
    return found, dict(zip((column.title for column in table.columns), map(plain_cell, found.cells), strict=True))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-1.0, 1.0, "within CI"),
        (0.0, 0.0, "within CI"),
        (0.04, 0.2, "within CI"),
        (0.051, 1.0, "outside CI"),
        (-1.0, -0.05, "within CI"),
        (-1.0, -0.051, "outside CI"),
        (1.0, math.inf, "outside CI"),
        (math.nan, math.nan, "undecided"),
    ],
)
def test_a_printed_number_reaches_half_a_unit_of_its_last_digit(low: float, high: float, verdict: str) -> None:
    assert judge(low, high, reach=0.05, width=2.0, effect=2.0) == verdict


def test_without_an_interval_of_ours_nothing_is_decided() -> None:
    assert judge(-0.01, 0.01, reach=0.05, width=math.nan, effect=2.0) == "undecided"
    assert judge(0.1, 0.2, reach=0.05, width=math.nan, effect=2.0) == "undecided"


@pytest.mark.parametrize("width", [2.1, math.inf])
def test_an_interval_wider_than_the_effect_can_refute_and_cannot_confirm(width: float) -> None:
    assert judge(-1.0, 1.0, reach=0.05, width=width, effect=2.0) == "undecided"
    assert judge(0.1, 1.0, reach=0.05, width=width, effect=2.0) == "outside CI"


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
    (table,) = verdict_tables(reproduction, folders)
    assert table.name == "verdicts-smartcrop-table-1-llada-8b-instruct"
    assert table.title == "SmartCrop, table 1: published and reproduced (LLaDA-8B-Instruct)"
    (group,) = table.groups
    assert group.heading == "GSM8K: exact_match, n = 10"
    assert len(group.rows) == 3 + 5 * 5

    processed, cells = row(table, "FC", "processed")
    ends = dict.fromkeys(("low", "high", "difference low", "difference high"), "")
    assert cells | ends == ends | {
        "method": "FC",
        "of": "processed",
        "published": "396.7",
        "reproduced": "396.7",
        "difference": "0.0",
        "verdict": "within CI",
        "p": "-",
        "p (Holm)": "-",
    }
    low, high = processed.cells[4:6]
    assert isinstance(low, Number)
    assert isinstance(high, Number)
    assert 396.0 < low.value < 396.7 < high.value <= 397.0
    assert processed.sources == (folders[0],)
    assert processed.baseline

    score = row(table, "FC", "score")[1]
    assert (score["published"], score["reproduced"], score["difference"]) == ("0.5616", "0.5000", "-0.0616")
    # Wilson's of 5 of 10; the paper's n is not known, and so its number counts as exact.
    assert (score["low"], score["high"]) == ("0.2366", "0.7634")
    assert (score["difference low"], score["difference high"]) == ("-0.3250", "0.2018")
    assert score["verdict"] == "undecided", "0.53 wide, where the paper's methods are 0.02 apart"
    prompt = row(table, "FC", "prompt")[1]
    assert (prompt["reproduced"], prompt["verdict"]) == ("104.5", "outside CI")

    saved, cells = row(table, "SC 0.5", "FLOPs saved (%)")
    assert (cells["published"], cells["verdict"]) == ("69.39***", "within CI"), (
        "69.395 is the edge of what prints as 69.39"
    )
    assert cells["reproduced"].startswith("69.3")
    assert cells["reproduced"].endswith("**"), "2^-9 by itself; nothing is adjusted"
    assert saved.sources == (folders[1], folders[0])
    assert not saved.baseline
    delta = row(table, "SC 0.5", "delta (%)")[1]
    assert (delta["published"], delta["reproduced"], delta["difference"]) == ("-2.92", "20.00", "22.92")
    assert float(delta["low"]) <= 20 <= float(delta["high"])

    missing, cells = row(table, "SC 0.9", "FLOPs saved (%)")
    assert (cells["reproduced"], cells["difference"], cells["verdict"]) == ("-", "-", "not run")
    assert missing.sources == ()
    notes = " ".join(table.notes)
    verdicts = [plain_cell(each.cells[-1]) for each in table.rows]
    counted = ", ".join(
        f"{verdicts.count(name)} {name}" for name in ("within CI", "outside CI", "undecided", "not run")
    )
    assert f"28 published numbers: {counted}. " in notes
    assert "Not run (20): there is no finished run." in notes
    assert f"Undecided ({verdicts.count('undecided')}): our interval is wider than the effect." in notes
    assert "with the 95% interval of ours only, as the paper's n is not known." in notes
    assert "arXiv 2603.06123, table 1; the stars there are the paper's" in notes
    assert "Wilson's of 0/1 scores, else percentile bootstrap over samples, 10,000 resamples" in notes
    assert "FLOPs saved: paired bootstrap, n = 10, 10,000 resamples" in notes
    assert "reproduced test our run against our baseline" in notes
    assert "not the difference from the published number" in notes
    assert "Stars are by each test's own p, unadjusted, as in the papers." in notes
    assert "FC: the fixed canvas; SC: SmartCrop at the tau behind it." in notes
    assert "stands in for" not in notes
    assert "Set in addition to the plan" not in notes


def test_a_saving_just_off_the_edge_is_outside(finish: Finish, make_sample: Make, ledger: Ledger) -> None:
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", ledger=ledger(flops)) for k in range(3)])
        for method, flops in (("FC", 100_000), ("SC 0.5", 30_604))
    ]
    assert row(verdict_tables(reproduction, folders)[0], "SC 0.5", "FLOPs saved (%)")[1]["verdict"] == "outside CI"


def test_a_baseline_that_solves_nothing_leaves_the_delta_undecided(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", score=score) for k in range(4)])
        for method, score in (("FC", 0.0), ("SC 0.5", 1.0))
    ]
    (table,) = verdict_tables(reproduction, folders)
    cells = row(table, "SC 0.5", "delta (%)")[1]
    assert (cells["reproduced"].strip("*"), cells["low"], cells["high"], cells["verdict"]) == (
        "-",
        "-",
        "-",
        "undecided",
    )
    assert "Undecided (1): relative to a mean of 0, and so undefined." in " ".join(table.notes)
    # 0 of 4 is up to 49%, 4 of 4 from 51%: the published 0.5616 and 0.5452.
    verdicts = [row(table, method, "score")[1]["verdict"] for method in ("FC", "SC 0.5")]
    assert verdicts == ["outside CI", "undecided"]


def test_one_sample_and_no_score_leave_numbers_undecided(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("rho_eos", benchmarks=["GSM8K"])
    folder = finish(runs(reproduction)["DAEDAL"], [make_sample(n_token=20, e_token=15)])
    (table,) = verdict_tables(reproduction, [folder])
    cells = row(table, "DAEDAL", "E_ratio (%)")[1]
    assert (cells["reproduced"], cells["difference"], cells["low"], cells["verdict"]) == (
        "75.0",
        "0.9",
        "-",
        "undecided",
    )
    assert "Undecided (1): one sample has no spread." in " ".join(table.notes)

    reproduction = load_reproduction("daedal", benchmarks=["humaneval"])
    unscored = [make_sample(f"q/{k}", score=None) for k in range(3)]
    (table,) = verdict_tables(reproduction, [finish(runs(reproduction)["DAEDAL"], unscored)])
    cells = row(table, "DAEDAL", "score (%)")[1]
    assert (cells["reproduced"], cells["verdict"]) == ("-", "undecided")
    assert not any(word in " ".join(table.notes) for word in ("SmartCrop", "our baseline", "Holm's")), "it has none"
    assert "Undecided (1): no sample has a value." in " ".join(table.notes)
    assert "3 samples were not scored" in " ".join(table.notes)
    assert row(table, "DAEDAL", "N_token")[1]["verdict"] == "outside CI"


def test_samples_that_failed_count_in_no_mean(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("daedal", benchmarks=["gsm8k"])
    ran = [make_sample(f"q/{k}", n_token=363, e_token=267) for k in range(3)]
    failed = make_sample("q/x", n_token=0, e_token=0, score=None, error="too long")
    (table,) = verdict_tables(reproduction, [finish(runs(reproduction)["DAEDAL"], [*ran, failed])])
    for quantity, shown in (("N_token", "363.0"), ("E_token", "267.0"), ("E_ratio (%)", "73.6")):
        cells = row(table, "DAEDAL", quantity)[1]
        assert (cells["reproduced"], cells["low"], cells["high"]) == (shown, shown, shown)
        # 267 of 363 is 73.554%, which is not printed as 73.5.
        assert cells["verdict"] == ("outside CI" if quantity == "E_ratio (%)" else "within CI")
    assert "1 sample could not be run" in " ".join(table.notes)
    assert table.groups[0].heading == "GSM8K: exact_match, n = 4"


def test_several_answers_to_a_problem_are_one_unit(finish: Finish, make_sample: Make) -> None:
    given = ["benchmark.samples_per_problem=2", "benchmark.execute_code=true"]
    reproduction = load_reproduction("daedal", benchmarks=["humaneval"], overrides=given)
    same = [make_sample(f"HumanEval/{k}#{answer}", score=float(k % 2)) for k in range(4) for answer in range(2)]
    (table,) = verdict_tables(reproduction, [finish(runs(reproduction)["fixed 64"], same)])
    cells = row(table, "fixed 64", "score (%)")[1]
    assert (cells["reproduced"], cells["low"], cells["high"]) == ("50.0", "15.0", "85.0"), "2 of 4, not 4 of 8"
    assert "Set in addition to the plan: benchmark.samples_per_problem=2, benchmark.execute_code=true." in table.notes


def test_stand_ins_are_told_with_the_direction_of_effects(finish: Finish, make_sample: Make, ledger: Ledger) -> None:
    reproduction = load_reproduction("smartcrop", model="embedded", benchmarks=["mini_gsm8k"])
    configs = runs(reproduction)
    flops = {"FC": 100, "SC 0.5": 40, "SC 0.9": 120}
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", score=float(k < 2), ledger=ledger(cost)) for k in range(4)])
        for method, cost in flops.items()
    ]
    (table,) = verdict_tables(reproduction, folders)
    assert table.groups[0].heading == "GSM8K, here mini_gsm8k: exact_match, n = 4"
    stand_ins = next(note for note in table.notes if "stands in" in note)
    assert "28 published numbers; verdicts on stand-ins are not counted. " in " ".join(table.notes)
    assert not any(f"{number} {name}" in " ".join(table.notes) for number in range(29) for name in VERDICTS)
    assert stand_ins == (
        "Not the paper's: llada-mini stands in for LLaDA-8B-Instruct, mini_gsm8k stands in for GSM8K. The numbers"
        " are shown together, not judged; what can be compared is the direction of effects: 1 of 4 here have the"
        " published sign."
    )


def test_a_twin_shared_by_two_benchmarks_stands_in_both_groups(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("rho_eos", model="embedded", benchmarks=["mini_gsm8k"])
    folder = finish(runs(reproduction)["rho-EOS"], [make_sample(f"q/{k}") for k in range(4)])
    (table,) = verdict_tables(reproduction, [folder])
    assert [group.heading.partition(":")[0] for group in table.groups] == [
        *("GSM8K, here mini_gsm8k", "MATH500, here mini_gsm8k")
    ]
    assert [group.rows[0].sources for group in table.groups] == [(folder,), (folder,)]
    assert "mini_gsm8k stands in for GSM8K and MATH500" in " ".join(table.notes)
    assert "the direction of effects" not in " ".join(table.notes), "this table has none"


def test_one_table_for_each_of_the_papers(finish: Finish, make_sample: Make) -> None:
    reproduction = load_reproduction("daedal", only=["main", "ablations"], benchmarks=["gsm8k"])
    folder = finish(runs(reproduction)["DAEDAL"], [make_sample(f"q/{k}") for k in range(2)])
    tables = verdict_tables(reproduction, [folder])
    assert [table.name for table in tables] == [
        f"verdicts-daedal-{table}-llada-8b-instruct"
        for table in ("main", "stages", "initial-length", "expansion-factor", "eos-window")
    ]
    for table, method in zip(tables, ("DAEDAL", "both L_init=64", "L_init=64", "E_factor=8", "W_eos=32"), strict=True):
        assert row(table, method, "N_token")[0].sources == (folder,)
    grids = load_reproduction("daedal", only=["grids"])
    assert verdict_tables(grids, [folder]) == []


def test_a_remark_stands_in_the_notes_of_its_own_numbers_alone() -> None:
    contradicts = "contradicts itself: 588 of 743"
    for model, wanted in (("llada-1.5", True), ("llada-8b-instruct", False)):
        (table,) = verdict_tables(load_reproduction("daedal", model=model), [])
        assert (contradicts in " ".join(table.notes)) is wanted
        assert [group.heading for group in table.groups] == ["GSM8K", "MATH500", "MBPP", "HumanEval"]
        assert {each.cells[-1] for each in table.rows} == {"not run"}
    (printed,) = verdict_tables(load_reproduction("daedal", model="llada-1.5", benchmarks=["math500"]), [])
    assert row(printed, "DAEDAL", "E_ratio (%)")[1]["published"] == "75.2"


def test_three_samples_reproduce_no_delta(finish: Finish, make_sample: Make) -> None:
    """-33% [-100, 0] holds -2.92, and -50, and 0."""
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    folders = [
        finish(configs[method], [make_sample(f"q/{k}", score=float(k < right)) for k in range(3)])
        for method, right in (("FC", 3), ("SC 0.5", 2))
    ]
    (table,) = verdict_tables(reproduction, folders)
    cells = row(table, "SC 0.5", "delta (%)")[1]
    assert (cells["reproduced"], cells["low"], cells["high"]) == ("-33.33", "-100.00", "0.00")
    assert cells["verdict"] == "undecided"
    assert "our interval is wider than the effect" in " ".join(table.notes)


@pytest.mark.parametrize(("right", "verdict"), [(640, "within CI"), (633, "within CI"), (700, "outside CI")])
def test_a_difference_has_both_samples_uncertainty(finish: Finish, make_sample: Make, right: int, verdict: str) -> None:
    """Against 48.0% of 1,319: Newcombe's interval of the difference of two shares, by statsmodels."""
    reproduction = load_reproduction("daedal", benchmarks=["gsm8k"])
    own = [make_sample(f"q/{k}", score=float(k < right)) for k in range(1319)]
    (table,) = verdict_tables(reproduction, [finish(runs(reproduction)["fixed 64"], own)])
    cells = row(table, "fixed 64", "score (%)")[1]
    low, high = confint_proportions_2indep(right, 1319, 0.48 * 1319, 1319, method="newcomb", compare="diff")
    assert float(cells["difference low"]) == pytest.approx(100 * low, abs=0.051)
    assert float(cells["difference high"]) == pytest.approx(100 * high, abs=0.051)
    assert cells["verdict"] == verdict
    assert "the paper's n being GSM8K 1,319." in " ".join(table.notes)


def test_a_number_that_is_no_share_has_our_interval_scaled_to_the_papers_n(finish: Finish, make_sample: Make) -> None:
    """At a quarter of its problems the paper's distances are half of ours, and both together sqrt(5/4) of ours."""
    reproduction = load_reproduction("daedal", benchmarks=["humaneval"])
    own = [make_sample(f"q/{k}", n_token=800 + 10 * (k % 7), score=None) for k in range(41)]
    (table,) = verdict_tables(reproduction, [finish(runs(reproduction)["DAEDAL"], own)])
    found, _ = row(table, "DAEDAL", "N_token")
    value, low, high, difference, below, above = (c.value for c in found.cells[3:9] if isinstance(c, Number))
    assert difference - below == pytest.approx(math.hypot(value - low, (high - value) / 2))
    assert above - difference == pytest.approx(math.hypot(high - value, (value - low) / 2))


def test_stars_of_verdicts_can_be_adjusted(finish: Finish, make_sample: Make, ledger: Ledger) -> None:
    """Five savings of n = 7, the least p of which is 2^-6: starred by itself, and not five times that."""
    reproduction = load_reproduction("smartcrop", benchmarks=["gsm8k"])
    configs = runs(reproduction)
    folders = [
        finish(config, [make_sample(f"q/{k}", ledger=ledger(100 if method == "FC" else 50)) for k in range(7)])
        for method, config in configs.items()
    ]
    for testing, stars in ((AS_PUBLISHED, "*"), (Testing(), "")):
        (table,) = verdict_tables(reproduction, folders, testing=testing)
        cells = row(table, "SC 0.9", "FLOPs saved (%)")[1]
        assert (cells["reproduced"], cells["p"], cells["p (Holm)"]) == (f"50.00{stars}", "0.0156", "0.0781")
