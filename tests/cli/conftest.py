import json
from pathlib import Path

import pytest
from command_fixtures import CommandLine, command_line  # noqa: F401


@pytest.fixture
def dlmlen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> CommandLine:  # noqa: F811
    """`command_line` in a folder that holds three small questions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    rows = [{"question": f"What is {number} plus 2?", "answer": f"#### {number + 2}"} for number in range(3)]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return command_line
