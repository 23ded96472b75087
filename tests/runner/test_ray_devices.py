"""Runs on Ray's devices are those of one device, whoever dies; the driver's memory does not grow with them."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_ray import Call, FakeRay
from process_tree import workers_of
from run_fixtures import Configure, Watch

import dlm_length.runner.ray.devices
import dlm_length.runner.shards
from dlm_length.common import ConfigError, UserError
from dlm_length.config import Block, RunConfig, Study
from dlm_length.engine import Ledger, Step
from dlm_length.models import CheckpointError, MaskPredictor
from dlm_length.records import SampleRecord, Shard, read_metrics, read_samples, shard_path
from dlm_length.runner import live, run, run_shard, run_study, run_together
from dlm_length.runner.ray.worker import Loaded, Order, Report

Timeless = Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]
QUESTIONS = [f"What is {number} plus {number * number}?" + " Think." * (number % 4) for number in range(9)]
RAY = ("hardware.executor=ray", "hardware.devices=2")
CROP = ("policy.name=smartcrop", "policy.length=12")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    """A Ray whose actors are objects of this process."""
    fake = FakeRay()
    for module in (dlm_length.runner.ray.devices, dlm_length.runner.execution):
        monkeypatch.setattr(module, "import_ray", lambda: fake)
    return fake


@pytest.fixture
def ask(configure: Configure) -> Callable[..., RunConfig]:
    def ask(
        *overrides: str, where: str = "ray", asked_now: Sequence[str] = QUESTIONS, length: int | None = 8
    ) -> RunConfig:
        return configure(*overrides, asked=asked_now, where=where, length=length)

    return ask


def check_equal(config: RunConfig, whole: RunConfig, timeless: Timeless) -> None:
    assert timeless(read_samples(config.run_path)) == timeless(read_samples(whole.run_path))
    assert config.run_path.name == whole.run_path.name


@pytest.mark.parametrize("devices", [1, 3])
def test_a_run_is_that_of_one_device(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless, devices: int
) -> None:
    run(ask(*CROP, where="whole"), watch)
    config = ask(*CROP, "hardware.executor=ray", f"hardware.devices={devices}")
    assert run(config, watch).generated == 9
    check_equal(config, ask(*CROP, where="whole"), timeless)
    assert len(fake.made) == devices
    assert all(actor.dead for actor in fake.made), "no worker is left behind"
    assert not fake.initialised
    assert fake.begun[0]["address"] == "local", "whatever cluster there may be"
    assert fake.options[0] == {"num_cpus": 1, "num_gpus": 0, "max_restarts": 0}
    (session,) = json.loads((config.run_path / "environment.json").read_text())
    assert (session["executor"], session["devices"], session["threads"]) == ("ray", devices, 1)
    assert read_metrics(config.run_path).devices == devices


def test_a_study_is_that_of_one_device(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless
) -> None:
    def study(where: str, *ray: str) -> Study:
        arms = [ask(*CROP, f"policy.tau={tau}", *ray, where=where) for tau in (0.1, 0.9)]
        dealt = ask("policy.name=random_length", "policy.length=12", *ray, where=where)
        oracle = ask("policy.name=oracle", "policy.ladder=[8, 12]", *ray, where=where, length=None)
        fixed = [ask(f"policy.length={length}", *ray, where=where) for length in (8, 12)]
        return Study("s", (Block(fixed[1], (*arms, dealt, fixed[0], oracle)),))

    here, there = study("whole"), study("ray", *RAY)
    run_study(here, watch)
    made = run_study(there, watch)
    for config, whole in zip(there.blocks[0].all, here.blocks[0].all, strict=True):
        check_equal(config, whole, timeless)
    assert 0 < made.forwards_run < made.forwards_requested, "arms of a prompt share forwards"
    assert len(fake.made) == 2, "the workers of the first runs serve all"


def test_a_run_goes_on_with_any_number_of_devices(
    fake: FakeRay,
    ask: Callable[..., RunConfig],
    watch: Watch,
    interrupting: Callable[[int], Watch],
    timeless: Timeless,
) -> None:
    run(ask(where="whole"), watch)
    for executor, stop in ((RAY, 2), ((), 5)):
        with pytest.raises(KeyboardInterrupt):
            run(ask(*executor), interrupting(stop))
        assert all(actor.dead for actor in fake.made)
        assert not fake.initialised
    run(ask("hardware.executor=ray", "hardware.devices=3"), watch)
    check_equal(ask(), ask(where="whole"), timeless)


@pytest.mark.parametrize("deadly", [1, 3, 6])
def test_what_a_dead_worker_had_goes_to_another(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless, deadly: int
) -> None:
    run(ask(where="whole"), watch)
    fake.dies = lambda _, number: number == deadly
    config = ask(*RAY)
    run(config, watch)
    check_equal(config, ask(where="whole"), timeless)
    assert len(fake.made) == 3
    (notice,) = watch.notices
    assert notice.endswith("its samples go to others: it was killed by the test")


def deadly(poison: set[str]) -> Callable[[Call, int], bool]:
    """Each worker dies that is given one of these samples."""
    holding: dict[int, set[str]] = {}

    def dies(call: Call, _: int) -> bool:
        orders: Sequence[Order] = call.given[0]
        holding.setdefault(id(call.actor), set()).update(order.sample_id for order in orders)
        return bool(poison & holding[id(call.actor)])

    return dies


def test_a_sample_that_kills_two_workers_fails_with_the_reason(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless
) -> None:
    poison = {"gsm8k/4"}
    fake.dies = deadly(poison)
    run(ask(where="whole"), watch)
    config = ask("hardware.max_batch_tokens=1", "hardware.executor=ray", "hardware.devices=3")
    run(config, watch)
    records = {record.id: record for record in read_samples(config.run_path)}
    failed = {name for name, record in records.items() if record.error is not None}
    assert poison <= failed
    reason = "the workers that had this sample died 2 times (it was killed by the test)"
    assert {records[name].error for name in failed} == {reason}
    whole = timeless(read_samples(ask(where="whole").run_path))
    assert len(records) == 9
    assert {n: r for n, r in timeless(list(records.values())).items() if n not in failed} == {
        name: record for name, record in whole.items() if name not in failed
    }
    assert read_metrics(config.run_path).failed == len(failed)
    fake.dies = lambda *_: False
    again = run(config, watch)  # the deaths were the machine's: the same command tries these samples once more
    assert (again.generated, again.metrics.failed) == (len(failed), 0)
    check_equal(config, ask(where="whole"), timeless)
    assert run(config, watch).generated == 0


def test_a_sample_that_failed_and_was_merged_is_tried_again_by_the_whole_run_alone(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by its shard, whose sample would then be in the run twice: a killed merge leaves the shards."""
    run(ask(where="whole"), watch)
    config = ask("hardware.max_batch_tokens=1", "hardware.executor=ray", "hardware.devices=3")
    fake.dies = deadly({"gsm8k/4"})
    run_shard([config], Shard(1, 2), watch)
    failed = [record for record in read_samples(shard_path(config.run_path, Shard(1, 2))) if record.error is not None]
    assert failed
    fake.dies = lambda *_: False
    with monkeypatch.context() as patched:
        patched.setattr(dlm_length.runner.shards, "summarise", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_shard([config], Shard(2, 2), watch)
    again = run_shard([config], Shard(1, 2), watch)
    assert (again.generated, again.merged) == (0, (config.run_path,))
    assert again.lost == {config.run_path: tuple(record.id for record in failed)}
    assert read_metrics(config.run_path).failed == len(failed)
    assert run(config, watch).generated == len(failed)
    check_equal(config, ask(where="whole"), timeless)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_samples_that_fail_in_a_shard_are_tried_again_by_its_command(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless
) -> None:
    run(ask(where="whole"), watch)
    config = ask("hardware.max_batch_tokens=1", "hardware.executor=ray", "hardware.devices=3")
    shard = Shard(1, 2)
    fake.dies = deadly({"gsm8k/4"})
    assert run_shard([config], shard, watch).generated == 5
    failed = [record for record in read_samples(shard_path(config.run_path, shard)) if record.error is not None]
    assert failed
    fake.dies = lambda *_: False
    assert run_shard([config], shard, watch).generated == len(failed)
    run_shard([config], Shard(2, 2), watch)
    check_equal(config, ask(where="whole"), timeless)


def test_twenty_deaths_at_random_moments_lose_and_double_nothing(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, timeless: Timeless
) -> None:
    draw = random.Random(0)
    holding: dict[int, set[str]] = {}
    hit: set[str] = set()
    deaths = 0

    def dies(call: Call, _: int) -> bool:
        nonlocal deaths
        mine = holding.setdefault(id(call.actor), set())
        mine.update(order.sample_id for order in call.given[0])
        if deaths == 20 or draw.random() < 0.5 or mine & hit:  # hit twice, a sample fails, as another test shows
            return False
        deaths += 1
        hit.update(mine)
        return True

    fake.dies = dies
    more = [f"What is {number} times 3?" + " Think." * (number % 5) for number in range(30)]
    whole = ask("benchmark.limit=null", where="whole", asked_now=more, length=4)
    run(whole, watch)
    runs = 0
    while deaths < 20:
        hit.clear()
        runs += 1
        there = ask("benchmark.limit=null", *RAY, where=f"ray{runs}", asked_now=more, length=4)
        run(there, watch)
        check_equal(there, whole, timeless)
    assert sum(notice.startswith(("a worker died", "a device is given up")) for notice in watch.notices) == 20


def test_workers_that_never_start_are_given_up(fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch) -> None:
    fake.dies = lambda *_: True
    run(ask("hardware.executor=ray", "hardware.devices=1", "benchmark.limit=1"), watch)  # one sample fails twice
    config = ask(*RAY, where="other")
    with pytest.raises(UserError, match=r"no worker is left.*killed by the test.*the same command continues it"):
        run(config, watch)
    fake.dies = lambda *_: False
    run(config, watch)
    assert len({record.id for record in read_samples(config.run_path)}) == 9


def test_what_a_worker_says_to_the_user_reaches_them(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: Any, **__: Any) -> MaskPredictor:
        raise CheckpointError("checkpoint x: has no weights.")

    monkeypatch.setattr("dlm_length.runner.model.load_model", load)
    with pytest.raises(CheckpointError, match="checkpoint x: has no weights"):
        run(ask(*RAY), watch)
    assert all(actor.dead for actor in fake.made)


def test_workers_that_differ_are_refused(
    fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["2.13.0", "2.9.0"])
    real = dlm_length.runner.ray.worker.environment
    monkeypatch.setattr(
        dlm_length.runner.ray.worker, "environment", lambda *a, **k: real(*a, **k) | {"torch": next(versions)}
    )
    with pytest.raises(UserError, match=r"two workers differ in torch: 2.13.0 and 2.9.0"):
        run(ask(*RAY), watch)


def test_more_devices_than_there_are_is_refused(fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch) -> None:
    fake.initialised = True  # someone's cluster, of four cores
    with pytest.raises(ConfigError, match=r"hardware.devices: found 5, Ray has room for 4 CPU workers of 1 threads"):
        run(ask("hardware.executor=ray", "hardware.devices=5"), watch)
    assert fake.initialised, "a cluster that was there stays"


@dataclass
class Stub:
    """A worker that answers its orders at once, and remembers what it was handed."""

    directory: str
    handed: list[list[str]] = field(default_factory=list)
    room = 200

    def begin(self, arms: Sequence[Any], checkpoint: str, neighbours: int) -> Loaded:
        from dlm_length.common import SpecialTokens

        self.tokens = SpecialTokens(mask=0, eos=1)
        return Loaded({"dtype": "float32", "checkpoint": checkpoint}, self.tokens, (), self.room)

    def exchange(self, orders: Sequence[Order], *, more: bool, patience: float) -> Report:
        self.handed.append([order.sample_id for order in orders])
        finished = [self.answer(order, arm) for order in orders for arm in order.arms]
        return Report(finished, Step(len(finished), 0, 0.0), (), 0, self.room, self.room)

    def answer(self, order: Order, arm: int) -> Mapping[str, Any]:
        names = ("trajectory", "changes", "forwards")
        fields = {"index": 0, "arm": arm, "sample_id": order.sample_id, "prompt_ids": order.prompt, "error": None}
        fields["ran_uncached"] = False
        more = {"canvas_ids": [5] * 8, "ledger": Ledger(), "tokens": self.tokens}
        return fields | more | {name: [] for name in names}


def test_the_costliest_are_handed_out_first_and_all_end_together(
    fake: FakeRay, configure: Configure, watch: Watch
) -> None:
    fake.worker = Stub
    asked = ["Add." * (1 + number) for number in range(24)]
    run(configure(*RAY, asked=asked, where="ray"), watch)
    handed = [batch for actor in fake.made for batch in actor.target.handed if batch]
    first = {actor.target.handed[0][0] for actor in fake.made}
    assert "gsm8k/23" in first
    assert all(int(name.partition("/")[2]) >= 18 for name in first), "the other is ready a moment later"
    for batch in handed:
        numbers = [int(name.partition("/")[2]) for name in batch]
        assert numbers == sorted(numbers, reverse=True)
    counts = [sum(len(batch) for batch in actor.target.handed) for actor in fake.made]
    assert sum(counts) == 24
    assert max(counts) - min(counts) <= 4
    longest = fake.made[0].target.handed[0]
    assert 1 < len(longest) < 12, "what a forward has room for, and a little more"


def held_after(config: RunConfig, *counts: int) -> list[int]:
    """Bytes that this process holds when that many samples of the run are on disk."""
    held: list[int] = []

    class Measuring(Watch):
        def samples(self, done: int, total: int) -> None:
            if done == 1:
                tracemalloc.start()
            if done in counts:
                held.append(tracemalloc.get_traced_memory()[0])

    try:
        run(config, Measuring())
    finally:
        tracemalloc.stop()
    assert read_metrics(config.run_path).samples == counts[-1]
    return held


@pytest.fixture
def many(
    fake: FakeRay, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> Callable[[int, Sequence[str]], RunConfig]:
    """A run on so many questions, by the real driver: on its own engine, or on workers that answer at once."""
    fake.worker = Stub
    monkeypatch.setattr(Stub, "handed", property(lambda _: [], lambda *_: None), raising=False)
    monkeypatch.setattr(os, "fsync", lambda _: None)

    def many(count: int, devices: Sequence[str]) -> RunConfig:
        asked = [f"What is {number} plus 1?" for number in range(count)]
        small = ("benchmark.limit=null", "policy.length=1", "hardware.max_batch_tokens=4000", "hardware.threads=1")
        return configure(*devices, *small, asked=asked, where="many")

    return many


# A record is 2 kB on disk: kept, 8,000 of them would be 16 MB and more.
@pytest.mark.slow
@pytest.mark.parametrize("devices", [RAY, ()], ids=["ray", "one process"])
def test_the_drivers_memory_is_flat_over_10_000_samples(
    many: Callable[[int, Sequence[str]], RunConfig], devices: Sequence[str]
) -> None:
    first, half, last = held_after(many(10_000, devices), 2_000, 6_000, 10_000)
    assert last - first < 500_000
    assert half - first < 500_000


@pytest.mark.parametrize("devices", [RAY, ()], ids=["ray", "one process"])
def test_the_measure_of_the_drivers_memory_sees_records_that_are_kept(
    many: Callable[[int, Sequence[str]], RunConfig], monkeypatch: pytest.MonkeyPatch, devices: Sequence[str]
) -> None:
    """So that the bound above means something: a tenth of those records exceeds it already."""
    kept: list[SampleRecord] = []
    monkeypatch.setattr(live.LiveRun, "kept", lambda _, record: kept.append(record))
    first, last = held_after(many(1_000, devices), 200, 1_000)
    assert last - first > 500_000


LOCAL = """
import sys
from dlm_length.cli.main import run
sys.argv = ["dlmlen", *sys.argv[1:]]
try:
    run()
except SystemExit as left:
    code = left.code
print("ray imported" if any(name.partition(".")[0] == "ray" for name in sys.modules) else "no ray", code or 0)
"""


def test_nothing_of_ray_is_imported_unless_it_is_asked_for(
    ask: Callable[..., RunConfig], command: Callable[[RunConfig], list[str]], python: Callable[..., list[str]]
) -> None:
    done = subprocess.run(python(LOCAL, *command(ask())), capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "no ray 0", done.stdout + done.stderr


def test_without_ray_the_install_is_named(
    ask: Callable[..., RunConfig], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"Ray is not installed; `pip install 'dlmlen\[ray\]'`"):
        run(ask(*RAY), watch)
    assert "preparing the prompts" not in watch.phases


def test_a_cluster_that_is_not_there_is_named(ask: Callable[..., RunConfig], watch: Watch) -> None:
    pytest.importorskip("ray")
    config = ask("hardware.executor=ray", "hardware.address=127.0.0.1:1")
    with pytest.raises(UserError, match=r"hardware.address: no Ray cluster answers at 127.0.0.1:1"):
        run(config, watch)


DRIVER = """
import json, sys
from dlm_length.cli.main import run
sys.argv = ["dlmlen", *sys.argv[1:]]
run()
"""


@pytest.fixture
def driver(
    command: Callable[[RunConfig], list[str]], python: Callable[..., list[str]]
) -> Iterator[Callable[[RunConfig], "subprocess.Popen[str]"]]:
    """Starts a run in a process of its own, which is ended with the test."""
    pytest.importorskip("ray")
    started: list[subprocess.Popen[str]] = []

    def start(config: RunConfig) -> "subprocess.Popen[str]":
        arguments = python(DRIVER, *command(config), f"experiment={config.experiment}")
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def until(happened: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 240.0) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


def samples_of(config: RunConfig) -> list[bytes]:
    return (config.run_path / "samples.jsonl").read_bytes().splitlines(keepends=True)


def lines(config: RunConfig) -> int:
    file = config.run_path / "samples.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the workers in /proc")
def test_real_workers_may_be_killed_and_the_driver_interrupted(
    configure: Configure,
    watch: Watch,
    timeless: Timeless,
    driver: Callable[[RunConfig], "subprocess.Popen[str]"],
) -> None:
    asked = [f"What is {number} plus {number * number}?" for number in range(30)]
    overrides = ("benchmark.limit=null", "policy.length=48", "hardware.max_batch_tokens=250", "hardware.threads=1")
    whole = configure(*overrides, asked=asked, where="whole")
    run(whole, watch)
    config = configure(*overrides, *RAY, asked=asked, where="ray")
    first = driver(config)
    killed: set[int] = set()
    for count in (2, 10):
        until(lambda least=count: lines(config) >= least and bool(set(workers_of(first.pid)) - killed), first)
        victim = max(set(workers_of(first.pid)) - killed)
        os.kill(victim, signal.SIGKILL)
        killed.add(victim)
    until(lambda: lines(config) >= 16, first)
    left = workers_of(first.pid)
    first.send_signal(signal.SIGINT)
    text, _ = first.communicate(timeout=120)
    assert first.returncode == 130, text
    assert "Interrupted; the same command continues" in text
    assert "a worker died and is started again" in text
    assert not [process for process in left if Path(f"/proc/{process}").exists()], "no worker is left behind"
    whole_lines = [line for line in samples_of(config) if line.endswith(b"\n")]
    # A sample that was with both killed workers has failed, and the same command generates it again.
    before = [line for line in whole_lines if json.loads(line)["error"] is None]
    second = driver(config)
    text, _ = second.communicate(timeout=300)
    assert second.returncode == 0, text
    assert samples_of(config)[: len(before)] == before
    check_equal(config, whole, timeless)


def test_sigterm_still_interrupts_after_ray_began(fake: FakeRay, ask: Callable[..., RunConfig], watch: Watch) -> None:
    assert threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    fake.init = lambda **_: signal.signal(signal.SIGTERM, signal.SIG_IGN)  # type: ignore[method-assign,assignment]
    run_together([ask(*RAY, "benchmark.limit=1")], watch)
    assert signal.getsignal(signal.SIGTERM) is before
