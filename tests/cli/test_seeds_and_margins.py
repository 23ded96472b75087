"""`--seeds`, `--time-alone` and `--margin` as a user meets them."""

import csv
from collections.abc import Callable
from pathlib import Path

from dlm_length.records import read_timing

Dlmlen = Callable[..., tuple[int | str | None, str, str]]
SMALL = ("policy.length=8", "hardware.max_batch_tokens=400", "benchmark.path=questions.jsonl")
HOT = "policy.temperature=5.0"


def rows(table: str) -> dict[str, list[str]]:
    lines = [line.strip("│").split("│") for line in table.replace("┃", "│").splitlines() if line.startswith("│")]
    return {name.strip(): [cell.strip() for cell in cells] for name, *cells in lines}


def read_csv(table: str) -> list[dict[str, str]]:
    return list(csv.DictReader(Path(f"out/tables/{table}.csv").read_text(encoding="utf-8").splitlines()))


def test_seeds_are_runs_of_their_own_in_one_column(dlmlen: Dlmlen) -> None:
    command = ("run", "--config", "tiny_gsm8k_fixed", *SMALL, HOT)
    code, table, _ = dlmlen(*command, "--seeds", "0,3")
    assert code == 0
    assert rows(table)[""] == ["fixed 8, seeds 0, 3"]
    assert rows(table)["samples (scored)"] == ["6 (6)"]
    assert len(list(Path("results/tiny_gsm8k_fixed").iterdir())) == 2
    code, _, told = dlmlen(*command)
    assert "Already finished" in told, "seed 0 is the run that it is without --seeds"
    code, table, told = dlmlen(*command, "benchmark.repeats=2")
    assert told.count("Already finished") == 1
    assert rows(table)[""] == ["fixed 8, seeds 0, 1"]
    code, table, _ = dlmlen(
        *("run", "--config", "tiny_gsm8k_smartcrop", *SMALL, HOT, "--seeds", "0,1,3"),
        *("--baseline", "results/tiny_gsm8k_fixed"),
    )
    assert code == 0
    assert rows(table)[""] == ["fixed 8, seeds 0, 1, 3", "smartcrop 8 tau 0.9, seeds 0, 1, 3"]
    assert "n = 3, 10,000 resamples" in " ".join(table.split()), "problems, not samples"


def test_a_dry_run_plans_every_seed(dlmlen: Dlmlen) -> None:
    command = ("run", "--config", "tiny_gsm8k_fixed", *SMALL, "--dry-run")
    one, three = rows(dlmlen(*command)[1]), rows(dlmlen(*command, "--seeds", "0,1,2")[1])
    assert (one["samples"], three["samples"]) == (["3"], ["9 (3 seeds)"])
    assert int(three["forwards"][0]) == 3 * int(one["forwards"][0])
    _, study, _ = dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", *SMALL, "--dry-run", "--seeds", "4,5")
    assert rows(study)["total"][:2] == ["12 runs", "36"]
    assert "Each is run under 2 seeds." in " ".join(study.split())
    assert not Path("results").exists()


def test_wrong_seeds_are_told_before_anything_is_done(dlmlen: Dlmlen) -> None:
    for given, told in (("0,0", "more than once"), ("a", "integers"), ("-1", "hardware.seed")):
        code, _, error = dlmlen("run", "--config", "tiny_gsm8k_fixed", *SMALL, f"--seeds={given}")
        assert code == 2
        assert told in error
    assert not Path("results").exists()


def test_a_sweep_is_timed_alone_and_its_report_shows_it(dlmlen: Dlmlen) -> None:
    command = ("sweep", "policy.tau=0.5,0.9", "--config", "tiny_gsm8k_smartcrop", *SMALL)
    code, *_ = dlmlen(*command)
    assert code == 0
    report = ("report", "results", "--no-figures", "--format", "csv", "--out", "out")
    assert dlmlen(*report)[0] == 0
    assert [row["wall-clock s"] for row in read_csv("cost")] == [""] * 3
    code, _, told = dlmlen(*command, "--time-alone", "--timed-samples", "2")
    assert code == 0
    assert "measuring smartcrop 8 tau 0.5 alone" in told
    assert told.count("loading the model") == 1, "once for all three, and none to generate"
    timings = [read_timing(run) for run in Path("results/tiny_gsm8k_smartcrop_sweep").iterdir()]
    assert [timing.n for timing in timings if timing is not None] == [2, 2, 2]
    assert dlmlen(*report)[0] == 0
    assert all(float(row["wall-clock s"]) > 0 for row in read_csv("cost"))


def test_a_report_tests_a_margin(dlmlen: Dlmlen) -> None:
    dlmlen("sweep", "policy.tau=0.5,0.9", "--config", "tiny_gsm8k_smartcrop", *SMALL)
    code, table, _ = dlmlen(
        "report", "results", "--no-figures", "--format", "markdown", "--out", "out", "--margin", "2"
    )
    assert code == 0
    assert "Scores within 2 points of the baseline's" in table
    assert "not shown within" in table, "the verdict, in lines as the terminal has room for"
    assert "not shown within 2 points" in Path("out/tables/non-inferiority.md").read_text()
    code, _, error = dlmlen("report", "results", "--margin", "0")
    assert code == 2
    assert "--margin: found 0; allowed: points of the score" in error
