"""`dlmlen sweep`, and `dlmlen run` with a study: one table a benchmark, work shared, continued where it stopped."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

SMALL = ("policy.length=8", "hardware.max_batch_tokens=400", "benchmark.path=questions.jsonl")
STUDY = """
benchmarks: [gsm8k]
baseline: "tiny_{benchmark}_fixed"
runs:
  - config: "tiny_{benchmark}_smartcrop"
    vary: {policy.tau: [0.5, 0.9]}
"""


def test_a_sweep_ends_in_one_table_and_shares_work(dlmlen: Callable[..., tuple[int, str, str]]) -> None:
    command = ("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.05,0.5,0.9", *SMALL)
    code, table, told = dlmlen(*command)
    assert code == 0
    assert "loading the model" in told
    assert told.count("loading the model") == 1
    lines = [line for line in table.splitlines() if line.startswith("│")]
    assert len(lines) == 4
    assert lines[0].startswith("│ fixed")
    assert all(line.startswith("│ smartcrop") for line in lines[1:])
    assert "paired bootstrap, n = 3, 10,000 resamples" in table
    asked, computed = (
        int(word.replace(",", "")) for word in table.split("Forwards: ")[1].split() if word.replace(",", "").isdigit()
    )
    assert computed < asked
    assert len(list(Path("results/tiny_gsm8k_smartcrop_sweep").iterdir())) == 4
    again = dlmlen(*command)
    assert "Forwards" not in again[1]
    assert [line for line in again[1].splitlines() if line.startswith("│")] == lines
    code, *_ = dlmlen(*command[:4], "--values", "0.05,0.7", *SMALL)
    assert code == 0
    assert len(list(Path("results/tiny_gsm8k_smartcrop_sweep").iterdir())) == 5, "three of four were there"


@pytest.mark.parametrize(
    ("varied", "folders"),
    [
        ("hardware.seed=1,2", 6),
        ("benchmark.limit=2,3", 3),
        ("model.path=embedded:llada-tiny,CHECKPOINT", 6),
        ("experiment=one,two", 3),
    ],
)
def test_any_field_can_be_swept_and_what_the_dry_run_passes_runs(
    dlmlen: Callable[..., tuple[int, str, str]], write_checkpoint: Callable[..., Path], varied: str, folders: int
) -> None:
    if "CHECKPOINT" in varied:
        varied = varied.replace("CHECKPOINT", str(write_checkpoint()))
    field, _, values = varied.partition("=")
    tau = [] if field == "experiment" else ["policy.tau=0.5,0.9"]
    command = ("sweep", varied, *tau, "--config", "tiny_gsm8k_smartcrop", *SMALL)
    code, plan, error = dlmlen(*command, "--dry-run")
    assert code == 0, error
    code, tables, error = dlmlen(*command)
    assert code == 0, error
    assert len([path for path in Path("results").glob("*/*") if path.is_dir()]) == folders
    if field == "benchmark.limit":
        told = [line for line in tables.splitlines() if line.startswith("n = ")]
        assert [line.split(".")[0] for line in told] == ["n = 2", "n = 3"]
    if field != "experiment":
        for value in values.split(","):
            assert f"{field}={value}" in plan
            assert f"{field}={value}" in tables.replace("\n", "")


def test_a_checkpoint_that_the_run_refuses_is_refused_by_the_dry_run(
    dlmlen: Callable[..., tuple[int, str, str]], write_checkpoint: Callable[..., Path]
) -> None:
    """Also where the config has sizes for a checkpoint that is not on this machine."""
    folder = write_checkpoint(config={"model_type": "mystery", "architectures": ["Mystery"]})
    sizes = (
        "{layers: 2, width: 16, heads: 2, head_size: 8, kv_width: 16, mlp_width: 24, vocabulary: 100, max_length: 64}"
    )
    model = f"model={{path: {folder}, architecture: {sizes}}}"
    told = [
        dlmlen("run", "--config", "tiny_gsm8k_fixed", *SMALL, model, *dry)[2].splitlines()[-1]
        for dry in ((), ("--dry-run",))
    ]
    assert told[0] == told[1]
    assert "model_type 'mystery' is not supported" in told[0]
    code, _, error = dlmlen(
        "sweep", f"model.path=embedded:llada-tiny,{folder}", "--config", "tiny_gsm8k_smartcrop", *SMALL, "--dry-run"
    )
    assert code == 1
    assert "model_type 'mystery' is not supported" in error


def test_a_study_is_run_by_its_name(dlmlen: Callable[..., tuple[int, str, str]]) -> None:
    Path("configs/studies").mkdir(parents=True)
    Path("configs/studies/mine.yaml").write_text(STUDY)
    code, plan, _ = dlmlen("run", "--config", "mine", *SMALL, "--dry-run")
    assert code == 0
    assert not Path("results").exists()
    assert plan.count("smartcrop") == 2
    code, table, _ = dlmlen("run", "--config", "mine", *SMALL)
    assert code == 0
    assert len(list(Path("results/mine").iterdir())) == 3
    assert "Records: results/mine" in table.replace("\n", " ")


def test_a_sweep_takes_the_baseline_from_where_it_was_run(dlmlen: Callable[..., tuple[int, str, str]]) -> None:
    dlmlen("run", "--config", "tiny_gsm8k_fixed", *SMALL)
    (before,) = Path("results/tiny_gsm8k_fixed").iterdir()
    kept = (before / "samples.jsonl").read_bytes()
    code, *_ = dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.9", *SMALL)
    assert code == 0
    assert (before / "samples.jsonl").read_bytes() == kept
    assert len(list(Path("results/tiny_gsm8k_smartcrop_sweep").iterdir())) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sweep", "tua", "--config", "tiny_gsm8k_smartcrop"), "Did you mean 'tau'"),
        (("run", "--config", "study_mini", "--baseline", "results"), "a study has its own baseline"),
    ],
)
def test_what_is_wrong_is_told(
    dlmlen: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], told: str
) -> None:
    code, _, error = dlmlen(*arguments)
    assert code == 2
    assert told in error


def test_two_runs_are_compared(dlmlen: Callable[..., tuple[int, str, str]]) -> None:
    dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.5,0.9", *SMALL)
    first, second, *_ = sorted(map(str, Path("results/tiny_gsm8k_smartcrop_sweep").iterdir()), reverse=True)
    code, told, error = dlmlen("compare", first, second)
    assert code == 0, error
    assert "policy.tau" in told
    assert "exact McNemar" in told
    assert "Samples with another score" in told
    for form, sign in (("latex", r"\toprule"), ("markdown", "### "), ("csv", '"runs"')):
        code, told, error = dlmlen("compare", first, second, "--format", form)
        assert code == 0, error
        assert sign in told
        assert "Samples with another score" not in told
    code, _, error = dlmlen("compare", first, second, "--format", "latx")
    assert code == 2
    assert "--format: found 'latx'; allowed: terminal, markdown, csv, latex or json. Did you mean 'latex'?" in error
    code, _, error = dlmlen("compare", first, "results")
    assert code != 0
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("option", "told"),
    [
        (("--adjust", "none"), "Stars are by each test's own p, unadjusted"),
        (("--resamples", "600"), "paired bootstrap, n = 3, 600 resamples"),
    ],
)
def test_how_effects_are_tested_can_be_chosen(
    dlmlen: Callable[..., tuple[int, str, str]], option: tuple[str, str], told: str
) -> None:
    code, table, _ = dlmlen("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.5,0.9", *option, *SMALL)
    assert code == 0
    assert told in " ".join(table.split())


@pytest.mark.parametrize(
    ("form", "begins", "row"),
    [("csv", '"policy"', '"fixed'), ("markdown", "### gsm8k", "| fixed"), ("latex", "%", "fixed")],
)
@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_sweep_prints_its_tables_alone_in_the_format_asked_for(
    dlmlen: Callable[..., tuple[int, str, str]], form: str, begins: str, row: str, dry: tuple[str, ...]
) -> None:
    command = ("sweep", "tau", "--config", "tiny_gsm8k_smartcrop", "--values", "0.5,0.9", *SMALL, "--format", form)
    code, out, told = dlmlen(*command, *dry)
    assert code == 0, told
    if dry:
        assert "fixed" in out
        assert "total" in out
        assert not Path("results").exists()
    else:
        assert out.startswith(begins)
        assert any(line.startswith(row) for line in out.splitlines())
        assert "Records: results" in told.replace("\n", " ")
        assert "Forwards: " in told
    assert "Records" not in out
    assert "Forwards: " not in out
    assert not out.endswith("\n\n")
    if form == "csv":
        header, *rows = csv.reader(out.splitlines())
        assert len(rows) == (4 if dry else 3)
        assert {len(cells) for cells in rows} == {len(header)}


def test_tables_of_several_benchmarks_are_set_apart_by_a_blank_line(
    dlmlen: Callable[..., tuple[int, str, str]],
) -> None:
    command = ("sweep", "benchmark.limit=2,3", "policy.tau=0.5,0.9", "--config", "tiny_gsm8k_smartcrop", *SMALL)
    code, out, error = dlmlen(*command, "--format", "csv")
    assert code == 0, error
    tables = [list(csv.reader(table.splitlines())) for table in out.split("\n\n")]
    assert len(tables) == 2
    assert tables[0][0] == tables[1][0]
    assert [len(table) for table in tables] == [4, 4]


def test_a_run_and_its_plan_come_as_csv(dlmlen: Callable[..., tuple[int, str, str]]) -> None:
    command = ("run", "--config", "tiny_gsm8k_fixed", *SMALL, "--format", "csv")
    code, out, error = dlmlen(*command, "--dry-run")
    assert code == 0, error
    plan = {name: value for name, value, *_ in csv.reader(out.splitlines())}
    assert plan["samples"] == "3"
    assert plan["forwards"] == "24"
    code, out, error = dlmlen(*command)
    assert code == 0, error
    rows = {name: value for name, value, *_ in csv.reader(out.splitlines())}
    assert rows["samples (scored)"] == "3 (3)"
    assert "Records: results" in error.replace("\n", " ")


@pytest.mark.parametrize("command", [("sweep", "tau"), ("run",)])
def test_an_unknown_format_is_told_before_anything_runs(
    dlmlen: Callable[..., tuple[int, str, str]], command: tuple[str, ...]
) -> None:
    code, _, error = dlmlen(*command, "--config", "tiny_gsm8k_smartcrop", "--format", "html", *SMALL)
    assert code == 2
    assert "--format: found 'html'; allowed: terminal, markdown, csv, latex or json." in error
    assert not Path("results").exists()


@pytest.mark.parametrize("command", [("sweep", "tau"), ("run",)])
def test_an_unknown_adjustment_is_told_before_anything_runs(
    dlmlen: Callable[..., tuple[int, str, str]], command: tuple[str, ...]
) -> None:
    code, _, error = dlmlen(*command, "--config", "tiny_gsm8k_smartcrop", "--adjust", "homl", *SMALL)
    assert code == 2
    assert "--adjust: no adjustment is called 'homl'; allowed: holm or none. Did you mean 'holm'?" in error
    assert not Path("results").exists()
