"""A run in shards is the run that it would be as a whole, in whatever order they are made and wherever they stop."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from run_fixtures import Configure, Watch

import dlm_length.runner.shards
from dlm_length.common import ConfigError
from dlm_length.config import Block, RunConfig, Study
from dlm_length.records import RecordError, SampleRecord, Shard, read_metrics, read_samples, shard_path
from dlm_length.runner import merge, run, run_shard, run_study, run_study_shard
from dlm_length.runner.shards import shards_by_id

Timeless = Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]
QUESTIONS = [f"What is {number} plus {number * number}?" for number in range(9)]
TIMES = {"forward_seconds", "wall_clock_seconds", "tokens_per_second"}
DLMLEN = "from dlm_length.cli.main import run; run()"


@pytest.fixture
def ask(configure: Configure) -> Callable[..., RunConfig]:
    """A run on nine questions; `where` tells runs of equal configs apart."""
    return lambda *overrides, where="sharded": configure(*overrides, asked=QUESTIONS, where=where)


def check_equal(path: Path, whole: Path, timeless: Timeless) -> None:
    assert timeless(read_samples(path)) == timeless(read_samples(whole))
    assert path.name == whole.name
    assert read_metrics(path).model_dump(exclude=TIMES) == read_metrics(whole).model_dump(exclude=TIMES)
    assert not (path / "shards").exists()


def test_shards_in_any_order_make_the_run(ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless) -> None:
    whole = run(ask(where="whole"), watch)
    config = ask()
    for number in (3, 1, 4):
        made = run_shard([config], Shard(number, 4), watch)
        assert (made.merged, made.waiting) == ((), (config.run_path,))
        assert not (config.run_path / "metrics.json").exists()
    last = run_shard([config], Shard(2, 4), watch)
    assert (last.generated, last.merged) == (2, (config.run_path,))
    check_equal(config.run_path, whole.path, timeless)
    again = run_shard([config], Shard(3, 4), watch)
    assert (again.generated, again.merged) == (0, (config.run_path,))
    assert run(config, watch).generated == 0


def test_every_sample_is_in_one_shard(ask: Callable[..., RunConfig]) -> None:
    problems = ask().benchmark.problems()
    shards = shards_by_id(problems, 4)
    assert [shards[problem.id].number for problem in problems] == [1, 2, 3, 4, 1, 2, 3, 4, 1]


def test_a_missing_shard_is_named_with_what_to_run(
    ask: Callable[..., RunConfig], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ask()
    monkeypatch.setattr("sys.argv", ["/bin/dlmlen", "run", "--config", "c", "--shard", "1/3", "--fresh"])
    for number in (1, 3):
        run_shard([config], Shard(number, 3), watch)
    missing = r"shard 2/3 is not there, and so lacks 3 samples \(gsm8k/1, gsm8k/4, gsm8k/7\);"
    with pytest.raises(RecordError, match=missing + r" run `dlmlen run --config c --shard 2/3`"):
        merge([config.run_path], watch)
    samples = shard_path(config.run_path, Shard(3, 3)) / "samples.jsonl"
    samples.write_bytes(b"".join(samples.read_bytes().splitlines(keepends=True)[:2]))
    with pytest.raises(RecordError, match=r"shard 3/3 lacks 1 sample"):
        merge([config.run_path], watch)
    for number in (2, 3):
        assert run_shard([config], Shard(number, 3), watch).generated == (3 if number == 2 else 1)
    assert merge([config.run_path.parent], watch).merged == ()


def test_a_doubled_shard_is_named(ask: Callable[..., RunConfig], watch: Watch) -> None:
    config = ask()
    for number in (1, 2):
        run_shard([config], Shard(number, 3), watch)
    first, third = (shard_path(config.run_path, Shard(number, 3)) for number in (1, 3))
    third.mkdir()
    for name in ("config.yaml", "environment.json"):
        (third / name).write_bytes((first / name).read_bytes())
    again = [record.model_copy(update={"elapsed": 99.0}) for record in read_samples(first)]
    (third / "samples.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in again))
    with pytest.raises(RecordError, match="3 samples were generated twice, in shard 1/3 and in shard 3/3: gsm8k/0"):
        merge([config.run_path], watch)


def test_shards_of_another_config_are_refused(ask: Callable[..., RunConfig], watch: Watch) -> None:
    config, other = ask(), ask("policy.length=12", where="other")
    run_shard([config], Shard(1, 2), watch)
    run_shard([other], Shard(2, 2), watch)
    shard_path(other.run_path, Shard(2, 2)).rename(shard_path(config.run_path, Shard(2, 2)))
    with pytest.raises(RecordError, match=f"shard 2/2 has the config of another run, {other.run_name}"):
        merge([config.run_path], watch)


def test_a_whole_run_takes_up_what_shards_have_made(
    ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless
) -> None:
    whole = run(ask(where="whole"), watch)
    config = ask()
    run_shard([config], Shard(2, 4), watch)
    assert run(config, watch).generated == 7
    check_equal(config.run_path, whole.path, timeless)
    assert watch.notices == ["unmerged shards are merged: 2/4"]


def test_an_interrupted_merge_is_made_again(
    ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(ask(where="whole"), watch)
    config = ask()
    run_shard([config], Shard(1, 2), watch)
    with monkeypatch.context() as patched:
        patched.setattr(dlm_length.runner.shards, "summarise", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_shard([config], Shard(2, 2), watch)
    assert merge([config.run_path], watch).merged == (config.run_path,)
    check_equal(config.run_path, whole.path, timeless)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_more_samples_can_be_asked_of_shards_later(
    ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless
) -> None:
    whole = run(ask(where="whole"), watch)
    for limit, generated in ((5, 5), (9, 4)):
        config = ask(f"benchmark.limit={limit}")
        made = [run_shard([config], Shard(number, 2), watch).generated for number in (1, 2)]
        assert sum(made) == generated
        assert read_metrics(config.run_path).samples == limit
    assert timeless(read_samples(config.run_path)) == timeless(read_samples(whole.path))


def test_a_sweep_in_shards_is_the_sweep(ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless) -> None:
    def study(where: str) -> Study:
        crop = ("policy.name=smartcrop", "policy.length=12")
        runs = [ask(*crop, f"policy.tau={tau}", where=where) for tau in (0.1, 0.9)]
        dealt = ask("policy.name=random_length", "policy.length=12", where=where)
        return Study("s", (Block(ask("policy.length=12", where=where), (*runs, dealt)),))

    whole = run_study(study("whole"), watch)
    for number in (2, 1, 3):
        made = run_study_shard(study("sharded"), Shard(number, 3), watch)
    assert len(made.merged) == 4
    for config, other in zip(study("sharded").blocks[0].all, study("whole").blocks[0].all, strict=True):
        check_equal(config.run_path, other.run_path, timeless)
    assert whole.forwards_run < whole.forwards_requested


def test_runs_that_learn_from_others_wait_for_these(configure: Configure, watch: Watch, timeless: Timeless) -> None:
    def study(where: str) -> Study:
        ladder = tuple(configure(length=length, asked=QUESTIONS, where=where) for length in (8, 12))
        overrides = ("policy.name=oracle", "policy.ladder=[8, 12]")
        oracle = configure(*overrides, length=None, asked=QUESTIONS, where=where)
        return Study("s", (Block(None, (oracle, *ladder)),))

    run_study(study("whole"), watch)
    first = [run_study_shard(study("sharded"), Shard(number, 2), watch) for number in (1, 2)]
    oracle = study("sharded").blocks[0].all[0]
    assert [made.left_out for made in first] == [(oracle.run_path,)] * 2
    assert len(first[1].merged) == 2
    with pytest.raises(ConfigError, match="learns from finished, scored runs"):
        run_shard([configure("policy.name=oracle", "policy.ladder=[8, 16]", length=None)], Shard(1, 2), watch)
    for number in (1, 2):
        second = run_study_shard(study("sharded"), Shard(number, 2), watch)
    assert oracle.run_path in second.merged
    check_equal(oracle.run_path, study("whole").blocks[0].all[0].run_path, timeless)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    """Those that a test starts; none outlives it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_shards_in_parallel_processes_one_of_them_killed(
    ask: Callable[..., RunConfig],
    watch: Watch,
    timeless: Timeless,
    command: Callable[[RunConfig], list[str]],
    python: Callable[..., list[str]],
    processes: list[subprocess.Popen[str]],
) -> None:
    overrides = ("policy.length=64", "hardware.max_batch_tokens=1", "hardware.threads=1")
    whole = run(ask(*overrides, where="whole"), watch)
    config = ask(*overrides)

    def start(number: int) -> subprocess.Popen[str]:
        arguments = python(DLMLEN, *command(config), f"experiment={config.experiment}", "--shard", f"{number}/5")
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        return process

    first = start(1)
    samples = shard_path(config.run_path, Shard(1, 5)) / "samples.jsonl"
    until = time.monotonic() + 120
    while not samples.exists() or samples.read_bytes().count(b"\n") < 1:
        assert first.poll() is None, first.communicate()
        assert time.monotonic() < until
        time.sleep(0.002)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    written = samples.read_bytes()
    written = written[: written.rfind(b"\n") + 1]
    assert 1 <= written.count(b"\n") <= 2
    ended = [(process, process.communicate(timeout=300)[0]) for process in [start(number) for number in range(1, 6)]]
    assert [process.returncode for process, _ in ended] == [0] * 5, ended
    assert sum("All shards are merged" in text for _, text in ended) >= 1
    check_equal(config.run_path, whole.path, timeless)
    ids = {json.loads(line)["id"] for line in written.splitlines()}
    kept = {record.id: record.elapsed for record in read_samples(config.run_path) if record.id in ids}
    assert kept == {(line := json.loads(each))["id"]: line["elapsed"] for each in written.splitlines()}
