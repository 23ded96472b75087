"""The script behind the model card's correlations, on the runs that the repository shows."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example" / "study_mini"
SCRIPT = "length_awareness.py"
Call = Callable[..., subprocess.CompletedProcess[str]]


def test_crops_follow_the_answers_and_random_lengths_do_not(call_script: Call) -> None:
    done = call_script(SCRIPT, EXAMPLE)
    assert done.returncode == 0, done.stderr
    rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["mini_gsm8k", "mini_humaneval", "mini_ifeval", "mini_longformqa", "all"]
    assert int(rows[-1][1]) == sum(int(row[1]) for row in rows[:-1])
    assert all(float(row[3]) > 0.6 for row in rows)
    assert abs(float(rows[-1][4])) < 0.3


def test_a_missing_or_a_second_run_is_reported(call_script: Call, tmp_path: Path) -> None:
    error = call_script(SCRIPT, EXAMPLE, "--tau", "0.8").stderr
    assert "no smartcrop and random_length at tau 0.8 on any benchmark" in error
    for run in EXAMPLE.glob("mini_gsm8k__*"):
        shutil.copytree(run, tmp_path / run.name)
    (dealt,) = tmp_path.glob("*__random_length__*")
    shutil.copytree(dealt, tmp_path / f"{dealt.name}-again")
    assert "another run of random_length on mini_gsm8k" in call_script(SCRIPT, tmp_path).stderr
    shutil.rmtree(tmp_path / f"{dealt.name}-again")
    shutil.rmtree(dealt)
    assert "no smartcrop and random_length at tau 0.9 on mini_gsm8k" in call_script(SCRIPT, tmp_path).stderr
