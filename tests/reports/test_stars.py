"""Stars and the notes that say what they are: the same in every table and format."""

import csv
import io
import re
from pathlib import Path

import pytest
from table_helpers import text_rows

from dlm_length.analysis.effects import Testing, compare_all
from dlm_length.analysis.runs import read_run
from dlm_length.analysis.sections import collect, compared
from dlm_length.reports import run_diff, run_table, study_table
from dlm_length.reports.notes import effect_notes, family_notes
from dlm_length.reports.rendering import csv_table, html_page, latex_table, markdown_table
from dlm_length.reports.table import Number, ReportTable, p_text, p_value
from dlm_length.reports.tables.effects import effects_table
from dlm_length.reports.tables.papers import smartcrop_table
from dlm_length.stats import FamilyTest, TestResult

TAUS = (0.5, 0.75, 0.9, 0.95, 0.99)
LOST = {0.5: 3, 0.75: 12, 0.9: 8, 0.95: 0, 0.99: 5}
"""Of 40 right answers, under each tau."""


@pytest.fixture
def runs(finish_run) -> list[Path]:
    """A baseline, and five runs that save FLOPs for sure and lose some answers."""
    right = {f"q{n:02}": {"score": 1.0, "flops": 10} for n in range(40)}
    made = [finish_run("tiny_gsm8k_fixed", right)]
    for tau in TAUS:
        some = {name: {"score": float(n >= LOST[tau]), "flops": 5} for n, name in enumerate(right)}
        made.append(finish_run("tiny_gsm8k_smartcrop", some, f"policy.tau={tau}"))
    return made


def stars_in(table: ReportTable, of: str) -> list[str]:
    place = [column.title for column in table.columns].index(of)
    return [cell.stars for row in table.rows if not row.baseline and isinstance(cell := row.cells[place], Number)]


@pytest.mark.parametrize("testing", [Testing(), Testing(adjust="none"), Testing(stars_by="mcnemar")])
def test_every_table_has_the_same_stars(runs: list[Path], testing: Testing) -> None:
    made = compared(collect([Path("results")]), testing)
    smartcrop = smartcrop_table(made)
    saved, delta = (stars_in(smartcrop, of) for of in ("FLOPs saved (%)", "delta (%)"))
    study = study_table(runs[1:], runs[0], testing=testing)
    assert [re.sub(r"[^*]", "", row[3]) for row in text_rows(study)[1:]] == saved
    assert [re.sub(r"[^*]", "", row[5]) for row in text_rows(study)[1:]] == delta
    tests = effects_table(made)
    assert tests is not None
    rows = {(row.cells[0], row.cells[1], row.cells[5]): row.cells for row in tests.rows}
    test = "exact McNemar" if testing.stars_by == "mcnemar" else "paired bootstrap"
    of = "score" if testing.stars_by == "mcnemar" else "delta (%)"
    for row, mark in zip([row for row in smartcrop.rows if not row.baseline], delta, strict=True):
        cells = rows[row.cells[0], of, test]
        own, adjusted = cells[8:]
        assert isinstance(own, Number)
        assert isinstance(adjusted, Number)
        assert (own.stars, adjusted.stars) == (("", mark) if testing.adjust == "holm" else (mark, ""))
        assert [own.value, adjusted.value] == [cell.value for cell in row.cells[10:12] if isinstance(cell, Number)]


def test_every_format_has_the_same_stars(runs: list[Path]) -> None:
    table = smartcrop_table(compared(collect([Path("results")])))
    saved, delta = (stars_in(table, of) for of in ("FLOPs saved (%)", "delta (%)"))
    expected = sorted(filter(None, saved + delta))
    assert len(expected) == 7, "five savings, and the losses of 8 and 12"
    assert sorted(re.findall(r"\^\{(\*+)\}", latex_table(table).split("midrule", 1)[1])) == expected
    cells = markdown_table(table).split("### ")[1].split("\n\n")[1]
    assert sorted(mark.replace("\\", "") for mark in re.findall(r"\d((?:\\\*)+)", cells)) == expected
    page = html_page("", [table], [], [], [], Path("report"))
    assert sorted(re.findall(r'class="stars">(\*+)<', page)) == expected
    rows = list(csv.DictReader(io.StringIO(csv_table(table))))[1:]
    for kind, stars in (("FLOPs", saved), ("delta", delta)):
        assert [float(row[f"Holm's p of {kind}"]) < 0.05 for row in rows] == [bool(each) for each in stars]


def test_sure_savings_take_nothing_from_scores(runs: list[Path]) -> None:
    """The five tests of scores are adjusted among themselves, and would be the same without any of FLOPs."""
    baseline, *others = map(read_run, runs)
    made = compare_all(others, baseline)
    assert set(made) == {(run.path, name) for run in others for name in ("flops_saved", "performance_delta")}
    deltas = [made[run.path, "performance_delta"] for run in others]
    assert min(each.adjusted_p for each in deltas) == pytest.approx(5 * min(each.result.p for each in deltas))
    assert {each.family for each in made.values()} == {5}
    alone = compare_all(others[1:2], baseline)[others[1].path, "performance_delta"]
    assert alone.adjusted_p == alone.result.p, "and a run by itself has nothing to adjust"


def test_two_runs_are_a_family_of_one_in_run_and_compare(runs: list[Path]) -> None:
    table = run_table(runs[1], runs[0])
    assert text_rows(table) == text_rows(run_diff(runs[0], runs[1]).table)
    assert {row[0]: row[2] for row in text_rows(table)}["FLOPs saved"] == "50.0%***"
    assert not any("Holm" in note for note in table.notes)


def test_the_note_says_which_p_the_stars_are_of(runs: list[Path]) -> None:
    baseline, *others = map(read_run, runs)
    adjusted = " ".join(effect_notes(compare_all(others, baseline).values()))
    family = "a family is the tests of one kind of effect within a group (FLOPs saved: 5; performance delta: 5)."
    assert f"Stars are by Holm's p: {family}" in adjusted
    raw = " ".join(effect_notes(compare_all(others, baseline, testing=Testing(adjust="none")).values()))
    assert f"Stars are by each test's own p, unadjusted, as in the papers. Holm's p: {family}" in raw


def test_too_few_resamples_for_the_family_are_told(runs: list[Path]) -> None:
    baseline, *others = map(read_run, runs)
    few = " ".join(effect_notes(compare_all(others, baseline, testing=Testing(resamples=199)).values()))
    unstarred = (
        "with 199 resamples no p can be below 0.0100, which in a family of 5 is 0.0500 by Holm's adjustment, so that"
        " none could have a star; --resamples 200 or an exact test could give one."
    )
    assert f"FLOPs saved: {unstarred} performance delta: {unstarred}" in few
    enough = " ".join(effect_notes(compare_all(others, baseline, testing=Testing(resamples=200)).values()))
    assert "none could have a star" not in enough
    raw = effect_notes(compare_all(others, baseline, testing=Testing(resamples=199, adjust="none")).values())
    assert "none could have a star" not in " ".join(raw)
    exact = compare_all(others, baseline, testing=Testing(resamples=199, stars_by="mcnemar"))
    few_pairs = (
        "performance delta: 3 of 5 tests could have no star, however large the effect: there are too few pairs, or"
        " too few that differ. The smallest p that they could have is 0.0625 to 1.0000, before Holm's factor of up to"
        " 5."
    )
    assert few_pairs in list(effect_notes(exact.values()))
    assert exact[others[1].path, "performance_delta"].stars == "**", (
        "12 lost: 5 times 2^-11, which no 199 resamples can show"
    )


def test_a_family_beyond_the_default_is_told() -> None:
    """126 tests of 5,000 resamples, as in the first version; with 10,000 the same family can have a star."""
    for resamples, limited in ((5_000, True), (10_000, False)):
        least = 2 / (resamples + 1)
        result = TestResult("paired bootstrap", least, 0.1, 1319, resamples, least)
        notes = list(family_notes({"delta": [FamilyTest(result, 126 * least, 126, "holm")] * 126}))
        assert any("--resamples 5040 or an exact test" in note for note in notes) is limited
        assert len(notes) == 1 + limited


@pytest.mark.parametrize("resamples", [1, 7, 99, 100, 999, 5_000, 7_000, 9_999, 10_000, 19_998, 30_000, 10**6])
def test_no_p_is_printed_below_one_resample(resamples: int) -> None:
    for hits in (1, 2, 3):
        p = hits / (resamples + 1)
        cell = p_value(p, resamples=resamples)
        shown = float(cell.text.lstrip("<"))
        assert shown >= 1 / (resamples + 1)
        assert shown == pytest.approx(p, abs=1.5e-4)
        assert p_text(p, resamples=resamples).replace("< ", "<") == cell.text


def test_a_p_of_ten_thousand_resamples_is_a_number_and_an_exact_one_may_be_less() -> None:
    assert p_value(1 / 10_001, resamples=10_000).text == "0.0001"
    assert p_value(1 / 7_001, resamples=7_000).text == "0.0002", "0.00014: 0.0001 would be less than can be shown"
    assert p_value(2 / 10_001, resamples=10_000).text == "0.0002"
    assert p_value(2e-6, resamples=10**6).text == p_value(2e-6).text == "<0.0001"
    assert p_value(0.00014).text == "0.0001"
