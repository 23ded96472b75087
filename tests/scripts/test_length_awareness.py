"""The script behind the model card's correlations, on the runs that the repository shows."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "results" / "example" / "study_mini"


def called(results: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "length_awareness.py"), str(results), *options]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    environment = os.environ | {"PYTHONPATH": paths, "COLUMNS": "120"}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)


def test_crops_follow_the_answers_and_random_lengths_do_not() -> None:
    done = called(EXAMPLE)
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["mini_gsm8k", "mini_humaneval", "mini_ifeval", "mini_longformqa", "all"]
    assert int(rows[-1][1]) == sum(int(row[1]) for row in rows[:-1])
    assert all(float(row[3]) > 0.6 for row in rows)
    assert abs(float(rows[-1][4])) < 0.3


def test_a_missing_or_a_second_run_is_told(tmp_path: Path) -> None:
    assert "no smartcrop and random_length at tau 0.8 on any benchmark" in called(EXAMPLE, "--tau", "0.8").stderr
    for run in EXAMPLE.glob("mini_gsm8k__*"):
        shutil.copytree(run, tmp_path / run.name)
    for run in list(tmp_path.glob("*__random_length__*")):
        shutil.copytree(run, tmp_path / f"{run.name}-again")
        assert "another run of random_length on mini_gsm8k" in called(tmp_path).stderr
        shutil.rmtree(tmp_path / f"{run.name}-again")
        shutil.rmtree(run)
    assert "no smartcrop and random_length at tau 0.9 on mini_gsm8k" in called(tmp_path).stderr
