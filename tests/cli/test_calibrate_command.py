"""`dlmlen calibrate` from runs to a config that `dlmlen run` takes."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dlm_length.config import load_config
from dlm_length.records import RunFolder, SampleRecord
from dlm_length.runner.scoring import summarise

Dlmlen = Callable[..., tuple[int | str | None, str, str]]
SMALL = ("policy.length=8", "hardware.max_batch_tokens=400", "benchmark.path=questions.jsonl")
DETAILS = ("exact_match_strict", "exact_match_flexible", "exact_match_boxed")
LOSSES = {0.95: range(0), 0.9: range(2), 0.75: range(4), 0.5: range(60)}
"""Which of the samples that the fixed canvas has right are lost at each tau."""
FLOPS = {0.95: 900, 0.9: 700, 0.75: 500, 0.5: 300}


@pytest.fixture
def finish(make_sample: Callable[..., SampleRecord]) -> Callable[..., Path]:
    """A finished run of these scores by sample id, each sample of so many FLOPs."""

    def finish(config: str, scores: dict[str, float | None], flops: int, *overrides: str) -> Path:
        resolved = load_config(config, overrides)
        records = []
        for name, score in scores.items():
            ledger = make_sample().ledger.model_dump()
            ledger["total"] |= {"flops_reference": flops}
            reason = {"reason": "not executed"} if score is None else {}
            details = dict.fromkeys(DETAILS, score) | reason
            records.append(make_sample(name, score=score, ledger=ledger, details=details))
        with RunFolder(resolved.run_path) as folder:
            folder.fill(resolved.to_yaml(), [], records)
            folder.finish(summarise(resolved, records, []))
        return resolved.run_path

    return finish


@pytest.fixture
def sweep(dlmlen: Dlmlen, finish: Callable[..., Path]) -> Callable[..., None]:
    """SmartCrop at four taus beside the fixed canvas, 400 questions, of which the last 40 nobody has right."""

    def sweep(*overrides: str, n: int = 400, prefix: str = "q", tail: int = 40) -> None:
        own = {f"{prefix}/{k}": float(k < n - tail) for k in range(n)}
        finish("tiny_gsm8k_fixed", own, 1000, *overrides)
        for tau, lost in LOSSES.items():
            # Far apart, so that both halves of any split have some.
            gone = {f"{prefix}/{(k * 37) % (n - tail)}" for k in lost}
            scores = {name: 0.0 if name in gone else score for name, score in own.items()}
            finish("tiny_gsm8k_smartcrop", scores, FLOPS[tau], f"policy.tau={tau}", *overrides)

    return sweep


def as_json(dlmlen: Dlmlen, *arguments: str) -> dict[str, Any]:
    code, out, error = dlmlen("calibrate", "results", "--format", "json", *arguments)
    assert code in (0, 1), error
    return json.loads(out)


def test_the_boldest_certified_value_becomes_a_config(dlmlen: Dlmlen, sweep: Callable[..., None]) -> None:
    sweep()
    code, out, error = dlmlen("calibrate", "results", "--risk", "0.05", "--output", "certified.yaml")
    assert (code, error) == (0, "reading the runs ...\n")
    assert "smartcrop with tau 0.75: expected loss of exact_match against the fixed canvas at most 0.05" in out
    assert "50.0% of the FLOPs saved" in out
    text = Path("certified.yaml").read_text()
    config = load_config("certified.yaml")
    assert (config.policy.name, config.policy.model_dump()["tau"]) == ("smartcrop", 0.75)
    assert config.experiment == "gsm8k_smartcrop_certified"
    assert config.benchmark.model_dump()["limit"] is None
    assert "# risk 0.05, confidence 0.95, n " in text
    assert "# calibration share 0.5, seed 0" in text
    assert "# fixed canvas: tiny_gsm8k_fixed/gsm8k__" in text
    assert str(Path.cwd()) not in "".join(line for line in text.splitlines(True) if line.startswith("#"))
    assert dlmlen("run", "--config", "certified.yaml", *SMALL)[0] == 0
    # The same again is the same file; anything else there stays.
    assert dlmlen("calibrate", "results", "--risk", "0.05", "--output", "certified.yaml")[0] == 0
    assert Path("certified.yaml").read_text() == text
    code, _, error = dlmlen("calibrate", "results", "--risk", "0.04", "--output", "certified.yaml")
    assert code == 2
    assert "certified.yaml: exists with other content" in error
    assert Path("certified.yaml").read_text() == text


def test_its_numbers_are_those_of_the_samples(dlmlen: Dlmlen, sweep: Callable[..., None]) -> None:
    sweep()
    found = as_json(dlmlen, "--risk", "0.05")
    knobs = {knob["value"]: knob for knob in found["knobs"]}
    assert list(knobs) == [0.95, 0.9, 0.75, 0.5]
    assert (found["policy"], found["knob"], found["chosen"], found["test"]) == (
        "smartcrop",
        "tau",
        0.75,
        "exact binomial",
    )
    assert found["n"] + knobs[0.5]["held_out"]["n"] == 400
    for tau, knob in knobs.items():
        lost = found["n"] * knob["loss"] + knob["held_out"]["n"] * knob["held_out"]["loss"]
        assert lost == pytest.approx(len(LOSSES[tau]))
        assert knob["flops_saved"] == knob["held_out"]["flops_saved"] == pytest.approx(1 - FLOPS[tau] / 1000)
        assert knob["certified"] == (tau != 0.5)
    assert as_json(dlmlen, "--risk", "0.05", "--seed", "1")["n"] != found["n"]
    whole = as_json(dlmlen, "--risk", "0.05", "--calibration-share", "1")
    assert (whole["n"], whole["knobs"][3]["held_out"]) == (400, None)
    assert whole["knobs"][3]["loss"] == pytest.approx(60 / 400)


def test_nothing_certified_is_said_with_the_n_that_it_takes(dlmlen: Dlmlen, sweep: Callable[..., None]) -> None:
    sweep(n=80)
    code, out, _ = dlmlen("calibrate", "results", "--output", "certified.yaml")
    assert code == 1
    assert "Nothing is certified" in out
    assert "Without any loss, n = 149 would be needed; n = " in out
    assert not Path("certified.yaml").exists()


def test_runs_of_their_own_may_be_held_out(dlmlen: Dlmlen, sweep: Callable[..., None]) -> None:
    sweep("output.directory=first")
    sweep("output.directory=second", n=300, prefix="other")
    Path("results").symlink_to("first")
    found = as_json(dlmlen, "--risk", "0.05", "--held-out", "second")
    assert (found["n"], found["calibration_share"]) == (400, None)
    assert {knob["held_out"]["n"] for knob in found["knobs"]} == {300}
    code, _, error = dlmlen("calibrate", "first", "--held-out", "first")
    assert code == 2
    assert "--held-out: 400 of its 400 problems are the calibration's" in error


def test_a_sample_that_only_the_policy_has_no_score_of_counts_as_lost(
    dlmlen: Dlmlen, sweep: Callable[..., None], finish: Callable[..., Path]
) -> None:
    sweep()
    scores: dict[str, float | None] = {f"q/{k}": 1.0 if k < 360 else 0.0 for k in range(400)}
    scores |= dict.fromkeys(("q/3", "q/4", "q/399"))
    finish("tiny_gsm8k_smartcrop", scores, 100, "policy.tau=0.2")
    found = as_json(dlmlen, "--risk", "0.05", "--calibration-share", "1")
    assert (found["left_out"], found["n"]) == (0, 400)
    losses = {knob["value"]: knob["loss"] for knob in found["knobs"]}
    assert losses[0.2] == pytest.approx(2 / 400), "the fixed canvas has q/399 wrong"
    _, out, _ = dlmlen("calibrate", "results")
    assert "3 scores are missing where the fixed canvas has one; each counts as the lowest" in " ".join(out.split())


def test_samples_without_a_score_on_the_fixed_canvas_are_left_out(dlmlen: Dlmlen, finish: Callable[..., Path]) -> None:
    scores: dict[str, float | None] = {f"q/{k}": 1.0 for k in range(200)}
    finish("tiny_gsm8k_fixed", scores | {"q/3": None, "q/5": None}, 1000)
    for tau in (0.5, 0.9):
        finish("tiny_gsm8k_smartcrop", scores, 500, f"policy.tau={tau}")
    found = as_json(dlmlen, "--risk", "0.05", "--calibration-share", "1")
    assert (found["left_out"], found["n"]) == (2, 198)
    _, out, _ = dlmlen("calibrate", "results", "--risk", "0.05")
    assert "2 samples without a score on the fixed canvas are left out" in " ".join(out.split())


def test_the_baseline_holds_for_the_held_out_runs_too(
    dlmlen: Dlmlen, sweep: Callable[..., None], finish: Callable[..., Path]
) -> None:
    for folder, prefix in (("first", "q"), ("second", "other")):
        sweep(f"output.directory={folder}", prefix=prefix)
        own: dict[str, float | None] = {f"{prefix}/{k}": float(k < 360) for k in range(400)}
        finish("tiny_gsm8k_fixed", own, 2000, f"output.directory={folder}", "policy.length=32")
    Path("results").symlink_to("first")
    usual = as_json(dlmlen, "--risk", "0.05", "--held-out", "second")
    shorter = as_json(dlmlen, "--risk", "0.05", "--held-out", "second", "--baseline", "fixed 32")
    for found, cost in ((usual, 1000), (shorter, 2000)):
        for knob in found["knobs"]:
            saved = pytest.approx(1 - FLOPS[knob["value"]] / cost) if knob["value"] in FLOPS else None
            assert saved is None or knob["flops_saved"] == knob["held_out"]["flops_saved"] == saved


def test_held_out_runs_need_the_same_fixed_canvas(dlmlen: Dlmlen, sweep: Callable[..., None]) -> None:
    sweep("output.directory=first")
    sweep("output.directory=second", "policy.length=32", prefix="other")
    code, _, error = dlmlen("calibrate", "first", "--held-out", "second", "--risk", "0.05")
    assert code == 2
    assert "--held-out: its fixed canvas is fixed 32, that of RUNS fixed 64" in error


@pytest.mark.parametrize("form", ["markdown", "csv", "latex"])
def test_the_table_comes_in_the_formats_of_reports(dlmlen: Dlmlen, sweep: Callable[..., None], form: str) -> None:
    sweep()
    code, out, _ = dlmlen("calibrate", "results", "--risk", "0.05", "--format", form)
    assert code == 0
    assert "0.75" in out
    assert "chosen" in out
    if form == "csv":
        header, *rows = csv.reader(out.splitlines())
        assert "tau" in header
        assert len(rows) == 4


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--risk", "0"), "risk must be above 0 and below 1"),
        (("--confidence", "95"), "confidence must be above 0 and below 1"),
        (("--calibration-share", "0"), "allowed: above 0 and up to 1, which holds nothing out"),
        (("--knob", "tua"), "--knob tua: found 'tua', allowed are tau. Did you mean 'tau'?"),
        (("--policy", "smartcrob"), "--policy smartcrob: found 'smartcrob', allowed are smartcrop. Did you mean"),
        (("--format", "jsn"), "--format: found 'jsn'; allowed: terminal, markdown, csv, latex or json. Did you"),
        (("--score-range", "1"), "--score-range 1: found '1'; allowed: two numbers"),
        (("--score-range", "0;100"), "--score-range 0;100: found '0;100'; allowed: two numbers"),
        (("--score-range", "100,0"), "--score-range 100,0: found '100,0'; allowed: two numbers, the lower first"),
        (("--score-range", "0,inf"), "--score-range 0,inf: found '0,inf'; allowed: two numbers"),
        (("--output", "nowhere/a.yaml"), "there is no folder nowhere"),
    ],
)
def test_mistakes_get_one_sentence(
    dlmlen: Dlmlen, sweep: Callable[..., None], arguments: tuple[str, ...], told: str
) -> None:
    sweep()
    code, _, error = dlmlen("calibrate", "results", *arguments, *(() if "--risk" in arguments else ("--risk", "0.05")))
    assert code == 2
    assert told in error


def test_several_knobs_ask_for_one(dlmlen: Dlmlen, finish: Callable[..., Path], sweep: Callable[..., None]) -> None:
    sweep()
    scores: dict[str, float | None] = {f"q/{k}": 1.0 if k < 360 else 0.0 for k in range(400)}
    finish("tiny_gsm8k_smartcrop", scores, 650, "policy.tau=0.9", "policy.temperature=0.5")
    code, _, error = dlmlen("calibrate", "results")
    assert code == 2
    assert "--knob: several vary among these runs; name one of tau or temperature" in error
    assert [knob["value"] for knob in as_json(dlmlen, "--knob", "temperature")["knobs"]] == [0.0, 0.5]


def test_without_a_sweep_it_says_how_to_make_one(dlmlen: Dlmlen, finish: Callable[..., Path]) -> None:
    finish("tiny_gsm8k_fixed", {"q/0": 1.0}, 100)
    code, _, error = dlmlen("calibrate", "results")
    assert code == 2
    assert "`dlmlen sweep tau --config NAME` makes such runs" in error
