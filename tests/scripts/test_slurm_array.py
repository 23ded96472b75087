"""scripts/slurm_array.sh: valid bash that turns a task of a job array into a shard."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "slurm_array.sh"
pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="this machine has no bash")
ARRAY = {
    "SLURM_ARRAY_TASK_ID": "3",
    "SLURM_ARRAY_TASK_COUNT": "16",
    "SLURM_ARRAY_TASK_MIN": "1",
    "SLURM_ARRAY_TASK_MAX": "16",
}


def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with a command that prints what it is given, one argument a line."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "DLMLEN"))}
    variables |= {"DLMLEN": "printf-lines"} | environment
    return subprocess.run(["bash", str(SCRIPT), *arguments], capture_output=True, text=True, check=False, env=variables)


@pytest.fixture(autouse=True)
def printing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = tmp_path / "printf-lines"
    command.write_text("#!/usr/bin/env bash\nprintf '%s\\n' \"$@\"\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


def test_it_is_valid_bash() -> None:
    assert subprocess.run(["bash", "-n", str(SCRIPT)], capture_output=True, check=False).returncode == 0


def test_a_task_is_a_shard() -> None:
    done = call("run", "--config", "name with spaces", "policy.tau=0.9", **ARRAY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["run", "--config", "name with spaces", "policy.tau=0.9", "--shard", "3/16"]


def test_a_few_tasks_again_are_shards_of_all() -> None:
    few = ARRAY | {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "7"}
    refused = call("run", **few)
    assert refused.returncode == 2
    assert "set DLMLEN_SHARDS" in refused.stderr
    assert call("sweep", "tau", **few, DLMLEN_SHARDS="16").stdout.splitlines()[-2:] == ["--shard", "3/16"]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (("run",), {}, "not a task of a job array"),
        ((), ARRAY, "expected run or sweep"),
        (("report",), ARRAY, "expected run or sweep"),
        (("run",), ARRAY | {"SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "15"}, "expected 1-16"),
    ],
)
def test_what_is_no_such_task_is_refused(arguments: tuple[str, ...], environment: dict[str, str], message: str) -> None:
    done = call(*arguments, **environment)
    assert done.returncode == 2
    assert message in done.stderr
