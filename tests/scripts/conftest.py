"""Scripts called as a user calls them, whether or not the package is installed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def call_script() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of `scripts/` with these options, and gives back what became of it."""

    def call(name: str, *options: str | Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / name), *map(str, options)]
        paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = os.environ | {"PYTHONPATH": paths, "COLUMNS": "120"}
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)

    return call
