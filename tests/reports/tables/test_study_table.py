"""The table of a study, from records by hand."""

from table_helpers import text_rows

from dlm_length.reports import study_table

TWO = {"a": {"score": 1.0}, "b": {"score": 0.0}}


def test_runs_of_a_grid_are_told_apart_by_what_was_varied(finish_run) -> None:
    baseline = finish_run("tiny_gsm8k_fixed", TWO)
    grid = [
        finish_run("tiny_gsm8k_daedal", TWO, f"policy.expansion_factor={factor}", f"policy.eos_window={window}")
        for factor in (8, 16)
        for window in (16, 32)
    ]
    rows = text_rows(study_table(grid, baseline))
    assert rows[0][0] == "fixed 64"
    daedal = rows[1][0].partition(" eos_window")[0]
    assert [row[0] for row in rows[1:]] == [
        f"{daedal} eos_window {window} expansion_factor {factor}" for factor in (8, 16) for window in (16, 32)
    ]


def test_the_baseline_is_told_where_there_is_one(finish_run) -> None:
    baseline, run = finish_run("tiny_gsm8k_fixed", TWO), finish_run("tiny_gsm8k_smartcrop", TWO)
    notes = " ".join(study_table([run], baseline).notes)
    assert "against the first row, the baseline" in notes
    assert "FLOPs saved: paired bootstrap, n = 2, 10,000 resamples" in notes
    alone = study_table([baseline, run], None)
    assert "No baseline, and so neither FLOPs saved nor delta." in alone.notes
    assert not any("first row" in note for note in alone.notes)


def test_every_score_has_its_interval(finish_run) -> None:
    baseline, run = finish_run("tiny_gsm8k_fixed", TWO), finish_run("tiny_gsm8k_smartcrop", TWO)
    table = study_table([run], baseline)
    assert table.titles[1:3] == ("score", "95% CI")
    assert [row[1:3] for row in text_rows(table)] == [("0.5000", "[0.0945, 0.9055]")] * 2
    assert "Scores have 95% intervals: Wilson." in table.notes
