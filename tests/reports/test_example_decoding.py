"""The checked-in grid of decodings is what its checked-in records give, and the records are those of the study."""

import csv
import math
from pathlib import Path

import pytest

from dlm_length.analysis.sections import collect, compared
from dlm_length.config import find_study
from dlm_length.records import read_metrics
from dlm_length.reports.report import write_report

ROOT = Path(__file__).parents[2]
OTHER = ROOT / "results/example/study_mini"
EXAMPLE = ROOT / "results/example_decoding"
RUNS = Path("results/example_decoding/study_decoding")


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def same(old: str, new: str) -> bool:
    """Whether two cells are equal; numbers may differ in their last bits, which are SciPy's and the processor's."""
    try:
        return math.isclose(float(old), float(new), rel_tol=1e-12)
    except ValueError:
        return old == new


def test_the_records_are_the_study_but_for_the_run_that_the_other_example_has() -> None:
    found = find_study("study_decoding")
    assert found is not None
    study = {config.run_name for block in found.load().blocks for config in block.all}
    here = {path.parent.name for path in (ROOT / RUNS).glob("*/metrics.json")}
    assert here < study
    (missing,) = study - here
    assert (OTHER / missing / "metrics.json").is_file()
    metrics = [read_metrics(path) for path in [*((ROOT / RUNS / name) for name in sorted(here)), OTHER / missing]]
    assert all(each.failed == 0 for each in metrics)
    assert {each.sample_ids for each in metrics} == {metrics[0].sample_ids}


def test_the_grid_is_what_the_records_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # rows name the folders of their runs as they were given
    write_report([RUNS], tmp_path, formats=["csv"], figures=False)
    then, now = (cells(folder / "tables/decoding.csv") for folder in (EXAMPLE / "report", tmp_path))
    assert len(then) == len(now) > 10
    for old, new in zip(then, now, strict=True):
        assert len(old) == len(new)
        assert all(map(same, old, new)), (old, new)


def test_savings_are_stated_against_the_early_stop_too() -> None:
    (section,) = compared(collect([ROOT / RUNS]))
    assert section.early_stop is not None
    assert section.beyond_early_stop


def test_both_examples_can_be_read_together() -> None:
    sections = collect([ROOT / "results/example", EXAMPLE])
    names = [run.path.name for section in sections for run in section.runs]
    assert len(names) == len(set(names)) == 36 + 10
