"""Kill `dlmlen` at random moments, continue it, and check that no sample is lost or duplicated.

    python scripts/kill_test.py --kills 200 --seed 0

Covers run (with a changing --limit), sweep, --fresh and score --record, on the tiny model that ships with the package.
Processes are killed by SIGKILL: after a random time, just before or after a random file operation, or within a write,
whose end is then lost. Checked after every kill: every complete line of a samples.jsonl that was seen is still there,
exactly once; no sample occurs twice in a run; every metrics.json is complete. Checked at the end of every episode: the
records equal those of a run that was not killed.
"""

import argparse
import importlib
import json
import os
import pkgutil
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"  # a process with threads must not fork
os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"

from dlm_length.records import RecordError, read_metrics, read_sample_ids, read_samples  # noqa: E402

QUESTIONS = 12
SMALL = ("policy.length=8", "hardware.max_batch_tokens=1", "hardware.threads=1", "hardware.device=cpu")
GSM8K = ("--config", "tiny_gsm8k_fixed", "benchmark.path=questions.jsonl", *SMALL)
SMARTCROP = ("--config", "tiny_gsm8k_smartcrop", "benchmark.path=questions.jsonl", *SMALL)
QA = ("--config", "tiny_gsm8k_fixed", "benchmark=longformqa", "benchmark.path=qa.jsonl", *SMALL)
UNSTEMMED = "benchmark.stemming=false"
CLOCK_FIELDS = ("session", "elapsed", "seconds", "started", "at")
"""Fields of records that differ between runs of one config."""
OPERATIONS = ("fsync", "replace", "rename", "mkdir", "unlink")
"""File operations at which a process may be killed."""
KILLS_PER_EPISODE = 8
"""Maximum number of kills in an episode; the kinds of episodes alternate."""
MAX_TORN_BYTES = 300
"""Maximum number of bytes missing from a write that is killed: less than a line."""

Record = dict[str, Any]


class LostError(Exception):
    """A sample or record was lost or duplicated."""


@dataclass
class Moment:
    """When a command is killed; never, if no field is set."""

    seconds: float | None = None
    """Seconds after its start."""
    operation: int | None = None
    """Index of the file operation."""
    after: bool = False
    """Whether after that operation instead of before it."""
    write: int | None = None
    """Index of the write of a file or of an appended line."""
    cut: int = 0
    """Number of bytes missing from that write."""

    @property
    def name(self) -> str:
        if self.seconds is not None:
            return "after a time"
        return "at a file operation" if self.write is None else "within a write"


@dataclass(frozen=True)
class UndisturbedCost:
    """Time, file operations and writes of a command that is not killed."""

    seconds: float
    operations: int
    writes: int


@dataclass
class Episode:
    """A sequence of commands in a folder of their own, some of which are killed."""

    folder: Path
    random: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    lines: set[tuple[str, bytes]] = field(default_factory=set)
    """(run name, complete line of its samples.jsonl) seen on disk so far."""

    def attempt(self, kind: str, arguments: Sequence[str], usual: UndisturbedCost) -> int | None:
        """Start a command and kill it at a random moment; returns its exit code, None if it was killed.

        `usual`: cost of that command when it is not killed.
        """
        moment = _moment(self.random, usual)
        code = command(self.folder, arguments, moment)
        if code is None:
            self.kills[f"{kind}, {moment.name}"] += 1
        self.check()
        return code

    def finish(self, arguments: Sequence[str]) -> None:
        """Run a command to its end."""
        code = command(self.folder, arguments)
        if code != 0:
            raise LostError(f"{' '.join(arguments)}: exit code {code}: {(self.folder / 'log').read_text()[-2000:]}")
        self.check()

    def check(self) -> None:
        """Raise LostError if a line seen before is missing, a line occurs twice, or metrics are incomplete."""
        found: Counter[tuple[str, bytes]] = Counter()
        for file in self.folder.glob("results/*/*/samples.jsonl"):
            name = file.parent.name.partition(".old")[0]  # folders set aside by --fresh belong to the run
            lines = file.read_bytes().splitlines(keepends=True)
            found.update((name, line) for line in lines if line.endswith(b"\n"))
            records = read_samples(file.parent)  # raises RecordError if a sample occurs twice
            if (file.parent / "metrics.json").exists() and not read_sample_ids(file.parent) <= {r.id for r in records}:
                raise LostError(f"{file.parent}: metrics.json names samples that are missing")
        for metrics in self.folder.glob("results/*/*/metrics.json"):
            read_metrics(metrics.parent)
        if lost := self.lines - found.keys():
            raise LostError(f"{len(lost)} lines are missing, such as {min(lost)!r:.300}")
        if duplicates := [line for line, times in found.items() if times > 1]:
            raise LostError(f"{len(duplicates)} lines occur twice, such as {duplicates[0]!r:.300}")
        self.lines = set(found)


def _moment(draw: random.Random, usual: UndisturbedCost) -> Moment:
    """A random moment within the usual course of a command."""
    kind = draw.random()
    if kind < 0.4:
        return Moment(seconds=draw.uniform(0.0, usual.seconds))
    # Early ones are more likely, as a command that continues another has fewer operations.
    early = draw.random() ** 1.5
    if kind < 0.7:
        return Moment(operation=int(usual.operations * early), after=draw.random() < 0.5)
    return Moment(write=int(usual.writes * early), cut=draw.randrange(1, MAX_TORN_BYTES))


def command(folder: Path, arguments: Sequence[str], moment: Moment | None = None) -> int | None:
    """Run `dlmlen` in a fork of this process, which has imported all modules; its exit code, None if it was killed."""
    moment = moment or Moment()
    child = start(folder, arguments, moment)
    if moment.seconds is not None:
        until = time.monotonic() + moment.seconds
        while time.monotonic() < until:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                break
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return None if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def start(folder: Path, arguments: Sequence[str], moment: Moment | None = None) -> int:
    """Start `dlmlen` in a fork of this process; returns the process id."""
    child = os.fork()
    if child == 0:
        _become(folder, arguments, moment or Moment())
    return child


def _become(folder: Path, arguments: Sequence[str], moment: Moment) -> None:
    """Run the command in this process, then exit."""
    code = 70
    try:
        os.chdir(folder)
        log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        sys.argv = ["dlmlen", *arguments]
        count = _count_operations(moment)
        from dlm_length.cli.main import run

        try:
            run()
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
        Path("operations").write_text(json.dumps(count()))
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _count_operations(moment: Moment) -> Callable[[], tuple[int, int]]:
    """Count file operations and writes from now on, and kill this process at the one of `moment`.

    Returns a function that gives the number of operations and of writes so far.
    """
    done: Counter[str] = Counter()
    original: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in OPERATIONS}

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def watched(name: str) -> Callable[..., Any]:
        def operate(*given: Any, **named: Any) -> Any:
            number = done.total()
            if name == "fsync" and done[name] == moment.write:
                size = os.fstat(given[0]).st_size
                os.ftruncate(given[0], max(0, size - moment.cut))
                die()
            done[name] += 1
            if number == moment.operation and not moment.after:
                die()
            result = original[name](*given, **named)
            if number == moment.operation:
                die()
            return result

        return operate

    for name in OPERATIONS:
        setattr(os, name, watched(name))
    return lambda: (done.total(), done["fsync"])


def timeless(value: Any) -> Any:
    """A record, as JSON values, without `CLOCK_FIELDS`."""
    match value:
        case dict():
            return {key: timeless(entry) for key, entry in value.items() if key not in CLOCK_FIELDS}
        case list():
            return [timeless(entry) for entry in value]
    return value


def recorded(folder: Path) -> dict[str, dict[str, Record]]:
    """Records by run name and sample id of the finished runs in a folder, without times; not those set aside."""
    return {
        file.parent.name: {record.id: timeless(record.model_dump(mode="json")) for record in read_samples(file.parent)}
        for file in folder.glob("results/*/*/metrics.json")
        if ".old" not in file.parent.name
    }


def measured(folder: Path, arguments: Sequence[str]) -> UndisturbedCost:
    """Run a command and measure its cost."""
    begun = time.monotonic()
    if (code := command(folder, arguments)) != 0:
        raise SystemExit(f"{' '.join(arguments)}: exit code {code}: {(folder / 'log').read_text()}")
    return UndisturbedCost(time.monotonic() - begun, *json.loads((folder / "operations").read_text()))


def import_for_all_forks() -> None:
    """Import what commands import when they need it, so that no fork of this process has to."""
    import dlm_length

    for module in pkgutil.walk_packages(dlm_length.__path__, "dlm_length."):
        if not any(part.startswith("_") for part in module.name.split(".")):
            importlib.import_module(module.name)
    from transformers import LlamaModel  # noqa: F401 -- the network of the tiny model


def prepare(folder: Path, questions: int = QUESTIONS) -> Path:
    """Create a folder with the data files of every command."""
    folder.mkdir()
    rows = [{"question": f"What is {n} plus {n * n}?", "answer": f"#### {n + n * n}"} for n in range(questions)]
    (folder / "questions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rows = [{"q_id": f"q{n}", "title": f"What is {n}?", "answers": {"text": [f"It is {n}."]}} for n in range(questions)]
    (folder / "qa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def compare(episode: Episode, reference: dict[str, dict[str, Record]]) -> None:
    """Raise LostError if the final records of an episode differ from those of a run that was not killed."""
    found = recorded(episode.folder)
    if found != reference:
        names = {name for name in found.keys() | reference.keys() if found.get(name) != reference.get(name)}
        raise LostError(f"{episode.folder}: records differ from those of a run that was not killed: {sorted(names)}")


def episode_of_run(episode: Episode, usual: UndisturbedCost, enough: Callable[[], bool]) -> None:
    """A run that is killed repeatedly, each time with another number of samples."""
    while not enough():
        limit = ["--limit", str(episode.random.randint(1, QUESTIONS))] if episode.random.random() < 0.7 else []
        if episode.attempt("run", ["run", *GSM8K, *limit], usual) == 0 and not limit:
            break
    episode.finish(["run", *GSM8K])


def episode_of_sweep(episode: Episode, usual: UndisturbedCost, enough: Callable[[], bool]) -> None:
    """A sweep that is killed repeatedly."""
    sweep = ["sweep", "tau", "--values", "0.05,0.9", *SMARTCROP]
    while not enough() and episode.attempt("sweep", sweep, usual) != 0:
        pass
    episode.finish(sweep)


def episode_of_fresh(episode: Episode, usual: UndisturbedCost, enough: Callable[[], bool]) -> None:
    """A finished run that is begun again by --fresh, which is killed."""
    episode.finish(["run", *GSM8K])
    for _ in range(3):
        if enough():
            break
        episode.attempt("--fresh", ["run", *GSM8K, "--fresh"], usual)
    episode.finish(["run", *GSM8K])


def episode_of_record(episode: Episode, usual: UndisturbedCost, enough: Callable[[], bool]) -> None:
    """A run whose answers are scored again, which is killed; `dlmlen run` finishes what was begun."""
    episode.finish(["run", *QA])
    (run,) = episode.folder.glob("results/*/*/")
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    record = ["score", str(run.relative_to(episode.folder)), UNSTEMMED, "--record"]
    while not enough() and episode.attempt("score --record", record, usual) is None:
        pass
    episode.finish(["run", *QA, UNSTEMMED])
    if {file.name: file.read_bytes() for file in run.iterdir()} != before:
        raise LostError(f"{run}: scoring its answers changed it")


EPISODES: dict[str, tuple[Callable[..., None], tuple[tuple[str, ...], ...]]] = {
    "run": (episode_of_run, (("run", *GSM8K),)),
    "sweep": (episode_of_sweep, (("sweep", "tau", "--values", "0.05,0.9", *SMARTCROP),)),
    "--fresh": (episode_of_fresh, (("run", *GSM8K), ("run", *GSM8K, "--fresh"))),
    "score --record": (episode_of_record, (("run", *QA), ("score", "RUN", UNSTEMMED, "--record"))),
}
"""By kind: the function that runs an episode, and the commands with the same result; the last one is killed."""


def references(root: Path, kind: str) -> tuple[dict[str, dict[str, Record]], UndisturbedCost]:
    """The final records of a kind of episode without kills, and the cost of its command."""
    folder = prepare(root / f"reference-{kind.strip('-').replace(' ', '')}")
    usual = UndisturbedCost(0.0, 0, 0)
    for arguments in EPISODES[kind][1]:
        runs = [str(run.relative_to(folder)) for run in folder.glob("results/*/*/")]
        usual = measured(folder, [runs[0] if argument == "RUN" else argument for argument in arguments])
    return recorded(folder), usual


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="number of processes to kill, over all kinds")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the moments, which also depend on the machine's speed"
    )
    given = parser.parse_args(arguments)
    import_for_all_forks()
    kills: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        known = {kind: references(root, kind) for kind in EPISODES}
        for kind, (_, usual) in known.items():
            took = f"{usual.seconds:.1f} s, {usual.operations} file operations, {usual.writes} of them writes"
            print(f"{kind}, without kills: {took}", flush=True)
        for number, kind in enumerate(_kinds(), start=1):
            if kills.total() >= given.kills:
                break
            left = min(KILLS_PER_EPISODE, given.kills - kills.total())
            episode = Episode(prepare(root / f"episode-{number}"), random.Random(f"{given.seed}/{number}"))
            reference, usual = known[kind]
            try:
                EPISODES[kind][0](episode, usual, lambda e=episode, most=left: e.kills.total() >= most)
                compare(episode, reference)
            except (LostError, RecordError) as lost:
                print(f"episode {number} ({kind}), seed {given.seed}: {lost}")
                return 1
            kills += episode.kills
            print(
                f"episode {number}: {kind}, {episode.kills.total()} kills; {kills.total()} of {given.kills}", flush=True
            )
    print("Nothing was lost or duplicated:")
    for what, times in sorted(kills.items()):
        print(f"  {times:4} kills of {what}")
    return 0


def _kinds() -> Iterator[str]:
    while True:
        yield from EPISODES


if __name__ == "__main__":
    sys.exit(main())
