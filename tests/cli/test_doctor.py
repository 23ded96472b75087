"""`dlmlen doctor`."""

import json
import re
from collections.abc import Callable

import pytest
from command_fixtures import CommandLine
from golden.families import FOLDER

from dlm_length import doctor
from dlm_length.common import UserError


def refused(_: str) -> None:
    raise UserError("no namespaces here")


@pytest.mark.parametrize(
    ("sandbox", "state", "code"), [(lambda _: None, "ok", 0), (refused, "broken", 1)], ids=["works", "refused"]
)
def test_the_machine_is_told_and_only_what_is_broken_fails(
    monkeypatch: pytest.MonkeyPatch,
    command_line: CommandLine,
    sandbox: Callable[[str], None],
    state: str,
    code: int,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(doctor, "sandbox", sandbox)
    monkeypatch.setattr(doctor.shutil, "which", lambda _: None)  # missing, but nothing is broken by it
    done = command_line("doctor")
    shown = done.stdout
    assert done.code == code
    states = {cells[0]: cells[1] for line in shown.splitlines() if len(cells := re.split(" {2,}", line)) == 3}
    assert states["cpu"] == states["versions"] == states["records"] == states["embedded model"] == "ok"
    assert (states["bubblewrap"], states["pdflatex"]) == (state, "missing")
    assert ("no namespaces here" in shown) == (state == "broken")
    assert "TFLOP/s float32" in shown


def test_a_checkpoint_is_shown_and_given_to_programs(dlmlen: Callable[..., tuple[int | str | None, str, str]]) -> None:
    folder = str(FOLDER / "dream" / "checkpoint")
    code, shown, _ = dlmlen("doctor", "--model", folder)
    assert code == 0
    assert "Dream: bidirectional, logits shifted by one" in shown
    code, printed, _ = dlmlen("doctor", "--model", folder, "--json")
    findings = {finding["what"]: finding for finding in json.loads(printed)}
    assert findings["mask"]["value"]["id"] == 623
    assert {finding["state"] for finding in findings.values()} == {"ok", "unusual"}


def test_a_model_is_found_by_the_name_of_its_config_and_by_its_hub_id(
    dlmlen: Callable[..., tuple[int | str | None, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert dlmlen("doctor", "--model", "llada-tiny")[0] == 0
    code, printed, _ = dlmlen("doctor", "--model", "Dream-org/Dream-v0-Instruct-7B", "--json")
    findings = {finding["what"]: finding for finding in json.loads(printed)}
    assert (code, findings["checkpoint"]["state"]) == (1, "broken")
    assert findings["sizes"]["value"]["vocabulary"] == 152064
    code, _, said = dlmlen("doctor", "--model", "dream-v0-instuct")
    assert code == 2
    assert "Did you mean 'dream-v0-instruct'" in said


def test_the_machine_in_json(dlmlen: Callable[..., tuple[int | str | None, str, str]]) -> None:
    printed = json.loads(dlmlen("doctor", "--json")[1])
    assert "versions" in {finding["what"] for finding in printed}
