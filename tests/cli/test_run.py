"""`dlmlen run` as a user meets it: the table, what goes to which stream, exit codes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from command_fixtures import CommandLine
from rich.console import Console
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from dlm_length.cli.display import RunDisplay, show_table
from dlm_length.cli.main import app
from dlm_length.config import load_config
from dlm_length.records import read_metrics, read_samples
from dlm_length.reports.table import text_table
from dlm_length.runner import plan

SMALL = ("policy.length=8", "hardware.max_batch_tokens=200")
TOLD_AT_THE_END = "Records: "


class Done(NamedTuple):
    code: int | str | None
    stdout: str
    stderr: str

    @property
    def cells(self) -> dict[str, list[str]]:
        """The table's rows: what stands in each column, by the row's name."""
        lines = self.stdout.replace("┃", "│").splitlines()
        rows = [line.strip("│").split("│") for line in lines if line.startswith("│")]
        return {name.strip(): [cell.strip() for cell in cells] for name, *cells in rows}

    @property
    def path(self) -> Path:
        return Path(self.stdout.splitlines()[-1].removeprefix(TOLD_AT_THE_END))


Dlmlen = Callable[..., Done]


@pytest.fixture
def dlmlen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> Dlmlen:
    """`dlmlen run` with a tiny config on three questions, in this process and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    rows = [{"question": f"What is {number} plus 2?", "answer": f"#### {number + 2}"} for number in range(3)]
    Path("questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def dlmlen(*arguments: str, config: str = "tiny_gsm8k_fixed") -> Done:
        data = ["benchmark.path=questions.jsonl"] if "gsm8k" in config else []
        return Done(*command_line("run", "--config", config, *SMALL, *data, *arguments))

    return dlmlen


def test_a_run_ends_with_its_table_and_where_the_records_are(dlmlen: Dlmlen) -> None:
    done = dlmlen()
    assert done.code == 0
    metrics = read_metrics(done.path)
    assert done.stdout.splitlines()[0].strip() == "gsm8k, llada-tiny"
    assert done.cells["exact_match"] == [f"{metrics.score:.4f}"]
    assert done.cells["samples (scored)"] == ["3 (3)"]
    assert done.cells["n_token"] == ["8.0"]
    assert done.cells["e_token"] == [f"{metrics.e_token:.1f}"]
    assert done.cells["NFE (of them probes)"] == ["8.0 (0.0)"]
    assert "FLOPs saved" not in done.cells
    assert len(read_samples(done.path)) == 3


def test_piped_output_is_plain_and_progress_is_on_stderr(dlmlen: Dlmlen) -> None:
    done = dlmlen()
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stdout + done.stderr
    assert "…" not in done.stdout, "a cell was cut off"
    assert done.stderr.splitlines() == [
        "reading the config ...",
        *("loading torch and transformers", "preparing the prompts", "loading the model", "generating"),
        *("0 of 3 samples", "3 of 3 samples"),
    ]


def test_a_narrow_pipe_cuts_no_cell_of_a_comparison(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")  # rich then assumes 80
    dlmlen()
    done = dlmlen("--baseline", "results", config="tiny_gsm8k_smartcrop")
    assert done.cells[""] == ["fixed 8", "smartcrop 8 tau 0.9"]
    assert "…" not in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80


def test_a_baseline_adds_its_column_and_what_was_saved(dlmlen: Dlmlen) -> None:
    baseline = dlmlen("policy.length=20")
    done = dlmlen("--baseline", str(baseline.path), "policy.length=20", config="tiny_gsm8k_smartcrop")
    ours, theirs = (
        sum(s.ledger.total.flops_reference for s in read_samples(path)) for path in (done.path, baseline.path)
    )
    assert done.cells["FLOPs saved"] == ["-", f"{100 * (1 - ours / theirs):.1f}%"]
    assert all(done.cells[name][0] == cells[0] for name, cells in baseline.cells.items()), "its column is unchanged"
    assert "FLOPs saved: paired bootstrap, n = 3, 10,000 resamples" in " ".join(done.stdout.split())
    below = dlmlen("--baseline", "results", "policy.length=20", config="tiny_gsm8k_smartcrop")
    assert below.stdout == done.stdout, "also when the run itself lies where the baseline is looked for"


def test_differences_beside_the_policy_are_told(dlmlen: Dlmlen) -> None:
    dlmlen("benchmark.prompt_style=chat_tags")
    done = dlmlen("--baseline", "results", config="tiny_gsm8k_smartcrop")
    told = "the baseline differs in: benchmark.prompt_style: chat_tags | text_cot_0shot."
    assert told in " ".join(done.stdout.split())


def test_a_baseline_over_other_samples_is_refused_before_anything_is_generated(
    dlmlen: Dlmlen, no_model: Callable[[], None]
) -> None:
    baseline = dlmlen("--limit", "2")
    no_model()
    done = dlmlen("--baseline", str(baseline.path), config="tiny_gsm8k_smartcrop")
    assert (done.code, done.stdout) == (1, "")
    assert f"Error: baseline {baseline.path}: does not cover the same samples" in done.stderr
    assert "1 sample only in this run (gsm8k/2)" in done.stderr


@pytest.mark.parametrize(
    ("name", "told"), [("nowhere", "there is no such folder."), ("empty", "no finished run is there")]
)
def test_a_baseline_that_is_none_is_refused(dlmlen: Dlmlen, no_model: Callable[[], None], name: str, told: str) -> None:
    no_model()
    Path("empty").mkdir()
    done = dlmlen("--baseline", name)
    assert done.code == 2
    assert f"Error: --baseline {name}: {told}" in done.stderr


def test_shards_and_their_merge_are_json_alone_on_standard_output(dlmlen: Dlmlen) -> None:
    given = ("--limit", "2", "--json")
    first, second = (dlmlen(*given, "--shard", shard) for shard in ("1/2", "2/2"))
    (run,) = json.loads(second.stdout)["merged"]
    assert json.loads(first.stdout) == {
        "shard": "1/2",
        "generated": 1,
        "merged": [],
        "waiting": [run],
        "left_out": [],
        "lost": {},
    }
    assert json.loads(CliRunner().invoke(app, ["merge", run, "--json"]).stdout) == {"merged": [], "lost": {}}


def test_limit_is_the_benchmarks_limit(dlmlen: Dlmlen) -> None:
    done = dlmlen("--limit", "2", "benchmark.limit=3")
    assert {record.id for record in read_samples(done.path)} == {"gsm8k/0", "gsm8k/1"}
    assert load_config(done.path / "config.yaml").benchmark.limit == 2
    assert done.cells["samples (scored)"] == ["2 (2)"]


def test_a_finished_run_is_shown_again(dlmlen: Dlmlen, no_model: Callable[[], None]) -> None:
    first = dlmlen()
    no_model()
    again = dlmlen()
    assert (again.code, again.stdout) == (0, first.stdout)
    assert again.stderr.splitlines() == [
        "reading the config ...",
        "loading torch and transformers",
        f"Already finished: {first.path} (--fresh runs it again)",
    ]


def test_fresh_runs_it_again(dlmlen: Dlmlen) -> None:
    first = dlmlen()
    again = dlmlen("--fresh")
    assert again.path == first.path
    assert f"Note: earlier records were moved to {first.path}.old1.\n" in again.stderr
    assert "3 of 3 samples" in again.stderr


def test_an_interrupt_tells_how_to_go_on(dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = "hardware.max_batch_tokens=1"

    def interrupt(_: RunDisplay, done: int, __: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RunDisplay, "samples", interrupt)
        stopped = dlmlen(one_by_one)
        again = dlmlen("--fresh", one_by_one)
    assert (stopped.code, stopped.stdout) == (130, "")
    path = stopped.stderr.splitlines()[-1].removeprefix("Interrupted; the same command continues ")
    assert len(read_samples(Path(path))) == 2
    assert again.stderr.splitlines()[-1] == f"Interrupted; the same command, without --fresh, continues {path}"
    done = dlmlen(one_by_one)
    assert (done.code, str(done.path)) == (0, path)
    assert "2 of 3 samples" in done.stderr
    assert sorted(record.doc_id for record in read_samples(done.path)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["policy.lenght=8"], "policy.lenght: unknown field"),
        (["policy.length=eight"], "policy.length: found 'eight'"),
        (["policy.tau=0.9"], "policy.tau: unknown field"),
        (["model=llada-tinny"], "Did you mean 'llada-tiny'?"),
        (["benchmark.sample_ids=[gsm8k/7]"], "benchmark.sample_ids: there is no problem 'gsm8k/7'"),
        (["--limit", "0"], "--limit"),
        (["--limt", "2"], "--limt"),
    ],
)
def test_config_and_usage_errors_exit_with_2(
    dlmlen: Dlmlen, no_model: Callable[[], None], arguments: list[str], told: str
) -> None:
    no_model()
    done = dlmlen(*arguments)
    assert (done.code, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_config_exits_with_2(dlmlen: Dlmlen) -> None:
    done = dlmlen(config="tiny_humaneval_fixd")
    assert done.code == 2
    assert "Did you mean 'tiny_humaneval_fixed', " in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["model.path=./nowhere"], "no such folder, and not a hub id"),
        (["model.path=embedded:lada-tiny"], "Did you mean 'llada-tiny'?"),
        (["benchmark.path=missing.jsonl"], "missing.jsonl: cannot be read (No such file or directory)"),
        pytest.param(
            ["hardware.device=cuda"],
            "device 'cuda': this machine has no CUDA device; choose hardware=cpu.",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has one"),
        ),
    ],
)
def test_what_is_wrong_outside_the_config_exits_with_1(dlmlen: Dlmlen, arguments: list[str], told: str) -> None:
    done = dlmlen(*arguments)
    assert (done.code, done.stdout) == (1, "")
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_prompt_style_that_the_checkpoint_cannot_serve(dlmlen: Dlmlen, write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint(tokenizer_config={"chat_template": ...})
    done = dlmlen(f"model.path={folder}", "benchmark.prompt_style=chat_cot_4shot")
    assert done.code == 1
    assert "has no chat template, which this prompt style needs" in done.stderr
    assert dlmlen(f"model.path={folder}").code == 0


def test_a_dry_run_tells_the_plan_and_leaves_nothing(dlmlen: Dlmlen, no_model: Callable[[], None]) -> None:
    no_model()
    done = dlmlen("--dry-run", "hardware.peak_tflops=2", "hardware.memory_gib=0.01")
    assert done.code == 0
    overrides = [*SMALL, "benchmark.path=questions.jsonl", "hardware.peak_tflops=2", "hardware.memory_gib=0.01"]
    found = plan(load_config("tiny_gsm8k_fixed", overrides))
    assert done.stdout.startswith("What would run")
    assert done.cells["samples"] == ["3"]
    assert done.cells["prompt tokens"] == [str(found.prompt_tokens)]
    assert done.cells["canvas per sample"] == ["8 tokens"]
    assert done.cells["forwards"] == ["24"]
    assert done.cells["FLOPs"] == [f"{found.flops_reference / 1e9:.3g} GFLOPs"]
    assert done.cells["FLOPs executed"] == [f"{found.flops_executed / 1e9:.3g} GFLOPs"]
    assert done.cells["memory of weights"] == [f"{found.weight_bytes / 2**30:.2f} GiB"]
    words = " ".join(done.stdout.split())
    assert (
        "Time at 0.8 TFLOP/s, 40% of the matrix-product rate of the hardware profile 'cpu'; hardware=NAME plans for"
        in words
    )
    assert "does not fit into the device's memory" in words
    assert not Path("results").exists()


def test_a_dry_run_without_the_checkpoint_says_what_is_estimated(
    dlmlen: Dlmlen, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object, **__: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", unreachable)
    done = dlmlen("--dry-run", "model=llada-8b-instruct", "hardware=h100-80gb")
    assert done.code == 0
    assert done.cells["prompt tokens"][0].startswith("about ")
    assert done.cells["memory of weights"] == ["14.93 GiB"]
    words = " ".join(done.stdout.split())
    assert "tokenizer is not on this machine" in words
    assert "Warning: the prompts of gsm8k have about " in words
    assert "against the 140.7 of SmartCrop's table 1." in words
    refused = dlmlen("--dry-run", "model={path: owner/name}")
    assert refused.code == 1
    assert "A dry run without the checkpoint needs model.architecture." in refused.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_dry_run_for_an_absent_device_of_unknown_rate_tells_no_time(dlmlen: Dlmlen) -> None:
    done = dlmlen("--dry-run", "hardware.device=cuda")
    assert (done.code, done.cells["time"]) == (0, ["-"])
    assert "No time: the device is not on this machine, and hardware.peak_tflops" in " ".join(done.stdout.split())


def test_samples_that_do_not_fit_are_told(dlmlen: Dlmlen, write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint(config={"max_sequence_length": 16})
    planned = dlmlen("--dry-run", f"model.path={folder}")
    assert "3 samples can outgrow the model's positions" in " ".join(planned.stdout.split())
    done = dlmlen(f"model.path={folder}")
    assert done.code == 1, "a run of which no sample ran is no success"
    assert "3 samples could not be run (samples.jsonl says why); the first: a prompt of" in " ".join(
        done.stdout.split()
    )
    assert done.cells["samples (scored)"] == ["3 (0)"]
    assert done.cells["exact_match"] == ["-"]


def test_unscored_code_says_how_to_score_it(dlmlen: Dlmlen) -> None:
    done = dlmlen("--limit", "1", config="tiny_humaneval_fixed")
    assert done.cells["pass@1"] == ["-"]
    told = "1 sample was not scored: not executed: set benchmark.execute_code=true to run generated code."
    assert told in " ".join(done.stdout.split())


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with RunDisplay() as display:
        display.phase("generating")
        display.samples(3, 7)
        display.notice("the profile [x] does not fit")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "\x1b[" in shown.err
    assert "generating" in shown.err
    assert "3/7" in shown.err
    assert "Note: the profile [x] does not fit." in shown.err


def test_a_table_is_shown_with_its_notes_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(
        text_table("name", "title", ("", "a", "b"), (("row", "1", "2"),), ("a note with [brackets] and 3 numbers",))
    )
    shown = capsys.readouterr().out
    assert "a note with [brackets] and 3 numbers" in shown
    assert shown.splitlines()[0].strip() == "title"
    assert Console().is_terminal is False


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_an_adapter_that_is_not_there_is_refused_before_anything_runs(dlmlen: Dlmlen, more: tuple[str, ...]) -> None:
    Path("empty").mkdir()
    for adapter, told in (("./nowhere", "no such folder"), ("empty", "no adapter_config.json")):
        done = dlmlen(f"model.adapter={adapter}", *more)
        assert done.code != 0
        assert told in " ".join(done.stderr.split())
    assert not list(Path("results").rglob("samples.jsonl"))


def test_an_adapter_changes_the_answers_of_a_run(dlmlen: Dlmlen, write_checkpoint: Callable[..., Path]) -> None:
    folder, adapter, name = write_checkpoint(), Path("tuned"), "model.transformer.blocks.0.q_proj"
    out, into = load_file(folder / "model.safetensors")[f"{name}.weight"].shape
    draw = torch.Generator().manual_seed(0)
    factors = {"A": torch.randn(4, into, generator=draw), "B": torch.randn(out, 4, generator=draw)}
    adapter.mkdir()
    pairs = {f"base_model.model.{name}.lora_{half}.weight": each for half, each in factors.items()}
    save_file(pairs, adapter / "adapter_model.safetensors")
    (adapter / "adapter_config.json").write_text('{"peft_type": "LORA", "r": 4, "lora_alpha": 64}')
    plain, tuned = (dlmlen(f"model.path={folder}", *more) for more in ((), ("model.adapter=tuned",)))
    assert (plain.code, tuned.code) == (0, 0), plain.stderr + tuned.stderr
    answers = [{sample.id: sample.canvas_ids for sample in read_samples(done.path)} for done in (plain, tuned)]
    assert answers[0] != answers[1]
