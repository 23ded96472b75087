"""The command line in this process."""

import sys
from collections.abc import Callable
from typing import NamedTuple

import pytest

from dlm_length.cli.main import run


class Done(NamedTuple):
    """A command that has ended."""

    code: int | str | None
    stdout: str
    stderr: str


CommandLine = Callable[..., Done]


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Runs `dlmlen` with the given arguments."""

    def command_line(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["dlmlen", *arguments])
        with pytest.raises(SystemExit) as left:
            run()
        return Done(left.value.code, *capsys.readouterr())

    return command_line
