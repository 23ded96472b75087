"""The tables of a report, cell by cell against numbers worked out by hand."""

import math
from pathlib import Path

import pytest
from table_helpers import text_rows

from dlm_length.analysis.effects import Testing
from dlm_length.analysis.sections import collect, compared
from dlm_length.reports.rendering import csv_table, html_page, latex_table, markdown_table
from dlm_length.reports.table import Number, ReportTable, plain_cell
from dlm_length.reports.tables.costs import ablation_table, cost_table
from dlm_length.reports.tables.effects import effects_table
from dlm_length.reports.tables.papers import daedal_table, smartcrop_table
from dlm_length.stats import StatisticsError

Rows = dict[str, dict[str, str]]

FULL = {
    "a": {"score": 1.0, "flops": 4_000_000_000, "n_token": 64, "e_token": 16, "processed_length": 75},
    "b": {"score": 1.0, "flops": 4_000_000_000, "n_token": 64, "e_token": 32, "processed_length": 75},
    "c": {"score": 0.0, "flops": 2_000_000_000, "n_token": 64, "e_token": 64, "processed_length": 75},
}
CROPPED = {
    "a": {"score": 1.0, "flops": 1_000_000_000, "n_token": 20, "e_token": 16, "processed_length": 31},
    "b": {"score": 0.0, "flops": 1_000_000_000, "n_token": 20, "e_token": 10, "processed_length": 31},
    "c": {"score": 0.0, "flops": 500_000_000, "n_token": 20, "e_token": 4, "processed_length": 31},
}


def cells(table: ReportTable | None) -> list[Rows]:
    """By group, then by the row's first cell and the column's title."""
    assert table is not None
    titles = [column.title for column in table.columns]
    return [
        {str(row.cells[0]): dict(zip(titles, map(plain_cell, row.cells), strict=True)) for row in group.rows}
        for group in table.groups
    ]


def test_the_smartcrop_table(finish_run) -> None:
    fixed, cropped = finish_run("tiny_gsm8k_fixed", FULL), finish_run("tiny_gsm8k_smartcrop", CROPPED)
    table = smartcrop_table(compared(collect([Path("results")])))
    assert [group.heading for group in table.groups] == ["gsm8k, llada-tiny: exact_match, n = 3"]
    (rows,) = cells(table)
    assert rows["fixed 64"] == {
        "policy": "fixed 64",
        "prompt length": "11.0",
        "processed length": "75.0",
        "score": "0.6667",
        "score low": "0.2077",  # Wilson's of 2 of 3
        "score high": "0.9385",
        "FLOPs saved (%)": "-",
        "p of FLOPs": "-",
        "Holm's p of FLOPs": "-",
        "delta (%)": "-",
        "p of delta": "-",
        "Holm's p of delta": "-",
    }
    ours = rows["smartcrop 64 tau 0.9"]
    assert ours["FLOPs saved (%)"] == "75.00"  # n = 3 is too few for a star
    assert (ours["processed length"], ours["score"], ours["delta (%)"]) == ("31.0", "0.3333", "-50.00")
    assert (ours["p of FLOPs"], ours["Holm's p of FLOPs"]) == ("0.2500", "0.2500")  # 2^(1 - n), in a family of one
    assert [row.sources for row in table.rows] == [(fixed,), (cropped, fixed)]
    assert any("performance delta: paired bootstrap, n = 3, 10,000 resamples" in note for note in table.notes)


def test_stars_and_holm_by_kind_of_effect(finish_run) -> None:
    """Three of the same twelve flips and three savings: each kind is a family of three, whatever the other's p."""
    right = {f"q{n:02}": {"score": 1.0, "flops": 10} for n in range(12)}
    wrong = {name: {"score": 0.0, "flops": 5} for name in right}
    finish_run("tiny_gsm8k_fixed", right)
    for tau in (0.5, 0.75, 0.9):
        finish_run("tiny_gsm8k_smartcrop", wrong, f"policy.tau={tau}")
    table = smartcrop_table(compared(collect([Path("results")]), Testing(stars_by="mcnemar")))
    ours = [row for row in table.rows if not row.baseline]
    assert [plain_cell(row.cells[9]) for row in ours] == ["-100.00**"] * 3
    ps = [row.cells[10] for row in ours]
    assert all(isinstance(p, Number) and math.isclose(p.value, 2 * 0.5**12) for p in ps)
    for place in (8, 11):  # savings: the least of twelve samples, which is also 2 * 0.5^12
        holm = [row.cells[place] for row in ours]
        assert all(isinstance(p, Number) and math.isclose(p.value, 3 * 2 * 0.5**12) for p in holm)
    assert any("performance delta: exact McNemar, n = 12." in note for note in table.notes)
    assert any("FLOPs saved: paired bootstrap, n = 12, 10,000 resamples" in note for note in table.notes)


def test_a_p_is_never_shown_as_0(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", {f"q{n:02}": {"score": 1.0} for n in range(20)})
    finish_run("tiny_gsm8k_smartcrop", {f"q{n:02}": {"score": 0.0} for n in range(20)})
    table = smartcrop_table(compared(collect([Path("results")]), Testing(stars_by="mcnemar")))
    cell = table.rows[1].cells[10]
    assert isinstance(cell, Number)
    assert math.isclose(cell.value, 2 * 0.5**20)
    assert cell.text == "<0.0001"
    assert "{$<0.0001$}" in latex_table(table)
    assert ">&lt;0.0001<" in html_page("", [table], [], [], [], Path("report"))
    assert "<0.0001" not in markdown_table(table)
    assert f"{2 * 0.5**20!r}" in csv_table(table)


def test_the_daedal_table_marks_best_and_second(finish_run) -> None:
    for length, score, e_token in ((32, 0.5, 30), (64, 1.0, 32), (128, 1.0, 32)):
        samples = {"a": {"score": 1.0}, "b": {"score": 2 * score - 1}}
        both = {name: {**own, "n_token": length, "e_token": e_token} for name, own in samples.items()}
        finish_run("tiny_gsm8k_fixed", both, f"policy.length={length}")
    finish_run("tiny_gsm8k_daedal", {"a": {"score": 1.0, "n_token": 40, "e_token": 30}, "b": {"score": 0.5}})
    finish_run("tiny_gsm8k_smartcrop", {"a": {"score": 1.0}, "b": {"score": 1.0}})
    table = daedal_table(compared(collect([Path("results")])))
    assert table is not None
    titles = [column.title for column in table.columns]
    assert titles[:4] == ["", "fixed 32", "fixed 64", "fixed 128"]
    assert titles[4].startswith("daedal")
    assert len(titles) == 5
    (rows,) = cells(table)
    assert list(rows) == ["score (%)", "score low (%)", "score high (%)", "e_token", "n_token", "E_ratio (%)"]
    assert list(rows["n_token"].values())[1:] == ["32.0", "64.0", "128.0", "26.5"]  # (40 + 13) / 2
    marks = [[cell.mark for cell in row.cells[1:] if isinstance(cell, Number)] for row in table.rows]
    assert marks[0] == [None, "best", "best", None]  # 50, 100, 100, 75: where two are best there is no second
    assert marks[1:5] == [[None] * 4] * 4
    # 93.8, 50, 25, 69.8: a ratio that costs score is not the best; the baseline scores 100.
    assert marks[5] == [None, "best", "second", None]
    assert len(table.rows[0].sources) == 4


def test_ablations_are_runs_that_differ_in_one_field(finish_run) -> None:
    for factor in (16, 8):
        for window in (16, 32):
            fields = (f"policy.expansion_factor={factor}", f"policy.eos_window={window}")
            finish_run("tiny_gsm8k_daedal", {"a": {"score": factor / 16}}, *fields)
    finish_run("tiny_gsm8k_smartcrop", {"a": {}})
    table = ablation_table(compared(collect([Path("results")])))
    assert table is not None
    of = "gsm8k, llada-tiny: exact_match, n = 1: daedal"
    assert [group.heading for group in table.groups] == [
        f"{of}, eos_window (expansion_factor 8)",
        f"{of}, eos_window (expansion_factor 16)",
        f"{of}, expansion_factor (eos_window 16)",
        f"{of}, expansion_factor (eos_window 32)",
    ]
    assert [[row.cells[0] for row in group.rows] for group in table.groups] == [["16", "32"]] * 2 + [["8", "16"]] * 2
    assert [plain_cell(row.cells[1]) for row in table.groups[2].rows] == ["50.0", "100.0"]
    expected = "e_token: canvas tokens that are neither EOS nor EOT; n_token: final canvas. E_ratio: sum"
    assert any(expected in note for note in table.notes)


def test_the_cost_table_has_every_unit(finish_run, make_sample) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    (rows,) = cells(cost_table(compared(collect([Path("results")]))))
    total = make_sample().ledger.total
    assert rows["fixed 64"] | {"wall-clock s": "", "tokens/s": ""} == {
        "policy": "fixed 64",
        "score": "0.6667",
        "NFE": f"{total.nfe:.1f}",
        "probes": f"{make_sample().ledger.probe.nfe:.2f}",
        "sum L (10³)": f"{total.length_sum / 1e3:.2f}",
        "sum L² (10⁶)": f"{total.length_squared_sum / 1e6:.3f}",
        "GFLOPs": "3.33",
        "GFLOPs executed": "0.00",
        "forward s": f"{3 * total.seconds:.1f}",
        "wall-clock s": "",
        "tokens/s": "",
    }


def test_every_test_is_listed_with_its_interval(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    table = effects_table(compared(collect([Path("results")])))
    assert table is not None
    expected = [(row.cells[1], row.cells[5]) for row in table.rows]
    assert expected == [
        ("FLOPs saved (%)", "paired bootstrap"),
        ("delta (%)", "paired bootstrap"),
        ("score", "exact McNemar"),
    ]
    delta = dict(zip((column.title for column in table.columns), map(plain_cell, table.rows[1].cells), strict=True))
    assert (delta["effect"], delta["n"], delta["resamples"]) == ("-50.00", "3", "10000")
    assert float(delta["low"]) == -100.0  # the baseline fails in all of some resamples: no bound above
    assert float(delta["high"]) == float("inf")
    raw, adjusted = table.rows[1].cells[8], table.rows[1].cells[9]
    assert isinstance(raw, Number)
    assert isinstance(adjusted, Number)
    assert adjusted.value >= raw.value
    notes = " ".join(table.notes)
    assert "* p < 0.05, ** p < 0.01, *** p < 0.001, two-sided, by the test of the row" in notes
    none = (
        "1 of 1 tests could have no star, however large the effect: there are too few pairs, or too few that differ."
        " The smallest p that they could have"
    )
    assert f"FLOPs saved: {none} is 0.2500." in notes
    assert f"delta: {none} is 1.0000." in notes, "one flipped"
    assert f"score by exact McNemar: {none} is 1.0000." in notes
    assert "A bound of inf: the baseline's mean is 0" in notes
    smartcrop = " ".join(smartcrop_table(compared(collect([Path("results")]))).notes)
    assert f"performance delta: {none} is 1.0000." in smartcrop
    assert "A bound of inf" in smartcrop


def test_csv_has_every_number_once(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    made = compared(collect([Path("results")]))
    smartcrop, tests = smartcrop_table(made), effects_table(made)
    assert tests is not None
    assert csv_table(smartcrop).splitlines()[0].split(",")[4:] == [
        *('"score"', '"score low"', '"score high"'),
        *(
            '"FLOPs saved (%)"',
            '"FLOPs saved (%) low"',
            '"FLOPs saved (%) high"',
            '"p of FLOPs"',
            '"Holm\'s p of FLOPs"',
        ),
        *('"delta (%)"', '"delta (%) low"', '"delta (%) high"', '"p of delta"', '"Holm\'s p of delta"', '"runs"'),
    ]
    assert csv_table(tests).splitlines()[0].split(",")[3:7] == ['"effect"', '"low"', '"high"', '"test"']


def test_the_bootstrap_stands_beside_the_test_of_the_stars(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    table = effects_table(compared(collect([Path("results")]), Testing(stars_by="mcnemar")))
    assert table is not None
    assert [row.cells[5] for row in table.rows] == ["paired bootstrap", "paired bootstrap", "exact McNemar"]


def test_the_stars_of_an_effect_are_those_of_the_test_beside_it(finish_run) -> None:
    """Seven of nine lost and one won: p is below 0.05 by the bootstrap, and not by McNemar's test."""
    finish_run("tiny_gsm8k_fixed", {f"q{n:02}": {"score": float(n > 0)} for n in range(9)})
    finish_run("tiny_gsm8k_smartcrop", {f"q{n:02}": {"score": float(n == 0 or n > 7)} for n in range(9)})
    table = effects_table(compared(collect([Path("results")]), Testing(stars_by="mcnemar")))
    assert table is not None
    effect, p, adjusted = table.rows[1].cells[2], *table.rows[1].cells[8:]
    assert isinstance(effect, Number)
    assert isinstance(p, Number)
    assert isinstance(adjusted, Number)
    assert (effect.p, effect.stars, p.stars) == (adjusted.value, adjusted.stars, "")
    mcnemar = table.rows[2].cells[9]
    assert isinstance(mcnemar, Number)
    assert mcnemar.stars != adjusted.stars, "else the case shows nothing"


def test_nothing_is_starred_beside_no_number(finish_run) -> None:
    """From none right to all: the change relative to 0 is undefined, though it is no chance."""
    finish_run("tiny_gsm8k_fixed", {f"q{n:02}": {"score": 0.0} for n in range(20)})
    finish_run("tiny_gsm8k_smartcrop", {f"q{n:02}": {"score": 1.0} for n in range(20)})
    table = smartcrop_table(compared(collect([Path("results")])))
    assert plain_cell(table.rows[1].cells[9]) == "-"
    p = table.rows[1].cells[10]
    assert isinstance(p, Number)
    assert p.value < 0.001


def test_several_answers_count_once_a_problem(finish_run) -> None:
    answers = {"p/0#0": 1.0, "p/0#1": None, "p/1#0": 0.0, "p/1#1": 0.0}
    for config in ("tiny_humaneval_fixed", "tiny_humaneval_smartcrop"):
        samples = {name: {"score": score, "details": {"reason": "x"}} for name, score in answers.items()}
        finish_run(config, samples, "benchmark.samples_per_problem=2", "policy.temperature=0.5")
    table = smartcrop_table(compared(collect([Path("results")])))
    assert table.groups[0].heading.endswith("n = 2 problems, 4 samples")
    assert [plain_cell(row.cells[3]) for row in table.rows] == ["0.5000", "0.5000"]


def test_controls_that_are_not_charged_are_told(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_random_length", CROPPED)
    made = compared(collect([Path("results")]))
    expected = "random_length: control; the forwards that determined its lengths are not charged to any sample."
    assert expected in smartcrop_table(made).notes
    assert expected in cost_table(made).notes
    assert daedal_table(made) is None


@pytest.mark.parametrize(
    "samples",
    [
        {"a": {"score": 1.0}},
        {"a": {"score": 0.0}, "b": {"score": 0.0}},
        {"a": {"score": 0.5}, "b": {"score": 0.5}},
        {"a": {"score": None, "details": {"reason": "no"}}, "b": {"score": None, "details": {"reason": "no"}}},
        {"a": {"score": None, "details": {}, "error": "too long"}, "b": {"score": 1.0}},
    ],
    ids=["one sample", "all wrong", "no variance", "nothing scored", "one failed"],
)
def test_degenerate_runs_make_tables(finish_run, samples) -> None:
    finish_run("tiny_gsm8k_fixed", samples)
    finish_run("tiny_gsm8k_smartcrop", samples)
    made = compared(collect([Path("results")]))
    for table in (
        smartcrop_table(made),
        daedal_table(made),
        cost_table(made),
        ablation_table(made),
        effects_table(made),
    ):
        if table is not None:
            assert not any(cell.stars for row in table.rows for cell in row.cells if isinstance(cell, Number))
            assert "nan" not in str(text_rows(table))


def test_without_a_baseline_there_are_no_effects(finish_run) -> None:
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    made = compared(collect([Path("results")]))
    assert effects_table(made) is None
    table = smartcrop_table(made)
    (rows,) = cells(table)
    assert rows["smartcrop 64 tau 0.9"]["FLOPs saved (%)"] == "-"
    expected = " ".join(table.notes)
    assert "No baseline to compare another run with" in expected
    assert not any(word in expected for word in ("first row", "Holm"))


def test_the_sections_without_a_baseline_are_named(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    finish_run("tiny_humaneval_smartcrop", CROPPED)
    made = compared(collect([Path("results")]))
    for table in (smartcrop_table(made), effects_table(made)):
        assert table is not None
        assert any(note.startswith("No baseline in humaneval, llada-tiny to compare") for note in table.notes)


def test_a_test_that_does_not_apply_is_refused(finish_run) -> None:
    graded = {"a": {"score": 0.5}, "b": {"score": 0.25}}
    finish_run("tiny_gsm8k_fixed", graded)
    finish_run("tiny_gsm8k_smartcrop", graded)
    with pytest.raises(StatisticsError, match=r"^gsm8k, llada-tiny, stars by mcnemar: McNemar's test needs scores"):
        compared(collect([Path("results")]), Testing(stars_by="mcnemar"))


def test_failures_are_told(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", {"a": {"score": None, "details": {}, "error": "too long"}, "b": {"score": 1.0}})
    notes = smartcrop_table(compared(collect([Path("results")]))).notes
    assert "1 sample could not be run; their runs' samples.jsonl says why." in notes


def test_the_cost_table_has_joules_only_where_every_sample_has_them(finish_run) -> None:
    def columns() -> list[str]:
        return [column.title for column in cost_table(compared(collect([Path("results")]))).columns]

    finish_run("tiny_gsm8k_fixed", FULL)
    assert "J" not in columns()
    cropped = {name: {**fields, "joules": 12.5} for name, fields in CROPPED.items()}
    finish_run("tiny_gsm8k_smartcrop", cropped)
    assert "J" in columns()
