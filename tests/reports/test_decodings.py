"""Decoding as an axis of its own: the saving beyond an early stop, the grid, and the warning of a collapse."""

from pathlib import Path

import pytest
from table_helpers import text_rows

from dlm_length.analysis.decodings import decoding_text
from dlm_length.analysis.sections import collect, compared
from dlm_length.reports import study_table
from dlm_length.reports.table import ReportTable, plain_cell
from dlm_length.reports.tables.costs import cost_table, decoding_table
from dlm_length.reports.tables.papers import smartcrop_table

FULL = {
    "a": {"score": 1.0, "flops": 4_000_000_000},
    "b": {"score": 1.0, "flops": 4_000_000_000},
    "c": {"score": 0.0, "flops": 2_000_000_000},
}
STOPPED = {
    "a": {"score": 1.0, "flops": 3_000_000_000},
    "b": {"score": 1.0, "flops": 2_000_000_000},
    "c": {"score": 0.0, "flops": 1_000_000_000},
}
CROPPED = {
    "a": {"score": 1.0, "flops": 1_000_000_000},
    "b": {"score": 0.0, "flops": 1_000_000_000},
    "c": {"score": 0.0, "flops": 500_000_000},
}
BLOCKS = "policy.block_length=8"
EARLY = "FLOPs saved vs early stop (%)"
SMARTCROP = "smartcrop 64 tau 0.9"


def rows(table: ReportTable) -> dict[str, dict[str, str]]:
    titles = [column.title for column in table.columns]
    return {str(row.cells[0]): dict(zip(titles, map(plain_cell, row.cells), strict=True)) for row in table.rows}


@pytest.mark.parametrize("rule", ["block_any", "cut", "eos_prefix", "crop_fill"])
def test_savings_stand_against_the_early_stop_too(finish_run, rule: str) -> None:
    fixed = finish_run("tiny_gsm8k_fixed", FULL)
    early = finish_run("tiny_gsm8k_fixed", STOPPED, f"policy.stop={rule}", BLOCKS)
    crop = finish_run("tiny_gsm8k_smartcrop", CROPPED)
    sections = compared(collect([Path("results")]))
    for table in (smartcrop_table(sections), cost_table(sections)):
        found = rows(table)
        assert {label.partition(" stop")[0] for label in found} == {"fixed 64", SMARTCROP}
        assert [row[EARLY] for row in found.values()] == ["-", "-", "58.33"]  # 1 - 2.5 / 6
        assert table.rows[2].sources == (crop, fixed, early)
        assert any(f"against fixed 64 stop {rule}, the same canvas" in note for note in table.notes)
    assert rows(smartcrop_table(sections))[f"fixed 64 stop {rule}"]["FLOPs saved (%)"] == "40.00"
    study = study_table([early, crop], [fixed])
    assert study.titles[3:7] == ("FLOPs saved", "p (Holm)", "FLOPs saved vs early stop", "p (Holm)")
    assert [row[5] for row in text_rows(study)] == ["-", "-", "58.3%"]
    assert any(f"against fixed 64 stop {rule}, the same canvas" in note for note in study.notes)


@pytest.mark.parametrize(
    "other",
    [
        ("policy.stop=block_any", BLOCKS, "policy.threshold=0.9"),
        ("policy.stop=block_any", BLOCKS, "policy.length=32"),
        ("policy.stop=block_any", BLOCKS, "policy.cache=dual"),
        ("policy.stop=block_last", BLOCKS),
    ],
    ids=" ".join,
)
def test_a_canvas_that_differs_in_more_than_its_stop_is_no_early_stop(finish_run, other: tuple[str, ...]) -> None:
    fixed, crop = finish_run("tiny_gsm8k_fixed", FULL), finish_run("tiny_gsm8k_smartcrop", CROPPED)
    stopped = finish_run("tiny_gsm8k_fixed", STOPPED, *other)
    sections = compared(collect([Path("results")]))
    for table in (smartcrop_table(sections), cost_table(sections)):
        assert EARLY not in [column.title for column in table.columns]
    assert "FLOPs saved vs early stop" not in study_table([stopped, crop], [fixed]).titles


def test_stop_at_eos_is_the_fixed_canvas_with_an_early_stop(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    finish_run("tiny_gsm8k_fixed", STOPPED, "policy=stop_at_eos", "policy.length=64")
    found = rows(smartcrop_table(compared(collect([Path("results")]))))
    assert found[SMARTCROP][EARLY] == "58.33"


def test_the_baseline_is_the_plain_canvas_whatever_the_methods_do(finish_run) -> None:
    for config, samples in (("tiny_gsm8k_fixed", FULL), ("tiny_gsm8k_smartcrop", CROPPED)):
        for decoding in ((), ("policy.stop=block_any",), ("policy.cache=dual",)):
            finish_run(config, samples, BLOCKS, *decoding)
    finish_run("tiny_gsm8k_smartcrop", CROPPED, BLOCKS, "policy.stop=cut")
    (section,) = collect([Path("results")])
    assert section.labels[0] == "fixed 64"


def test_the_grid(finish_run) -> None:
    words = {"a": [5, 6, 7, 8], "b": [5, 6, 7, 8], "c": [9, 9]}
    other = {"a": [5, 6, 7, 1], "b": [5, 6, 7, 8], "c": [9, 9, 9]}

    def of(samples: dict, tokens: dict) -> dict:
        return {name: {**fields, "canvas_ids": tokens[name]} for name, fields in samples.items()}

    plain = finish_run("tiny_gsm8k_fixed", of(FULL, words), BLOCKS)
    cached = finish_run("tiny_gsm8k_fixed", of(STOPPED, other), BLOCKS, "policy.cache=dual")
    both = finish_run("tiny_gsm8k_fixed", of(STOPPED, other), BLOCKS, "policy.cache=dual", "policy.threshold=0.9")
    finish_run("tiny_gsm8k_smartcrop", CROPPED, BLOCKS)
    table = decoding_table(compared(collect([Path("results")])))
    assert table is not None
    shown = [tuple(map(plain_cell, row.cells)) for row in table.rows]
    assert [row[:2] for row in shown] == [
        ("fixed 64", "plain"),
        ("fixed 64", "cache dual"),
        ("fixed 64", "threshold 0.9 cache dual"),
        (SMARTCROP, "plain"),
    ]
    assert [row[4] for row in shown] == ["3.33", "2.00", "2.00", "0.83"]
    assert [row[3] for row in shown] == ["-", "0.00", "0.00", "-"]
    assert [row[7] for row in shown] == ["-", "81.82", "-", "-"]  # 9 of 4 + 4 + 3; no uncached run with a threshold
    assert [row.sources for row in table.rows[:3]] == [(plain,), (cached, plain), (both, plain)]


def test_plain_decoding_comes_first_among_the_runs_of_a_policy(finish_run) -> None:
    for overrides in (("policy.cache=dual",), ("policy.tau=0.95",), ("policy.threshold=0.9",), ()):
        finish_run("tiny_gsm8k_smartcrop", CROPPED, BLOCKS, *overrides)
    (section,) = collect([Path("results")])
    decodings = [(run.config["policy"]["tau"], decoding_text(run)) for run in section.runs]
    assert decodings[:2] == [(0.9, "plain"), (0.95, "plain")]
    assert {text for _, text in decodings[2:]} == {"cache dual", "threshold 0.9"}


def test_one_decoding_is_no_grid(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_smartcrop", CROPPED)
    assert decoding_table(compared(collect([Path("results")]))) is None


@pytest.mark.parametrize(("lost", "collapsed"), [(12, True), (4, False), (0, False)])
def test_an_arm_that_collapses_is_named(finish_run, lost: int, collapsed: bool) -> None:
    """Of 20 right answers: 12 lost are more than 20 points, 4 are 20 points and no more."""
    names = [f"q{n:02}" for n in range(20)]
    fixed = finish_run("tiny_gsm8k_fixed", {name: {"score": 1.0} for name in names})
    worse = {name: {"score": float(place >= lost)} for place, name in enumerate(names)}
    fast = finish_run("tiny_gsm8k_fixed", worse, "policy.threshold=0.3")
    table = decoding_table(compared(collect([Path("results")])))
    assert table is not None
    for notes in (table.notes, study_table([fast], [fixed]).notes):
        assert any(note.startswith("Collapse: fixed 64 threshold 0.3 scores 40.0") for note in notes) is collapsed
        assert any(note.startswith("Collapse") for note in notes) is collapsed


def test_a_fall_that_no_test_finds_is_no_collapse(finish_run) -> None:
    finish_run("tiny_gsm8k_fixed", FULL)
    finish_run("tiny_gsm8k_fixed", CROPPED, "policy.threshold=0.3")
    table = decoding_table(compared(collect([Path("results")])))
    assert table is not None
    assert not any(note.startswith("Collapse") for note in table.notes)
