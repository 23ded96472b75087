"""Kill Ray workers, and the command itself, at random moments; check that no sample is lost or duplicated.

    python scripts/ray_kill_test.py --kills 20 --drivers 3 --seed 1

The run uses two Ray workers on this machine and the tiny model that ships with the package. SIGKILL is sent to a random
worker, a random time after both have started, or to the command's own process. Checked after every kill and at the
end: every complete line of samples.jsonl that was seen is still there, exactly once; no sample occurs twice; no process
of a run is left running. A sample whose workers died twice may fail with that reason; the same command, run again,
completes it. At the end of every episode the records, tokens and ledgers included, equal those of one process.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kill_test import SMALL, Episode, LostError, Record, prepare, recorded
from process_tree import name_of, processes_below, start_of, workers_among

from dlm_length.records import RecordError, read_samples

DLMLEN = "from dlm_length.cli.main import run; run()"
QUESTIONS = 120
RUN = (
    *("run", "--config", "tiny_gsm8k_fixed", "benchmark.path=questions.jsonl", "benchmark.limit=null"),
    *("policy.length=16", *SMALL[1:]),
)
RAY = ("hardware.executor=ray", "hardware.devices=2")
KILLS_PER_EPISODE = 20
"""Maximum number of killed workers in an episode."""
MAX_DELAY_SECONDS = 6.0
"""Maximum time between the start of all workers and a kill."""
EXIT_TIMEOUT_SECONDS = 300.0
"""Time within which all processes of a run must end after the command. Ray's agents look for a head that was killed
with the command for about a minute."""
PROGRESS_TIMEOUT_SECONDS = 900.0
"""Time within which an awaited event must happen."""
MIN_SAMPLES_BETWEEN_KILLS = 4
"""Minimum number of samples recorded between two kills, so that a new worker generates some of them."""
DEVICE_GIVEN_UP = "a device is given up"
"""Part of the command's message when the workers of a device were killed during their start twice in a row."""
NO_WORKER_LEFT = "no worker is left"
"""Part of the command's error when all devices are given up."""


@dataclass
class CommandResult:
    """The result of a command that has ended."""

    code: int
    """Exit code; -9 if it was killed."""
    text: str
    """Its output."""
    workers: int
    """Number of its workers that were killed."""


@dataclass
class Command:
    """`dlmlen` in a process of its own, and the processes that it starts."""

    folder: Path
    arguments: tuple[str, ...]
    killed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._begun: dict[int, str] = {}  # its descendants with their start times, as process ids are reused
        self._log = (self.folder / "log").open("ab")
        self._from = self._log.tell()
        command = [sys.executable, "-c", DLMLEN, *self.arguments]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=self._log, stderr=self._log)

    @property
    def text(self) -> str:
        """Its output so far."""
        return (self.folder / "log").read_bytes()[self._from :].decode(errors="replace")

    def workers(self) -> list[int]:
        """Process ids of the workers that are running and were not killed."""
        below = processes_below(self.process.pid)
        self._begun |= below
        return sorted(set(workers_among(below)) - self.killed)

    def kill_worker(self, draw: random.Random) -> bool:
        """Kill a worker at a random moment after all have started and recorded samples; whether the run lasted so long.

        The wait matters: the run gives up a device whose workers are killed before their first answer twice in a row.
        """
        if not self._wait(self._is_complete):
            return False
        least = self._lines() + MIN_SAMPLES_BETWEEN_KILLS
        if not self._wait(lambda: self._lines() >= least):
            return False
        until = time.monotonic() + draw.uniform(0.0, MAX_DELAY_SECONDS)
        if not self._wait(lambda: time.monotonic() >= until):
            return False
        victim = draw.choice(self.workers() or [0])
        return bool(victim) and self._kill(victim)

    def kill(self, draw: random.Random) -> bool:
        """Kill the command at a random moment after its workers have started; whether it was still running."""
        self._wait(self._is_complete)
        until = time.monotonic() + draw.uniform(0.0, MAX_DELAY_SECONDS)
        running = self._wait(lambda: time.monotonic() >= until)
        self.process.kill()
        return running

    def end(self) -> CommandResult:
        """Wait until it has ended. Raises LostError if it left a process running."""
        self._wait(lambda: False)
        self._log.close()
        until = time.monotonic() + EXIT_TIMEOUT_SECONDS
        while left := [child for child, begun in self._begun.items() if start_of(child) == begun]:
            if time.monotonic() >= until:
                names = [f"{child} {name_of(child)}" for child in left]
                for child in left:
                    os.kill(child, signal.SIGKILL)
                raise LostError(f"{self.folder}: processes of the run were left running: {', '.join(names)}")
            time.sleep(0.1)
        return CommandResult(self.process.wait(), self.text, len(self.killed))

    def _is_complete(self) -> bool:
        """Whether the workers of all devices that were not given up are running."""
        return len(self.workers()) == 2 - self.text.count(DEVICE_GIVEN_UP)

    def _lines(self) -> int:
        """Number of samples on disk."""
        return sum(file.read_bytes().count(b"\n") for file in self.folder.glob("results/*/*/samples.jsonl"))

    def _kill(self, victim: int) -> bool:
        """Kill a worker; whether it was still running."""
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed.add(victim)
        return True

    def _wait(self, happened: Callable[[], bool]) -> bool:
        """Wait for an event or the command's end; whether the event came first."""
        until = time.monotonic() + PROGRESS_TIMEOUT_SECONDS
        while self.process.poll() is None:
            self.workers()
            if happened():
                return True
            if time.monotonic() >= until:
                self.process.kill()
                raise LostError(
                    f"{self.folder}: nothing happened in {PROGRESS_TIMEOUT_SECONDS:g} s:\n{self.text[-2000:]}"
                )
            time.sleep(0.2)
        return False


def episode(
    folder: Path, draw: random.Random, kills: int, drivers: int, reference: dict[str, dict[str, Record]]
) -> Counter[str]:
    """Run until complete, killing workers and the command at most so many times; counts of what was killed."""
    checks, done = Episode(prepare(folder, QUESTIONS), draw), Counter[str]()
    arguments = (*RUN, *RAY)
    while True:
        command = Command(folder, arguments)
        if drivers > done["the command"]:
            while draw.random() < 0.5 and done["a worker"] < kills and command.kill_worker(draw):
                done["a worker"] += 1
            done["the command"] += command.kill(draw)
        else:
            while done["a worker"] < kills and command.kill_worker(draw):
                done["a worker"] += 1
                check(checks)
        ended = command.end()
        check(checks)
        if ended.code == 0:
            break
        if ended.code != -signal.SIGKILL and NO_WORKER_LEFT not in ended.text:
            raise LostError(f"{folder}: exit code {ended.code}: {ended.text[-2000:]}")
    failed = failures(folder)
    if failed:
        done["samples that two workers died of, completed by the same command"] += len(failed)
        ended = Command(folder, arguments).end()
        check(checks)
        if ended.code != 0 or failures(folder):
            raise LostError(f"{folder}: exit code {ended.code}, {len(failures(folder))} samples failed: {ended.text}")
    if (found := recorded(folder)) != reference:
        ((name, expected),) = reference.items()
        differing = sorted(each for each, record in expected.items() if found.get(name, {}).get(each) != record)
        raise LostError(f"{folder}: records differ from those of one process: {differing or sorted(found)}")
    return done


def check(checks: Episode) -> None:
    """Raise LostError if a line is lost or duplicated; those of failed samples, which are repeated, may go."""
    checks.check()
    checks.lines = {(name, line) for name, line in checks.lines if json.loads(line)["error"] is None}


def failures(folder: Path) -> list[str]:
    """Ids of the samples that failed."""
    return [
        record.id
        for file in folder.glob("results/*/*/samples.jsonl")
        for record in read_samples(file.parent)
        if record.error is not None
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="number of workers to kill")
    parser.add_argument("--drivers", type=int, default=2, help="number of times to kill the command itself")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the moments, which also depend on the machine's speed"
    )
    given = parser.parse_args()
    done = Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        begun = time.monotonic()
        whole = Command(prepare(root / "reference", QUESTIONS), RUN).end()
        if whole.code != 0:
            raise SystemExit(whole.text)
        reference = recorded(root / "reference")
        print(f"one process: {time.monotonic() - begun:.0f} s with loading, without kills", flush=True)
        number = 0
        while done["a worker"] < given.kills or done["the command"] < given.drivers:
            number += 1
            kills = min(KILLS_PER_EPISODE, given.kills - done["a worker"])
            drivers = min(1, given.drivers - done["the command"])
            try:
                done += episode(
                    root / f"episode-{number}", random.Random(f"{given.seed}/{number}"), kills, drivers, reference
                )
            except (LostError, RecordError) as lost:
                print(f"episode {number}, seed {given.seed}: {lost}")
                return 1
            killed = ", ".join(f"{times} x {what}" for what, times in sorted(done.items()))
            print(f"episode {number}: the records equal those of one process; so far {killed}", flush=True)
    print("Nothing was lost or duplicated, and no process was left running:")
    for what, times in sorted(done.items()):
        print(f"  {times:4} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
