"""`dlmlen doctor`."""

import sys
from collections.abc import Callable

import pytest

from dlm_length.cli.main import run
from dlm_length.common import UserError
from dlm_length.runner import doctor


def refused(_: str) -> None:
    raise UserError("no namespaces here")


@pytest.mark.parametrize(
    ("sandbox", "state", "code"), [(lambda _: None, "ok", 0), (refused, "broken", 1)], ids=["works", "refused"]
)
def test_the_machine_is_told_and_only_what_is_broken_fails(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sandbox: Callable[[str], None],
    state: str,
    code: int,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(doctor, "sandbox", sandbox)
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)  # missing, but nothing is broken by it
    monkeypatch.setattr(sys, "argv", ["dlmlen", "doctor"])
    with pytest.raises(SystemExit) as left:
        run()
    shown = capsys.readouterr().out
    assert left.value.code == code
    states = {cells[1].strip(): cells[2].strip() for line in shown.splitlines() if len(cells := line.split("│")) > 3}
    assert states["cpu"] == states["versions"] == states["records"] == states["embedded model"] == "ok"
    assert (states["bubblewrap"], states["pdflatex"]) == (state, "missing")
    assert ("no namespaces here" in shown) == (state == "broken")
    assert "TFLOP/s float32" in shown
