"""The installed command in processes of its own: from the name of a config to a table beside a baseline."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import dlm_length
from dlm_length.cli.main import app

DLMLEN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests run in the background ignore it, and so would we
from dlm_length.cli.main import run
run()
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `dlmlen` in an empty working folder."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", DLMLEN, *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(dlm_length.__file__).parents[1])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    return start


def ended(process: "subprocess.Popen[str]") -> str:
    """What a process that succeeded printed."""
    stdout, stderr = process.communicate(timeout=300)
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert "\x1b" not in stdout + stderr, "no terminal, no colours"
    return stdout


def cells(stdout: str) -> dict[str, list[str]]:
    rows = [line.strip("│").split("│") for line in stdout.splitlines() if line.startswith("│")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}


def rows(run: Path) -> dict[str, dict[str, Any]]:
    lines = [json.loads(line) for line in (run / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len({line["id"] for line in lines}) == len(lines)
    return {line["id"]: line for line in lines}


def the_run(experiment: Path) -> Path:
    (run,) = [path for path in experiment.iterdir() if path.is_dir()]
    assert {file.name for file in run.iterdir()} >= {"config.yaml", "environment.json", "samples.jsonl", "metrics.json"}
    return run


def test_humaneval_on_a_fixed_canvas_then_with_smartcrop_beside_it(start: Start, tmp_path: Path) -> None:
    settings = ["--limit", "3", "policy.length=24", "benchmark.execute_code=true", "hardware.max_batch_tokens=600"]
    alone = ended(start("run", "--config", "tiny_humaneval_fixed.yaml", *settings))
    baseline = ["--baseline", "results/tiny_humaneval_fixed"]
    beside = ended(start("run", "--config", "tiny_humaneval_smartcrop", *settings, *baseline))

    fixed, crop = (the_run(tmp_path / "results" / f"tiny_humaneval_{arm}") for arm in ("fixed", "smartcrop"))
    assert fixed.name.startswith("humaneval__llada-tiny__fixed__")
    theirs, ours = rows(fixed), rows(crop)
    assert sorted(theirs) == sorted(ours) == ["HumanEval/0", "HumanEval/1", "HumanEval/2"]
    for row in [*theirs.values(), *ours.values()]:
        assert row["score"] in (0.0, 1.0), "code was executed, in whatever way it ended"
        assert row["filtered_resps"] == [None] or row["details"]["isolation"]
    assert {row["n_token"] for row in theirs.values()} == {24}
    for row in ours.values():
        nfe, canvas = row["ledger"]["total"]["nfe"], row["n_token"]
        assert (nfe, row["ledger"]["probe"]["nfe"]) == (1 + canvas, 1)
        assert row["trajectory"] == [[24, 1], [canvas, canvas]] or canvas == 24

    shown = cells(beside)
    assert "fixed 24" in beside
    assert "smartcrop 24 tau 0.9" in beside
    spent = [sum(row["ledger"]["total"]["flops_reference"] for row in arm.values()) for arm in (ours, theirs)]
    assert shown["FLOPs saved"] == ["-", f"{100 * (1 - spent[0] / spent[1]):.1f}%"]
    assert shown["samples (scored)"] == ["3 (3)", "3 (3)"]
    assert shown["n_token"] == ["24.0", f"{sum(row['n_token'] for row in ours.values()) / 3:.1f}"]
    assert shown["pass@1"] == [f"{sum(row['score'] for row in arm.values()) / 3:.4f}" for arm in (theirs, ours)]
    timing = {"wall-clock, total", "tokens/s"}
    for name, (cell,) in cells(alone).items():
        assert shown[name][0] == cell, f"{name} is that of the baseline's own run"
    assert timing < shown.keys()
    assert "differs in" not in beside
    assert str(crop.relative_to(tmp_path)) in beside


def test_gsm8k_from_a_local_file_through_an_interrupt(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C when some samples are on disk; then the same command, in this process."""
    asked = [{"question": f"What is {n} plus {n * n}?", "answer": f"So.\n#### {n + n * n}"} for n in range(12)]
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(row) + "\n" for row in asked))
    overrides = ["policy.length=40", "benchmark.path=asked.jsonl", "hardware.max_batch_tokens=1"]
    command = ["run", "--config", "tiny_gsm8k_smartcrop", *overrides]

    interrupted = start(*command)
    until = time.monotonic() + 120
    while sum(file.read_bytes().count(b"\n") for file in tmp_path.glob("results/*/*/samples.jsonl")) < 2:
        assert interrupted.poll() is None, interrupted.communicate()
        assert time.monotonic() < until
        time.sleep(0.002)
    interrupted.send_signal(signal.SIGINT)
    stdout, stderr = interrupted.communicate(timeout=60)
    assert (interrupted.returncode, stdout) == (130, "")
    run = next(tmp_path.glob("results/*/*"))
    assert stderr.splitlines()[-1] == f"Interrupted; the same command continues {run.relative_to(tmp_path)}"
    assert "Traceback" not in stderr
    before = rows(run)
    assert 2 <= len(before) < 12, "the interrupt came too late to mean anything"

    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0
    assert the_run(run.parent) == run
    after = rows(run)
    assert {name: after[name] for name in before} == before
    assert sorted(row["doc_id"] for row in after.values()) == list(range(12))
    assert all(row["score"] == float(row["filtered_resps"] == [row["target"]]) for row in after.values())
    correct = sum(row["score"] for row in after.values())
    shown = cells(done.stdout)
    assert (shown["exact_match"], shown["samples (scored)"]) == ([f"{correct / 12:.4f}"], ["12 (12)"])
