"""scripts/gpu_check.py at a small size on the CPU: every part runs and has the expected results."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

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
def test_families(tmp_path: Path):
    found, _ = checked("families", tmp_path)
    rows = {name: row for name, row in found.items() if isinstance(row, dict)}
    adapted = [rows.pop(name) for name in list(rows) if "adapter" in name]
    assert len(rows) == 9
    assert all(row["logits, float32"] < 1e-4 for row in rows.values())
    assert all(row["float32"]["equal"] == row["cases"] for row in rows.values() if row["cases"])
    assert sum(row["cases"] for row in rows.values()) > 10
    assert [row["difference"] for row in adapted] == [0.0, 0.0]
    assert all(row["change"] > 0.01 for row in adapted), "an adapter that changes nothing tests nothing"


@pytest.mark.slow
def test_caches_and_sampling(tmp_path: Path):
    found, _ = checked("caches", tmp_path)
    assert found["float32"] == {"equal": 4, "equal_to_padded_attention": 4}
    assert found["float32, batch_invariant"] == found["bfloat16, batch_invariant"] == "3 of 3"
    assert found["seconds"].keys() == {"none", "prefix", "dual"}
    found, _ = checked("sampling", tmp_path)
    assert found["Dream's, float32"]["token"] == "6 equal"
    assert all(row["equal_alone"] == "6" for row in found.values() if isinstance(row, dict) and "ms" not in row)
    assert found["divergence, 8 rows"]["ms"] > 0


@pytest.mark.slow
def test_options(tmp_path: Path):
    found, _ = checked("options", tmp_path)
    assert found["energy"]["joules"] is None
    assert "no nvidia-ml-py" in found["energy"]["reason"]


@pytest.mark.slow
def test_invariant(tmp_path: Path):
    found, _ = checked("invariant", tmp_path)
    for dtype in ("float32", "bfloat16"):
        assert found[f"{dtype}, batch_invariant"] == {"equal": 4, "of": 4}
    assert found["logits"]["batch_invariant"] == found["logits, float32"]["batch_invariant"] == "6 of 6"


@pytest.mark.slow
def test_forward_and_memory(tmp_path: Path):
    found, _ = checked("forward", tmp_path)
    assert {"fused", "batch_invariant", "not fused", "matrix_tflops"} <= found["256"].keys()
    assert found["head"]["confidence_ms"] > 0
    assert found["masked"]["three_samples_first_with_cudnn_ms"] > 0
    assert len(found["profile"]) == 15
    found, _ = checked("memory", tmp_path)
    recoveries = [row for name, row in found.items() if name.startswith("recovery")]
    assert len(recoveries) == 3
    for recovery in recoveries:
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
    assert "found exakt; there are exact, families, caches, " in result.stderr


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import gpu_check

    return gpu_check


Run = Callable[..., tuple[dict, bool]]


@pytest.fixture
def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs parts that are given in place of the script's, and returns what they left in the file."""

    def run(seconds: float | None = None, **parts: Callable) -> tuple[dict, bool]:
        monkeypatch.setattr(script, "PARTS", {name: (part, 100.0) for name, part in parts.items()})
        check = script.Check(script.torch.device("cpu"), tmp_path / "found.json")
        ended = script.run_parts(check, list(parts), seconds)
        found = json.loads((tmp_path / "found.json").read_text())
        assert found == check.found
        assert script.table(found), "what there is has a table"
        return found, ended

    return run


def good(_check: object, found: dict) -> None:
    found["measured"] = 1


def test_a_part_that_fails_leaves_what_it_measured_and_the_others(run: Run):
    def failing(_check: object, found: dict) -> None:
        found["measured"] = 2
        raise ValueError("no such kernel")

    found, ended = run(first=failing, second=good)
    assert not ended
    assert found["first"]["measured"] == 2
    assert found["first"]["error"] == "ValueError: no such kernel"
    assert found["second"]["measured"] == 1


def test_a_part_is_stopped_at_its_limit(run: Run):
    def endless(_check: object, found: dict) -> None:
        found["measured"] = 3
        while True:
            pass

    found, ended = run(seconds=0.3, first=endless, second=good)
    assert not ended
    assert found["first"]["measured"] == 3
    assert "stopped after 0 s" in found["first"]["error"]
    assert "second" in found


def test_a_call_that_is_ended_keeps_what_it_has(run: Run, script: ModuleType):
    def ended_here(_check: object, found: dict) -> None:
        found["measured"] = 4
        signal.raise_signal(signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, script.interrupted)
    try:
        found, ended = run(first=good, second=ended_here, third=good)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended
    assert found["first"]["measured"] == 1
    assert found["second"] == {**found["second"], "measured": 4, "error": "ended from outside"}
    assert "third" not in found
