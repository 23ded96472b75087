"""Short runs of scripts/ray_kill_test.py."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_a_killed_worker_neither_loses_nor_duplicates_anything(call_script: Call) -> None:
    pytest.importorskip("ray")
    done = call_script("ray_kill_test.py", "--kills", "1", "--drivers", "0", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    kills = done.stdout.partition("Nothing was lost or duplicated, and no process was left running:")[2]
    assert re.search(r"\b1 a worker$", kills, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_a_command_that_is_killed_on_a_cluster_that_it_joined_leaves_no_worker_and_is_completed(
    call_script: Call,
) -> None:
    pytest.importorskip("ray")
    done = call_script("ray_kill_test.py", "--joined", "--drivers", "1", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    kills = done.stdout.partition("Nothing was lost or duplicated, and no process was left running:")[2]
    assert re.search(r"\b1 the command$", kills, re.MULTILINE)
