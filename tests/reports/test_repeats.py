"""Runs that differ in their seed alone: one row, its spread, and problems as the units of every test."""

import shutil
import statistics
from pathlib import Path

import numpy as np
import pytest
from table_helpers import text_rows

from dlm_length.analysis.effects import compare_all, scores_of
from dlm_length.analysis.repeats import as_rows, read_row, score_spread
from dlm_length.analysis.runs import mean_score, read_run
from dlm_length.analysis.sections import collect, compared
from dlm_length.benchmarks.gsm8k import GSM8K
from dlm_length.records import RecordError, find_baseline, read_metrics
from dlm_length.reports import run_table, study_table
from dlm_length.reports.report import write_report
from dlm_length.reports.tables.costs import ablation_table, cost_table
from dlm_length.reports.tables.papers import daedal_table, smartcrop_table
from dlm_length.stats import Statistic, bootstrap

PROBLEMS = [f"p{number}" for number in range(8)]
# Scores by seed: of the problems in their order.
FIXED = {0: (1, 1, 1, 0, 1, 0, 1, 1), 1: (1, 1, 0, 0, 1, 1, 1, 1), 2: (1, 0, 1, 0, 1, 1, 1, 0)}
CROPPED = {0: (1, 0, 1, 0, 0, 0, 1, 1), 1: (1, 1, 0, 0, 0, 1, 0, 1), 2: (0, 0, 1, 0, 1, 0, 1, 0)}
HOT = "policy.temperature=0.7"


def samples(scores: tuple[int, ...], flops: int, **fields: object) -> dict[str, dict[str, object]]:
    return {
        name: {"score": float(score), "flops": flops + 10 * place, **fields}
        for place, (name, score) in enumerate(zip(PROBLEMS, scores, strict=True))
    }


@pytest.fixture
def seeds(finish_run) -> dict[str, list[Path]]:
    """Three seeds of two policies."""
    return {
        "fixed": [
            finish_run("tiny_gsm8k_fixed", samples(FIXED[s], 1000 + s), HOT, f"hardware.seed={s}") for s in (2, 0, 1)
        ],
        "cropped": [
            finish_run("tiny_gsm8k_smartcrop", samples(CROPPED[s], 600 + s), HOT, f"hardware.seed={s}")
            for s in (0, 1, 2)
        ],
    }


def test_seeds_are_one_row_in_one_section(seeds) -> None:
    (section,) = collect([Path("results")])
    assert section.labels == ("fixed 64", "smartcrop 64 tau 0.9")
    assert section.title == "gsm8k, llada-tiny"
    assert section.n_label == "n = 8 problems, 3 seeds, 24 samples"
    fixed, cropped = section.runs
    assert (fixed.seeds, cropped.seeds) == ((0, 1, 2), (0, 1, 2))
    assert set(fixed.paths) == set(seeds["fixed"])
    assert fixed.path == fixed.repeats[0].path


def test_the_mean_is_of_all_and_the_spread_of_the_seeds(seeds) -> None:
    row = read_row(seeds["fixed"])
    means = [sum(FIXED[seed]) / 8 for seed in FIXED]
    assert mean_score(row) == pytest.approx(statistics.fmean(means))
    assert score_spread(row) == pytest.approx(statistics.stdev(means))
    assert np.isnan(score_spread(row.repeats[0])), "one seed has no spread"
    assert row.metrics.samples == row.metrics.scored == 24
    assert row.metrics.score == pytest.approx(mean_score(row))
    assert row.metrics.flops_reference == sum(1000 + seed + 10 * place for seed in FIXED for place in range(8))
    assert row.metrics.e_ratio == pytest.approx(row.repeats[0].metrics.e_ratio)
    assert row.metrics.wall_clock_seconds == pytest.approx(sum(r.metrics.wall_clock_seconds for r in row.repeats))


def test_tests_take_a_problems_samples_as_one_observation(seeds) -> None:
    fixed, cropped = read_row(seeds["fixed"]), read_row(seeds["cropped"])
    found = compare_all([cropped], fixed)
    ours, theirs = (np.mean([scores[seed] for seed in (0, 1, 2)], axis=0) for scores in (CROPPED, FIXED))
    by_hand = bootstrap({"": Statistic.performance_delta(ours, theirs)}, rng=0, resamples=10_000)[""]
    delta = found[cropped.path, "performance_delta"]
    assert delta.result.n == 8, "not 24"
    assert (delta.value, delta.low) == pytest.approx((by_hand.value, by_hand.low))
    assert delta.result.p == delta.bootstrap.p == pytest.approx(by_hand.test.p)
    assert found[cropped.path, "flops_saved"].result.n == 8


def test_other_seeds_are_paired_by_problem(seeds) -> None:
    two, three = read_row(seeds["cropped"][:2]), read_row(seeds["fixed"])
    one = read_row(seeds["fixed"][:1])
    paired = scores_of(two, three)
    assert paired is not None
    assert paired.ids == tuple(PROBLEMS)
    assert paired["run"] == pytest.approx(np.mean([CROPPED[0], CROPPED[1]], axis=0))
    assert paired["baseline"] == pytest.approx(np.mean(list(FIXED.values()), axis=0))
    alone = scores_of(two, one)
    assert alone is not None
    assert alone["baseline"].tolist() == list(FIXED[2])


def test_samples_without_a_score_leave_the_problem_its_other_seeds(finish_run) -> None:
    some = samples(FIXED[0], 1000)
    some["p0"]["score"] = some["p3"]["score"] = None
    none = samples(FIXED[1], 1000)
    none["p3"]["score"] = None
    one = finish_run("tiny_gsm8k_fixed", some, HOT)
    fixed = read_row([one, finish_run("tiny_gsm8k_fixed", none, HOT, "hardware.seed=1")])
    cropped = read_row(finish_run("tiny_gsm8k_smartcrop", samples(CROPPED[0], 600), HOT))
    paired = scores_of(cropped, fixed)
    assert paired is not None
    assert paired.left_out == ("p3",)
    assert paired["baseline"][0] == FIXED[1][0]


def test_several_answers_of_one_run_and_seeds_are_one_problem(finish_run) -> None:
    answers = {f"p0#{k}": {"score": float(k == 0)} for k in range(2)} | {f"p1#{k}": {"score": 1.0} for k in range(2)}
    four = "benchmark.samples_per_problem=2"
    runs = [finish_run("tiny_humaneval_fixed", answers, HOT, four, f"hardware.seed={seed}") for seed in (0, 1)]
    row = read_row(runs)
    assert row.scores.tolist() == [0.5, 1.0]
    assert row.n_label == "n = 2 problems, 2 seeds, 8 samples"


def test_labels_show_seed_and_temperature_where_they_differ(seeds, finish_run) -> None:
    finish_run("tiny_gsm8k_smartcrop", samples(CROPPED[0], 600), "policy.tau=0.5")
    (section,) = collect([Path("results")])
    assert section.labels == (
        "fixed 64 temperature 0.7 seeds 0, 1, 2",
        "smartcrop 64 tau 0.5 temperature 0.0 seed 0",
        "smartcrop 64 tau 0.9 temperature 0.7 seeds 0, 1, 2",
    )
    assert section.n_label == "n = 8 problems, 8 to 24 samples a row"


def test_another_dtype_is_another_row(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", samples(FIXED[0], 1000), HOT)
    finish_run("tiny_gsm8k_fixed", samples(FIXED[1], 1000), HOT, "hardware.seed=1", "hardware.dtype=bfloat16")
    (section,) = collect([Path("results")])
    assert section.labels == ("fixed 64 seed 0 float32", "fixed 64 seed 1 bfloat16")


def test_the_baseline_is_named_by_the_folder_of_any_seed(seeds) -> None:
    for folder in seeds["cropped"]:
        (section,) = collect([Path("results")], baseline=str(folder))
        assert section.baseline is not None
        assert section.baseline.metrics.policy == "smartcrop"


def test_every_table_has_one_row_and_the_spread(seeds) -> None:
    sections = compared(collect([Path("results")]))
    spread = statistics.stdev([sum(FIXED[seed]) / 8 for seed in FIXED])
    for table, title, factor in (
        (smartcrop_table(sections), "sd", 1),
        (cost_table(sections), "sd", 1),
    ):
        columns = [column.title for column in table.columns]
        assert len(table.rows) == 2
        cell = table.rows[0].cells[columns.index(title)]
        assert cell.value == pytest.approx(factor * spread)
        assert len(table.rows[0].sources) == 3
        assert len(table.rows[1].sources) == 6
        (note,) = [note for note in table.notes if "standard deviation of the score" in note]
        assert "(seeds 0, 1, 2)" in note


def test_the_daedal_and_ablation_tables_have_the_spread(seeds, finish_run) -> None:
    for seed in (0, 1, 2):
        finish_run("tiny_gsm8k_fixed", samples(CROPPED[seed], 500), HOT, f"hardware.seed={seed}", "policy.length=32")
    sections = compared(collect([Path("results")]))
    spreads = [100 * statistics.stdev([sum(by[seed]) / 8 for seed in range(3)]) for by in (CROPPED, FIXED)]
    daedal = daedal_table(sections)
    assert daedal is not None
    (row,) = [row for row in daedal.rows if row.cells[0] == "sd (%)"]
    assert [cell.value for cell in row.cells[1:]] == pytest.approx(spreads)
    ablations = ablation_table(sections)
    assert ablations is not None
    place = [column.title for column in ablations.columns].index("sd (%)")
    assert [row.cells[place].value for row in ablations.rows] == pytest.approx(spreads)


def test_a_table_of_single_runs_has_no_spread(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", samples(FIXED[0], 1000))
    finish_run("tiny_gsm8k_smartcrop", samples(CROPPED[0], 600))
    sections = compared(collect([Path("results")]))
    for table in (smartcrop_table(sections), cost_table(sections)):
        assert "sd" not in [column.title for column in table.columns]
        assert not any("seeds" in note for note in table.notes)


def test_the_commands_tables_show_mean_and_spread(seeds) -> None:
    table = run_table(seeds["cropped"], seeds["fixed"])
    assert table.titles == ("", "fixed 64, seeds 0, 1, 2", "smartcrop 64 tau 0.9, seeds 0, 1, 2")
    rows = {row[0]: row[1:] for row in text_rows(table)}
    assert rows["  sd over seeds"][0] == f"{statistics.stdev([sum(FIXED[seed]) / 8 for seed in FIXED]):.4f}"
    assert rows["samples (scored)"] == ("24 (24)", "24 (24)")
    study = study_table(seeds["cropped"], seeds["fixed"])
    assert [row[0] for row in text_rows(study)] == ["fixed 64", "smartcrop 64 tau 0.9"]
    assert text_rows(study)[0][1] == f"{np.mean(list(FIXED.values())):.4f} (sd {rows['  sd over seeds'][0]})"
    assert any(note.startswith("n = 8 problems, 3 seeds, 24 samples.") for note in study.notes)


def test_the_commands_columns_show_other_temperatures_and_seeds(seeds, finish_run) -> None:
    cold = finish_run("tiny_gsm8k_fixed", samples(FIXED[0], 1000))
    table = run_table(seeds["cropped"], cold)
    assert table.titles[1:] == (
        "fixed 64 temperature 0.0 seed 0",
        "smartcrop 64 tau 0.9 temperature 0.7 seeds 0, 1, 2",
    )


def test_where_nothing_is_drawn_the_table_says_so(finish_run) -> None:
    runs = [finish_run("tiny_gsm8k_fixed", samples(FIXED[0], 9), f"hardware.seed={seed}") for seed in (0, 1)]
    assert any("In 1 of 1 such rows nothing is random (temperature 0)" in note for note in run_table(runs).notes)
    hot = [finish_run("tiny_gsm8k_fixed", samples(FIXED[0], 9), HOT, f"hardware.seed={seed}") for seed in (0, 1)]
    assert not any("nothing is random" in note for note in run_table(hot).notes)


def test_runs_of_other_policies_are_no_repeats(seeds) -> None:
    assert len(as_rows(read_row(paths) for paths in seeds.values())) == 2
    with pytest.raises(AssertionError, match="repeats differ only in their seed"):
        read_row([seeds["fixed"][0], seeds["cropped"][0]])


def test_runs_of_one_seed_are_rows_of_their_own(finish_run) -> None:
    """As after `score --record` under a raised version: neither's samples may stand for the other's."""
    one = finish_run("tiny_gsm8k_fixed", samples(FIXED[0], 9), HOT)
    twin = one.with_name(one.name[:-8] + "00000000")
    shutil.copytree(one, twin)
    metrics = read_metrics(one)
    assert metrics.benchmark_version == GSM8K.version
    changed = metrics.model_copy(update={"benchmark_version": GSM8K.version + 1})
    for recorded in (metrics, changed):
        (twin / "metrics.json").write_text(recorded.model_dump_json())
        rows = as_rows([read_run(one), read_run(twin)])
        assert [row.paths for row in rows] == [(one,), (twin,)]
    assert len(collect([Path("results")])[0].runs) == 2
    other = finish_run("tiny_gsm8k_fixed", samples(FIXED[1], 9), HOT, "hardware.seed=1")
    assert [row.paths for row in as_rows(map(read_run, (one, twin, other)))] == [(one, other), (twin,)]
    (twin / "metrics.json").write_text(metrics.model_dump_json())
    assert len(as_rows(map(read_run, (one, twin, other)))) == 3, "which of the twins the other repeats, nothing says"


def test_a_baselines_repeats_are_found_together(seeds) -> None:
    folder = seeds["fixed"][0].parent
    assert set(find_baseline(folder, PROBLEMS)) == set(seeds["fixed"])
    with pytest.raises(RecordError, match="6 runs cover these samples; name one"):
        find_baseline(Path("results"), PROBLEMS)


def test_a_report_links_every_seed_and_draws_its_figures(seeds) -> None:
    written = write_report([Path("results")], Path("report"), formats=["html", "csv"])
    page = (written.folder / "index.html").read_text()
    assert "SmartCrop, τ = 0.9, seed 2" in page
    assert "6 runs of 6 settings on GSM8K, llada-tiny: " in page
    assert list((written.folder / "figures").glob("frontier*.pdf"))
