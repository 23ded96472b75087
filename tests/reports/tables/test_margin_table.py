"""Non-inferiority in reports, and the papers' claims restated so."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlm_length.analysis.effects import USUAL
from dlm_length.analysis.margins import read_margin
from dlm_length.analysis.sections import collect, compared
from dlm_length.common import ConfigError
from dlm_length.config import load_reproduction
from dlm_length.reports.table import Number, ReportTable
from dlm_length.reports.tables.effects import margin_table
from dlm_length.reports.tables.published import claim_tables
from dlm_length.stats import margin_test, samples_for_margin
from dlm_length.stats.power import Spread

FinishRun = Callable[..., Path]


def scored(right: int, n: int, *, start: int = 0) -> dict[str, dict[str, Any]]:
    """So many of n samples right, from the one at `start` on."""
    return {f"s{k:03}": {"score": float(start <= k < start + right)} for k in range(n)}


def cell(table: ReportTable, row: int, title: str) -> Any:
    return table.rows[row].cells[[column.title for column in table.columns].index(title)]


@pytest.fixture
def section(finish_run: FinishRun) -> Callable[[], ReportTable]:
    """The baseline has 300 of 400 right; crops lose 2, 40 and none, of 400."""
    finish_run("tiny_gsm8k_fixed", scored(300, 400))
    for tau, scores in (
        (0.5, scored(260, 400)),
        (0.75, scored(298, 400)),
        (0.9, scored(300, 400)),
        (0.95, scored(300, 400, start=12)),
    ):
        finish_run("tiny_gsm8k_smartcrop", scores, f"policy.tau={tau}")

    def made(margin: float = 0.02, **testing: Any) -> ReportTable:
        table = margin_table(compared(collect([Path("results")]), replace(USUAL, **testing)), margin)
        assert table is not None
        return table

    return made


def test_every_run_has_a_verdict_at_the_margin(section: Callable[[], ReportTable]) -> None:
    table = section()
    assert table.name == "non-inferiority"
    assert [row.cells[0] for row in table.rows] == [f"smartcrop 64 tau {tau}" for tau in (0.5, 0.75, 0.9, 0.95)]
    assert [row.cells[-1] for row in table.rows][:3] == [
        "worse by more than 2 points",
        "equivalent within 2 points",
        "equivalent within 2 points",
    ]
    # 12 gained and 12 lost: the share of flips is 0.06.
    needed = samples_for_margin(0.02, Spread(0.0, 0.06))
    assert table.rows[3].cells[-1] == f"not shown within 2 points: takes n = {needed:,}"
    assert cell(table, 3, "n for not worse").value == needed
    assert cell(table, 3, "n for equivalent").value > needed


def test_its_numbers_are_those_of_the_test(section: Callable[[], ReportTable]) -> None:
    table = section()
    theirs, ours = (np.array([score["score"] for score in scored(right, 400).values()]) for right in (300, 298))
    test = margin_test(ours, theirs, 0.02, rng=0)
    assert cell(table, 1, "difference (points)").value == pytest.approx(-0.5)
    assert cell(table, 1, "low").value == pytest.approx(100 * test.low)
    assert cell(table, 1, "high").value == pytest.approx(100 * test.high)
    assert cell(table, 1, "p not worse").value == pytest.approx(test.p_not_worse)
    assert cell(table, 1, "p equivalent").value == pytest.approx(test.p_equivalent)
    assert cell(table, 1, "n").value == 400
    for kind in ("not worse", "equivalent"):
        own = [cell(table, row, f"p {kind}").value for row in range(4)]
        holm = [cell(table, row, f"p {kind} (Holm)").value for row in range(4)]
        assert holm[int(np.argmin(own))] == pytest.approx(4 * min(own)), "the runs of a section are one family"
    assert any("exact unconditional, n = 400" in note for note in table.notes)


def test_the_adjusted_p_decides_unless_asked_otherwise(finish_run: FinishRun) -> None:
    finish_run("tiny_gsm8k_fixed", scored(150, 200))
    for tau in (0.5, 0.75, 0.9):  # 0.98^200 = 0.018 each, three times that together
        finish_run("tiny_gsm8k_smartcrop", scored(150, 200), f"policy.tau={tau}")
    sections = collect([Path("results")])
    careful, bare = (
        margin_table(compared(sections, replace(USUAL, adjust=adjust)), 0.02) for adjust in ("holm", "none")
    )
    assert careful is not None
    assert bare is not None
    assert [row.cells[-1] for row in careful.rows] == ["not shown within 2 points"] * 3
    assert [row.cells[-1] for row in bare.rows] == ["equivalent within 2 points"] * 3
    assert any("each test's own p, unadjusted" in note for note in bare.notes)


def test_equal_scores_say_the_least_n_and_not_what_would_suffice(finish_run: FinishRun) -> None:
    """Of pairs that do not differ nothing is known of how others would: 149 without any loss is the least."""
    finish_run("tiny_gsm8k_fixed", scored(50, 100))
    finish_run("tiny_gsm8k_smartcrop", scored(50, 100))
    table = margin_table(compared(collect([Path("results")])), 0.02)
    assert table is not None
    assert table.rows[0].cells[-1] == "not shown within 2 points: takes at least n = 149"
    assert any("the interval, which is not adjusted, is below the margin" in note for note in table.notes)


def test_seeds_are_tested_by_problem(finish_run: FinishRun) -> None:
    for seed in (0, 1):
        hot = ("policy.temperature=0.5", f"hardware.seed={seed}")
        finish_run("tiny_gsm8k_fixed", scored(30, 60), *hot)
        finish_run("tiny_gsm8k_smartcrop", scored(30, 60, start=2 * seed), *hot)
    table = margin_table(compared(collect([Path("results")])), 0.1)
    assert table is not None
    assert cell(table, 0, "n").value == 60
    assert any("studentised bootstrap, n = 60" in note for note in table.notes)


def test_runs_without_a_score_have_no_verdict(finish_run: FinishRun) -> None:
    finish_run("tiny_gsm8k_fixed", {"a": {"score": None}})
    finish_run("tiny_gsm8k_smartcrop", {"a": {"score": None}})
    table = margin_table(compared(collect([Path("results")])), 0.02)
    assert table is not None
    assert table.rows[0].cells[-1] == "no score"


def test_without_a_baseline_there_is_no_table(finish_run: FinishRun) -> None:
    finish_run("tiny_gsm8k_smartcrop", scored(1, 2))
    assert margin_table(compared(collect([Path("results")])), 0.02) is None


@pytest.mark.parametrize("given", [0.0, -1.0, 100.0, float("nan")])
def test_a_margin_that_no_score_can_have_is_refused(given: float) -> None:
    with pytest.raises(ConfigError, match=r"--margin: found .*; allowed: points of the score, above 0 and below 100"):
        read_margin(given)
    assert read_margin(2) == 0.02


def test_smartcrops_claim_is_restated_against_its_baseline(finish_run: FinishRun) -> None:
    reproduction = load_reproduction("smartcrop", model="embedded", benchmarks=["mini_gsm8k"])
    paths = [finish_run("mini_gsm8k_fixed", scored(300, 400), *named())]
    for tau in (0.5, 0.9):
        right = 298 if tau == 0.9 else 260
        paths.append(finish_run("mini_gsm8k_smartcrop", scored(right, 400), f"policy.tau={tau}", *named()))
    (table,) = claim_tables(reproduction, paths, 0.02)
    assert table.name == "claim-smartcrop-table-1"
    assert table.title == (
        'SmartCrop: "no statistically significant degradation" against the fixed canvas, restated within 2 points'
    )
    assert [(row.cells[0], row.cells[1], row.cells[-1]) for row in table.rows] == [
        ("SC 0.5", "FC", "worse by more than 2 points"),
        ("SC 0.9", "FC", "equivalent within 2 points"),
    ]
    assert set(table.rows[1].sources) == {paths[0], paths[2]}
    published = {e.cell.method: e.cell.value for e in reproduction.expected if e.cell.quantity == "score"}
    first = table.rows[0].cells[2]
    assert isinstance(first, Number)
    assert first.value == pytest.approx(100 * (published["SC 0.5"] - published["FC"]))
    assert any("Not the paper's model on its benchmarks" in note for note in table.notes)
    assert any("Holm's p over the runs of a group" in note for note in table.notes), "whatever stars are by"


def named() -> tuple[str, ...]:
    return ("experiment=reproduce_smartcrop", "model=embedded")


def test_daedals_claim_is_against_the_fixed_canvas_that_scores_best(finish_run: FinishRun) -> None:
    reproduction = load_reproduction("daedal", model="embedded", benchmarks=["mini_gsm8k"])
    runs: dict[str, Path] = {}
    for length, right in ((64, 250), (128, 310)):
        fixed = ("policy.block_length=16", f"policy.length={length}")
        runs[f"fixed {length}"] = finish_run("mini_gsm8k_fixed", scored(right, 400), *fixed, "model=embedded")
    runs["DAEDAL"] = finish_run("mini_gsm8k_daedal", scored(309, 400), "model=embedded")
    (table,) = claim_tables(reproduction, list(runs.values()), 0.02)
    for row in table.rows:  # GSM8K and MATH500 have one small twin
        assert (row.cells[0], row.cells[1]) == ("DAEDAL", "fixed 128")
        assert row.cells[-1] == "equivalent within 2 points"
        assert row.sources == (runs["DAEDAL"], runs["fixed 128"])
    assert any("chosen by the scores that it is tested on" in note for note in table.notes)


def test_a_paper_without_such_a_claim_has_no_table(finish_run: FinishRun) -> None:
    reproduction = load_reproduction("rho_eos", model="embedded", benchmarks=["mini"])
    assert claim_tables(reproduction, [], 0.02) == []
    smartcrop = load_reproduction("smartcrop", model="embedded", benchmarks=["mini_gsm8k"])
    assert claim_tables(smartcrop, [], 0.02) == [], "nothing was run"
