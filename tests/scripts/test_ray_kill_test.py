"""A short run of scripts/ray_kill_test.py with two kills."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_two_killed_workers_neither_lose_nor_duplicate_anything(call_script: Call) -> None:
    pytest.importorskip("ray")
    done = call_script("ray_kill_test.py", "--kills", "2", "--drivers", "0", "--seed", "5")
    assert done.returncode == 0, done.stdout + done.stderr
    kills = done.stdout.partition("Nothing was lost or duplicated, and no process was left running:")[2]
    assert re.search(r"\b2 a worker$", kills, re.MULTILINE)


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
