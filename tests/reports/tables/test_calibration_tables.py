"""Saving at certified loss in reports."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlm_length.analysis.sections import collect, compared
from dlm_length.reports.table import ReportTable
from dlm_length.reports.tables.calibration import certified_table
from dlm_length.stats import certify

FinishRun = Callable[..., Path]
N = 400


def answers(lost: int, flops: int) -> dict[str, dict[str, Any]]:
    """All right but the first `lost`, at a cost of `flops` each."""
    return {f"s{k:03}": {"score": float(k >= lost), "flops": flops} for k in range(N)}


def cell(table: ReportTable, row: int, title: str) -> Any:
    return table.rows[row].cells[[column.title for column in table.columns].index(title)]


def made() -> ReportTable | None:
    return certified_table(compared(collect([Path("results")])))


def test_methods_are_compared_at_equal_risk(finish_run: FinishRun) -> None:
    """SmartCrop's boldest tau loses too much, its second does not; DAEDAL as it was run loses too much."""
    finish_run("tiny_gsm8k_fixed", answers(0, 1000))
    lost = {0.95: 0, 0.9: 1, 0.5: 40}
    for tau, flops in ((0.95, 900), (0.9, 600), (0.5, 200)):
        finish_run("tiny_gsm8k_smartcrop", answers(lost[tau], flops), f"policy.tau={tau}")
    finish_run("tiny_gsm8k_daedal", answers(30, 100))
    table = made()
    assert table is not None
    assert table.name == "certified"
    assert [(row.cells[0], row.cells[1]) for row in table.rows] == [
        ("smartcrop, tau", "tau 0.9"),
        (table.rows[1].cells[0], "none"),
    ]
    assert "daedal" in table.rows[1].cells[0]
    assert cell(table, 0, "FLOPs saved (%)").value == pytest.approx(40)
    assert cell(table, 0, "loss (%)").value == pytest.approx(0.25)
    expected = certify({"only": [1.0] + [0.0] * (N - 1)}, {"only": 0.4}, risk=0.02, confidence=0.95)
    assert cell(table, 0, "p").value == pytest.approx(expected.sequence[0].p)
    assert (cell(table, 0, "values tried").value, cell(table, 1, "values tried").value) == (3, 1)
    assert cell(table, 1, "FLOPs saved (%)").text == "-"
    assert len(table.rows[0].sources) == 2
    assert any("No sample was held out" in note for note in table.notes)


def test_a_sweep_whose_safest_value_fails_certifies_nothing(finish_run: FinishRun) -> None:
    finish_run("tiny_gsm8k_fixed", answers(0, 1000))
    for tau, lost, flops in ((0.9, 40, 600), (0.5, 0, 200)):
        finish_run("tiny_gsm8k_smartcrop", answers(lost, flops), f"policy.tau={tau}")
    table = made()
    assert table is not None
    assert cell(table, 0, "chosen") == "none (tau 0.9 is not)"
    assert cell(table, 0, "loss (%)").value == pytest.approx(10)


def test_there_is_none_without_a_sweep_or_a_fixed_canvas(finish_run: FinishRun) -> None:
    for tau in (0.9, 0.5):
        finish_run("tiny_gsm8k_smartcrop", answers(0, 100), f"policy.tau={tau}", "experiment=alone")
    finish_run("tiny_gsm8k_fixed", answers(0, 1000), "experiment=other")
    finish_run("tiny_gsm8k_daedal", answers(0, 100), "experiment=other")
    for folder in ("results/alone", "results/other"):
        assert certified_table(compared(collect([Path(folder)]))) is None


def test_a_sample_that_fails_is_lost_and_saves_nothing(finish_run: FinishRun) -> None:
    """Left out, a policy that fails on 5% of the samples would pass as one without any loss."""
    finish_run("tiny_gsm8k_fixed", answers(0, 1000))
    for tau, failed in ((0.9, 0), (0.5, 20)):
        samples = answers(0, 600 if tau == 0.9 else 200)
        samples |= {name: {"score": None, "flops": 0, "error": "out of memory"} for name in list(samples)[:failed]}
        finish_run("tiny_gsm8k_smartcrop", samples, f"policy.tau={tau}")
    table = made()
    assert table is not None
    assert table.rows[0].cells[1] == "tau 0.9"
    assert not any("left out" in note for note in table.notes)
