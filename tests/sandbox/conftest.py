import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlm_length.common import UserError
from dlm_length.sandbox import Bubblewrap, ProcessLimits, Sandbox

SYSTEM_PYTHON = Path("/usr/bin/python3")


def usable_bubblewrap() -> Bubblewrap:
    try:
        return Bubblewrap.found()
    except UserError as error:
        pytest.skip(f"no namespaces on this machine: {error}")


@pytest.fixture
def bubblewrap() -> Bubblewrap:
    return usable_bubblewrap()


@pytest.fixture(params=["bubblewrap", "process_limits"])
def box(request: pytest.FixtureRequest) -> Sandbox:
    """Each sandbox in turn, for the guarantees of both."""
    return usable_bubblewrap() if request.param == "bubblewrap" else ProcessLimits()


@pytest.fixture
def unprivileged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses an interpreter that every user can read, so that the candidate of root has a spare user id."""
    version = "import sys; print(sys.version_info >= (3, 11), sys.base_prefix, sep='\\n')"
    if os.geteuid() != 0:
        return
    if not SYSTEM_PYTHON.exists():
        pytest.skip("needs a system-wide Python")
    recent, prefix = subprocess.run(
        [SYSTEM_PYTHON, "-c", version], capture_output=True, check=True, text=True
    ).stdout.split()
    if recent != "True":
        pytest.skip("the system's Python is too old")
    monkeypatch.setattr(sys, "executable", str(SYSTEM_PYTHON))
    monkeypatch.setattr(sys, "base_prefix", prefix)
