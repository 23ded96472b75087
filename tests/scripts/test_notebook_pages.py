"""The documentation's notebooks run as they stand, and the outputs that they show are those of the program."""

from itertools import groupby
from pathlib import Path
from typing import Any

import notebook_pages
import pytest

NOTEBOOKS = sorted(notebook_pages.NOTEBOOKS.glob("*.ipynb"))


def printed(notebook: Any) -> list[str]:
    """What each cell prints: tables and pictures depend on the versions of pandas and matplotlib.

    One cell's prints come in one piece or in several, as time has it.
    """
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return ["".join(each.text for each in cell.outputs if each.output_type == "stream") for cell in cells]


def kinds(notebook: Any) -> list[list[str]]:
    """The kinds of each cell's outputs, in order, each once in a row."""
    return [
        [kind for kind, _ in groupby(each.output_type for each in cell.get("outputs", []))] for cell in notebook.cells
    ]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_prints_what_is_stored_in_it(path: Path) -> None:
    again = notebook_pages.executed(path)
    stored = notebook_pages.read(path)
    assert any(printed(stored)), "nothing is stored: python scripts/notebook_pages.py"
    assert printed(again) == printed(stored)
    assert kinds(again) == kinds(stored)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_small_and_has_no_warning_of_the_machine_that_ran_it(path: Path) -> None:
    assert path.stat().st_size < 200_000
    cells = notebook_pages.read(path).cells
    assert not [each for cell in cells for each in cell.get("outputs", []) if each.get("name") == "stderr"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_page_of_a_notebook_has_its_text_code_tables_and_pictures(path: Path) -> None:
    page = notebook_pages.as_markdown(path)
    cells = notebook_pages.read(path).cells
    assert all(cell.source in page for cell in cells)
    outputs = [each for cell in cells for each in cell.get("outputs", []) if "data" in each]
    assert page.count("data:image/png;base64,") == sum("image/png" in each.data for each in outputs) > 0
    assert page.count("<table") == sum("text/html" in each.data for each in outputs) > 0
