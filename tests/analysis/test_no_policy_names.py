"""Analysis and reports go by what policies declare, never by their names."""

import ast
from pathlib import Path

import pytest

from dlm_length.policies import policies

PACKAGE = Path(__file__).parents[2] / "dlm_length"
PAPERS = {"smartcrop", "daedal", "rho_eos"}
"""Papers, and the tables named after them, are called as their policies are."""
FILES = sorted(path for room in ("analysis", "stats") for path in (PACKAGE / room).rglob("*.py"))


def texts(tree: ast.AST) -> set[str]:
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_policy_is_named(path: Path) -> None:
    assert not texts(ast.parse(path.read_text(encoding="utf-8"))) & policies().keys()


def test_reports_name_papers_alone() -> None:
    found = {
        name: path.name
        for path in sorted((PACKAGE / "reports").rglob("*.py"))
        for name in texts(ast.parse(path.read_text(encoding="utf-8"))) & policies().keys()
    }
    assert found.keys() <= PAPERS, found
