"""`dlmlen doctor`."""

import sys

import pytest

from dlm_length.cli.main import run
from dlm_length.common import UserError
from dlm_length.runner import doctor


def test_the_machine_is_told_and_what_is_broken_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    def refused(_: str) -> None:
        raise UserError("no namespaces here")

    monkeypatch.setattr(doctor, "sandbox", refused)
    monkeypatch.setattr(sys, "argv", ["dlmlen", "doctor"])
    with pytest.raises(SystemExit) as left:
        run()
    shown = capsys.readouterr().out
    assert left.value.code == 1
    states = {cells[1].strip(): cells[2].strip() for line in shown.splitlines() if len(cells := line.split("│")) > 3}
    assert states["cpu"] == states["versions"] == states["records"] == "ok"
    assert states["bubblewrap"] == "broken"
    assert "no namespaces here" in shown
    assert "TFLOP/s float32" in shown
