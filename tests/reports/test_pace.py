"""Whose wall-clock a table shows."""

from collections.abc import Callable
from pathlib import Path

import pytest
from table_helpers import text_rows

from dlm_length.analysis.pace import pace_of
from dlm_length.analysis.runs import read_run
from dlm_length.analysis.sections import collect, compared
from dlm_length.records import RunMetrics, SampleRecord, TimingRecord, write_timing
from dlm_length.reports import run_table
from dlm_length.reports.tables.costs import cost_table

Write = Callable[..., Path]


def timing(seconds: float, e_token: int, n: int = 4, name: str = "a card") -> TimingRecord:
    return TimingRecord(
        sample_ids=[f"s{place}" for place in range(n)],
        seconds=seconds,
        nfe=99,
        n_token=88,
        e_token=e_token,
        environment={"device_name": name},
    )


@pytest.fixture
def together(write_run: Write, make_sample: Callable[..., SampleRecord], metrics: RunMetrics) -> list[Path]:
    """Two policies, made together; the metrics have 61 samples, of which 8 failed, in 12.12 s."""
    kept = metrics.model_copy(update={"runs_together": 2, "samples": 1, "scored": 1, "failed": 0})
    smart = kept.model_copy(update={"policy": "smartcrop", "policy_label": "smartcrop 64 tau 0.9"})
    return [
        write_run("tiny_gsm8k_fixed", [make_sample()], metrics=kept),
        write_run("tiny_gsm8k_smartcrop", [make_sample()], metrics=smart),
    ]


def shown() -> tuple[list[list[str]], tuple[str, ...]]:
    """The last two columns of the cost table, by row, and its notes."""
    table = cost_table(compared(collect([Path("results")])))
    return [[cell.text for cell in row.cells[-2:]] for row in table.rows], table.notes  # type: ignore[union-attr]


def test_runs_made_together_have_no_wall_clock_until_it_is_measured(together: list[Path]) -> None:
    cells, notes = shown()
    assert cells == [["-", "-"], ["-", "-"]]
    (note,) = [note for note in notes if "--time-alone" in note]
    assert note.startswith("2 of 2 rows have no wall-clock: up to 2 runs were made together")
    write_timing(together[0], timing(3.0, 90))
    cells, notes = shown()
    assert cells == [["0.750", "30.0"], ["-", "-"]]
    assert any("1 of 2 rows have no wall-clock" in note for note in notes)
    assert any("measured by themselves, after the run, on 4 of its samples (a card)" in note for note in notes)
    write_timing(together[1], timing(1.0, 40, n=5, name="another"))
    cells, notes = shown()
    assert cells == [["0.750", "30.0"], ["0.200", "40.0"]]
    assert not any("no wall-clock" in note for note in notes)
    assert any("on 4 to 5 of its samples (a card; another)" in note for note in notes)


def test_the_table_of_a_command_shows_it_too(together: list[Path]) -> None:
    write_timing(together[1], timing(1.0, 40, n=5))
    rows = {row[0]: row[1:] for row in text_rows(run_table(together[1], together[0]))}
    assert rows["wall-clock, total"] == ("-", "-")
    assert rows["wall-clock per sample"] == ("-", "0.200 s")
    assert rows["tokens/s"] == ("-", "40.0")


def test_a_run_made_by_itself_has_its_own_clock(write_run: Write, make_sample: Callable[..., SampleRecord]) -> None:
    run = write_run("tiny_gsm8k_fixed", [make_sample(f"task/{n}") for n in range(61)])
    pace = pace_of(read_run(run))
    assert pace is not None
    assert pace.seconds_per_sample == pytest.approx(12.12 / (61 - 8))
    assert (pace.tokens_per_second, pace.timed) == (1313.13, None)
    write_timing(run, timing(2.0, 10))
    measured = pace_of(read_run(run))
    assert measured is not None
    assert (measured.seconds_per_sample, measured.tokens_per_second, measured.timed) == (0.5, 5.0, 4)


def test_times_of_several_devices_say_so_and_are_not_compared_with_one(
    write_run: Write, make_sample: Callable[..., SampleRecord], metrics: RunMetrics
) -> None:
    on_eight = metrics.model_copy(update={"devices": 8, "samples": 1, "failed": 0, "scored": 1})
    smart = on_eight.model_copy(update={"policy": "smartcrop", "policy_label": "smartcrop 64 tau 0.9"})
    runs = [
        write_run("tiny_gsm8k_fixed", [make_sample()], metrics=on_eight),
        write_run("tiny_gsm8k_smartcrop", [make_sample()], metrics=smart),
    ]
    _, notes = shown()
    together = "2 of 2 rows wall-clock and tokens/s are of 8 devices together: the time from the start"
    assert any(together in note for note in notes)
    assert any("of all devices of a start together" in note for note in notes)
    assert not any("Warning" in note for note in notes)
    (runs[0] / "metrics.json").write_text(on_eight.model_copy(update={"devices": 1}).model_dump_json())
    for said in (shown()[1], run_table(runs[1], runs[0]).notes):
        (warning,) = [note for note in said if note.startswith("Warning")]
        assert "wall-clock and tokens/s of runs on 1 and 8 devices are next to each other" in warning
        assert "--time-alone" in warning
    for run in runs:
        write_timing(run, timing(1.0, 40))
    assert not any("devices" in note and "rows" in note for note in shown()[1]), "measured alone, on one"


def test_seeds_are_measured_together_or_not_at_all(finish_run: Callable[..., Path]) -> None:
    two = {"a": {"score": 1.0}, "b": {"score": 0.0}}
    runs = [finish_run("tiny_gsm8k_fixed", two, f"hardware.seed={seed}") for seed in (0, 1)]
    write_timing(runs[0], timing(2.0, 10, n=4))
    (section,) = collect([Path("results")])
    pace = pace_of(section.runs[0])
    assert pace is not None
    assert pace.timed is None, "one of two seeds is not the row"
    write_timing(runs[1], timing(4.0, 20, n=2))
    (section,) = collect([Path("results")])
    pace = pace_of(section.runs[0])
    assert pace is not None
    assert (pace.seconds_per_sample, pace.tokens_per_second, pace.timed) == (1.0, 5.0, 6)
