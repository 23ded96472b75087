import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from run_fixtures import Configure, Watch

import dlm_length.runner.execution
from dlm_length.common import UserError
from dlm_length.config import RunConfig
from dlm_length.records import ProgressRecord, RecordError, Shard, read_progress, read_samples
from dlm_length.runner import live, run, run_shard, run_together
from dlm_length.runner.live import CostLeft
from dlm_length.tracking import GuardedTracker, check_tracker, guarded


class Stub:
    """A tracker that remembers, or raises in the method named."""

    failing = ""
    made: list["Stub"] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, _: object) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.made.append(self)

    def _note(self, name: str, value: object) -> None:
        self.calls.append((name, value))
        if name == self.failing:
            raise RuntimeError("the server is gone.")

    def start(self, config: Mapping[str, Any]) -> None:
        self._note("start", config)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._note("log", (step, values))

    def finish(self, metrics: Mapping[str, float], artifacts: Sequence[Path]) -> None:
        self._note("finish", (metrics, artifacts))


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> type[Stub]:
    monkeypatch.setattr(guarded, "_adapter", lambda _: Stub)
    monkeypatch.setattr(Stub, "made", [])
    return Stub


def test_a_run_keeps_a_log_and_ends_its_progress(configure: Configure, watch: Watch) -> None:
    made = run(configure(), watch)
    log = (made.path / "run.log").read_text()
    assert "4 of 4 samples" in log
    assert "finished: " in log
    assert read_progress(made.path) is None, "a finished run is not in progress"
    last = watch.statuses[-1]
    assert (last.done, last.total, last.seconds_left) == (4, 4, 0.0)
    assert last.score == made.metrics.score
    assert "CPU" in last.device_use


def test_failed_samples_are_shown_apart(
    configure: Configure, watch: Watch, write_checkpoint: Callable[..., Path]
) -> None:
    asked = ["What is 1 plus 1?", "What is " + "1 plus " * 200 + "1?", "What is 2 plus 2?"]
    made = run(configure(f"model.path={write_checkpoint()}", asked=asked), watch)
    last = watch.statuses[-1]
    assert (last.done, last.failed, last.total) == (2, 1, 3)
    assert last.line().startswith("2 of 3 samples, 1 failed, ")
    assert "2 of 3 samples, 1 failed" in (made.path / "run.log").read_text()


def test_an_interrupted_run_says_so_and_its_log_goes_on(
    configure: Configure, watch: Watch, interrupting: Callable[[int], Watch]
) -> None:
    config = configure("hardware.max_batch_tokens=1")
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(2))
    progress = read_progress(config.run_path)
    assert progress is not None
    assert (progress.state, progress.done, progress.total) == ("interrupted", 2, 4)
    run(config, watch)
    log = (config.run_path / "run.log").read_text()
    assert log.count("begins: ") == 2
    assert "2 of 4 samples are on disk" in log
    again = run(config, watch, fresh=True)
    assert (again.path / "run.log").read_text().count("begins: ") == 1, "the earlier log was set aside"


def test_a_log_has_each_line_once_after_a_session_that_could_not_be_finished(
    configure: Configure, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(dlm_length.runner.execution, "summarise", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(configure("benchmark.limit=2"), watch)
    made = run(configure(), watch)
    assert made.generated == 2
    assert (made.path / "run.log").read_text().count("begins: ") == 2


def test_a_disk_that_is_full_for_progress_and_log_ends_no_run(
    configure: Configure, watch: Watch, capfd: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("a device that is always full is needed")
    config = configure()
    config.run_path.mkdir(parents=True)
    (config.run_path / "run.log").symlink_to("/dev/full")
    made = run(config, watch)
    assert len(read_samples(made.path)) == 4
    (notice,) = [sentence for sentence in watch.notices if "run.log: cannot be written" in sentence]
    assert "the run goes on" in notice
    assert "Traceback" not in capfd.readouterr().err


def test_progress_that_cannot_be_written_hides_no_interrupt(
    configure: Configure, interrupting: Callable[[int], Watch], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[ProgressRecord] = []

    def full(folder: Path, progress: ProgressRecord) -> None:
        begun.append(progress)
        if len(begun) > 1:
            raise RecordError(f"{folder / 'progress.json'}: cannot be written (No space left on device).")

    monkeypatch.setattr(live, "write_progress", full)
    config, watch = configure("hardware.max_batch_tokens=1"), interrupting(2)
    with pytest.raises(KeyboardInterrupt):
        run(config, watch)
    assert len(read_samples(config.run_path)) == 2
    assert len([sentence for sentence in watch.notices if "progress.json: cannot be written" in sentence]) == 1


def test_a_tracker_hears_config_and_metrics_and_the_hash_stays(
    configure: Configure, watch: Watch, stub: type[Stub]
) -> None:
    plain, tracked = configure(), configure("tracking=wandb")
    assert tracked.run_name == plain.run_name
    made = run(tracked, watch)
    (tracker,) = stub.made
    names = [name for name, _ in tracker.calls]
    assert (names[0], names[-1]) == ("start", "finish")
    assert "log" in names
    assert tracker.calls[0][1] == made_config(made.path)
    metrics, files = tracker.calls[-1][1]
    assert metrics["samples"] == 4.0
    assert {file.name for file in files} >= {"metrics.json", "config.yaml", "run.log"}
    run(tracked, watch)
    assert len(stub.made) == 1, "a finished run has nothing to track"


def made_config(path: Path) -> Any:
    from dlm_length.config import load_config

    return load_config(path / "config.yaml").model_dump(mode="json")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "moment",
    [
        "dlm_length.runner.execution.summarise",  # between the last sample and the metrics
        "dlm_length.records.RunFolder.finish",
        "dlm_length.runner.execution.read_summaries",
        "dlm_length.runner.live.read_metrics",  # after metrics.json was written
        "dlm_length.runner.live._final",
        "dlm_length.runner.live.LiveRun.look",
        "dlm_length.runner.generate.LiveRuns",
    ],
)
def test_an_interrupt_at_any_moment_closes_the_tracker_and_the_log(
    configure: Configure, watch: Watch, stub: type[Stub], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    runs = [configure("tracking=wandb"), configure("tracking=wandb", "policy.block_length=4")]
    with monkeypatch.context() as patched:
        patched.setattr(moment, interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_together(runs, watch)
    loggers = [each for each in logging.root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    assert not [one for logger in loggers for one in logger.handlers if isinstance(one, live._LogFile)]
    assert len(stub.made) == 2
    for tracker in stub.made:
        assert [name for name, _ in tracker.calls].count("finish") == 1
        assert tracker.calls[-1] == ("finish", ({}, []))
    for config in runs:
        progress = read_progress(config.run_path)
        assert (progress is None) == (config.run_path / "metrics.json").exists()
        assert progress is None or progress.state == "interrupted"
    for made in run_together(runs, watch).finished:
        assert len(read_samples(made.path)) == 4
        assert read_progress(made.path) is None


def test_a_shard_that_is_interrupted_after_its_last_sample_closes_the_tracker(
    configure: Configure, watch: Watch, stub: type[Stub], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live.LiveRun, "finish", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_shard([configure("tracking=wandb")], Shard(1, 2), watch)
    (tracker,) = stub.made
    assert tracker.calls[-1] == ("finish", ({}, []))


def test_a_run_that_cannot_begin_closes_the_trackers_of_those_made_with_it(
    configure: Configure, watch: Watch, stub: type[Stub]
) -> None:
    first, second = configure("tracking=wandb"), configure("tracking=wandb", "policy.block_length=4")
    (second.run_path / "run.log").mkdir(parents=True)
    with pytest.raises(UserError, match=r"run\.log: cannot be written"):
        run_together([first, second], watch)
    (tracker,) = stub.made
    assert tracker.calls[-1] == ("finish", ({}, []))


def test_an_interrupt_while_the_tracker_takes_the_results_lets_it_close_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, closed = threading.Event(), threading.Event()
    waits: list[float] = []

    class Slow(Stub):
        def finish(self, *_: object) -> None:
            begun.set()
            time.sleep(0.2)
            closed.set()

    tracker = GuardedTracker("wandb", lambda: Slow(None), [].append).started({})
    whole = GuardedTracker._wait

    def interrupted(self: GuardedTracker, patience: float, **given: float) -> None:
        waits.append(patience)
        if len(waits) == 1:
            begun.wait()
            raise KeyboardInterrupt
        whole(self, patience, **given)

    monkeypatch.setattr(GuardedTracker, "_wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tracker.finish({"score": 1.0}, [])
    assert closed.is_set()
    assert waits == [guarded.PATIENCE, guarded.GRACE_SECONDS]


@pytest.mark.parametrize("method", ["start", "log", "finish"])
def test_a_tracker_that_fails_is_reported_once_and_ends_no_run(
    configure: Configure, watch: Watch, stub: type[Stub], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(stub, "failing", method)
    made = run(configure("tracking=mlflow"), watch)
    assert len(read_samples(made.path)) == 4
    (told,) = [sentence for sentence in watch.notices if "tracking with mlflow ended" in sentence]
    assert told.endswith("the server is gone")


@pytest.mark.parametrize("method", ["", "start", "log", "finish"])
def test_a_tracker_that_hangs_stalls_no_run(
    configure: Configure, watch: Watch, stub: type[Stub], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """`""` hangs as it is made."""
    for_ever = threading.Event()
    real = Stub._note
    monkeypatch.setattr(guarded, "PATIENCE", 0.2)
    monkeypatch.setattr(
        Stub, "_note", lambda self, name, value: for_ever.wait() if name == method else real(self, name, value)
    )
    if not method:
        monkeypatch.setattr(guarded, "_adapter", lambda _: lambda _run: for_ever.wait())
    try:
        made = run(configure("tracking=wandb"), watch)
    finally:
        for_ever.set()
    assert len(read_samples(made.path)) == 4
    assert "finished: " in (made.path / "run.log").read_text()
    told = [sentence for sentence in watch.notices if "tracking" in sentence]
    assert told == ["tracking with wandb ended, and the run goes on without it: it has not answered for 0.2 s"]


def test_an_interrupted_run_leaves_soon_whatever_its_tracker_does(
    configure: Configure, interrupting: Callable[[int], Watch], stub: type[Stub], monkeypatch: pytest.MonkeyPatch
) -> None:
    for_ever = threading.Event()
    monkeypatch.setattr(guarded, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(Stub, "start", lambda *_: for_ever.wait())
    watch = interrupting(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(configure("tracking=wandb", "hardware.max_batch_tokens=1"), watch)
    finally:
        for_ever.set()
    assert any("has not answered for 0.1 s" in sentence for sentence in watch.notices)


def test_values_that_wait_give_way_to_newer_ones() -> None:
    busy, told = threading.Event(), list[str]()
    tracker = GuardedTracker("wandb", lambda: (busy.wait(), Stub(None))[1], told.append).started({})
    for step in range(100):
        tracker.log(step, {"live/score": 1.0})
    busy.set()
    tracker.finish({}, [])
    assert [value for name, value in Stub.made[-1].calls if name == "log"] == [(99, {"live/score": 1.0})]
    assert told == []


def test_a_library_that_cannot_be_imported_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise TypeError("Descriptors cannot be created directly")

    monkeypatch.setattr(guarded, "import_module", broken)
    with pytest.raises(UserError, match=r"wandb is installed, but cannot be imported \(TypeError: Descriptors"):
        check_tracker("wandb")


def test_a_missing_library_is_named_before_anything_is_generated(
    configure: Configure, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trackio", None)
    monkeypatch.delitem(sys.modules, "dlm_length.tracking.trackio_tracker", raising=False)
    config = configure("tracking=trackio")
    with pytest.raises(UserError, match=r"pip install 'dlmlen\[trackio\]'"):
        run(config, watch)
    assert not config.run_path.exists()


def test_no_tracker_is_imported_unless_it_is_asked_for(
    configure: Callable[..., RunConfig], command: Callable[[RunConfig], list[str]]
) -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom dlm_length.cli.main import app\n"
        f"result = CliRunner().invoke(app, {command(configure())!r})\nassert result.exit_code == 0, result.output\n"
        "print(sorted({'wandb', 'trackio', 'mlflow', 'tensorboard'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_a_guarded_tracker_survives_its_own_making() -> None:
    told: list[str] = []

    def broken() -> Stub:
        raise SystemExit("no account")

    tracker = GuardedTracker("wandb", broken, told.append).started({})
    tracker.finish({}, [])
    assert told == ["tracking with wandb ended, and the run goes on without it: no account"]


def test_what_is_left_is_told_by_cost_and_not_by_count() -> None:
    left = CostLeft({"short": 10.0, "long": 90.0})
    assert left.seconds(5.0) is None, "nothing is known yet"
    left.finished("short", 5.0, elapsed=2.0)
    assert left.seconds(2.0) == pytest.approx(18.0), "nine times the cost of the one that took two seconds"
    assert left.seconds(12.0) == pytest.approx(8.0), "while nothing is finished, time passes and none is added"
    assert left.seconds(20.0) is None, "it takes longer than estimated"
    left.finished("long", 45.0, elapsed=20.0)
    assert left.seconds(20.0) == 0.0
