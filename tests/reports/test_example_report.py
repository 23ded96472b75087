"""The tables of the checked-in example are what its checked-in records give, cell by cell."""

import csv
import math
from itertools import zip_longest
from pathlib import Path

import pytest

from dlm_length.reports.report import write_report

EXAMPLE = Path(__file__).parents[2] / "results/example"


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tables of a report made now."""
    out = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(EXAMPLE.parents[1])  # rows name the folders of their runs as they were given
        write_report([Path("results/example/study_mini")], out, formats=["csv"], figures=False)
    return out / "tables"


def _cells(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def _same(old: str | None, new: str | None) -> bool:
    """Whether two cells are equal; numbers may differ in their last bits, which are SciPy's and the processor's."""
    try:
        return math.isclose(float(old or ""), float(new or ""), rel_tol=1e-12)
    except ValueError:
        return old == new


def test_the_example_has_tables() -> None:
    assert len(list((EXAMPLE / "report/tables").glob("*.csv"))) >= 5


@pytest.mark.parametrize("name", sorted(path.name for path in (EXAMPLE / "report/tables").glob("*.csv")))
def test_every_cell_is_the_one_checked_in(tables: Path, name: str) -> None:
    now, then = _cells(tables / name), _cells(EXAMPLE / "report/tables" / name)
    changed = [
        (row, column, old, new)
        for row, (olds, news) in enumerate(zip_longest(then, now, fillvalue=[]))
        for column, (old, new) in enumerate(zip_longest(olds, news))
        if not _same(old, new)
    ]
    assert not changed
