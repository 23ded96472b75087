"""scripts/gpu_check.py at a small size on the CPU: every part runs and has the expected results."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu_check.py"


def checked(part: str, where: Path) -> tuple[dict, str]:
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--part", part, "--out", str(where / "found.json")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found = json.loads((where / "found.json").read_text())
    assert "error" not in found[part], found[part]
    return found[part], result.stdout


@pytest.mark.slow
def test_exact(tmp_path: Path):
    found, printed = checked("exact", tmp_path)
    assert found["cases"] == 8
    for name in ("float32", "float32, not fused"):
        assert (found[name]["equal_canvas"], found[name]["equal_forwards"]) == (8, 8)
    assert 0.5 < found["bfloat16"]["equal_tokens"] <= 1
    assert "float32: equal_canvas 8, equal_forwards 8" in printed


@pytest.mark.slow
def test_invariant(tmp_path: Path):
    found, _ = checked("invariant", tmp_path)
    for dtype in ("float32", "bfloat16"):
        assert found[f"{dtype}, batch_invariant"] == {"equal": 4, "of": 4}
    assert found["logits"]["batch_invariant"] == "6 of 6"


@pytest.mark.slow
def test_forward_and_memory(tmp_path: Path):
    found, _ = checked("forward", tmp_path)
    assert {"fused", "batch_invariant", "not fused", "matrix_tflops"} <= found["256"].keys()
    assert found["head"]["confidence_ms"] > 0
    assert len(found["profile"]) == 15
    found, _ = checked("memory", tmp_path)
    recovery = found["recovery"]
    assert recovery["samples"] == recovery["finished"] == recovery["equal_samples"]
    assert recovery["notes"]


@pytest.mark.slow
def test_engine(tmp_path: Path):
    found, _ = checked("engine", tmp_path)
    for race in ("fixed, batch 8", "fixed, batch 1", "smartcrop, batch 8", "daedal, batch 8"):
        assert found[race]["ratio"] > 0
    assert found["daedal, batch 8"]["equal_samples"] == 8, "planted predictions leave no near-tie"
    assert found["daedal, batch 8"]["insertions"] > 0
    assert found["llada-mini"].keys() == {"turns 1", "turns 2"}


@pytest.mark.slow
def test_study(tmp_path: Path):
    found, _ = checked("study", tmp_path)
    assert found["samples"] == found["equal_samples"] == 1
    assert found["runs"] == found["runs_with_equal_score"] == 1


def test_an_unknown_part_is_named():
    command = [sys.executable, str(SCRIPT), "--part", "exakt"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "found exakt; there are exact, invariant, forward, engine, memory, study" in result.stderr
