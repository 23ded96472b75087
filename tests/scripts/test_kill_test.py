"""A short run of scripts/kill_test.py, and a test that it detects a loss."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kill_test.py"
Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    specification = importlib.util.spec_from_file_location("kill_test", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["kill_test"] = module
    specification.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_some_kills_neither_lose_nor_duplicate_anything(call_script: Call) -> None:
    done = call_script("kill_test.py", "--kills", "6", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    kills = done.stdout.partition("Nothing was lost or duplicated:")[2].splitlines()
    assert sum(int(line.split()[0]) for line in kills if "kills of" in line) >= 6


def test_losses_and_duplicates_are_detected(script: ModuleType, tmp_path: Path, make_sample) -> None:
    run = tmp_path / "results" / "experiment" / "name"
    run.mkdir(parents=True)
    lines = [make_sample(f"q{number}").model_dump_json() + "\n" for number in range(3)]
    (run / "samples.jsonl").write_text("".join(lines))
    episode = script.Episode(tmp_path, script.random.Random(0))
    episode.check()
    aside = run.with_name("name.old1")
    run.rename(aside)
    run.mkdir()
    (run / "samples.jsonl").write_text(lines[2].replace("q2", "q3"))
    episode.check()
    with (run / "samples.jsonl").open("a") as samples:
        samples.write(lines[0])
    with pytest.raises(script.LostError, match="1 lines occur twice"):
        episode.check()
    (run / "samples.jsonl").write_text(lines[2].replace("q2", "q3"))
    episode.check()
    (aside / "samples.jsonl").write_text("".join(lines[:2]) + lines[2][:40])
    with pytest.raises(script.LostError, match="1 lines are missing"):
        episode.check()
