"""The command line in this process."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.cli.main import run


@pytest.fixture
def dlmlen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int | str | None, str, str]]:
    """Exit code, output and errors of a command, in a folder that holds three small questions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    rows = [{"question": f"What is {number} plus 2?", "answer": f"#### {number + 2}"} for number in range(3)]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def dlmlen(*arguments: str) -> tuple[int | str | None, str, str]:
        monkeypatch.setattr(sys, "argv", ["dlmlen", *arguments])
        with pytest.raises(SystemExit) as left:
            run()
        return (left.value.code, *capsys.readouterr())

    return dlmlen
