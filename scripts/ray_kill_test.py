"""Kill Ray workers, and the command itself, at random moments; check that nothing is lost and nothing doubled.

    python scripts/ray_kill_test.py --kills 20 --drivers 3 --seed 1

A run on two Ray workers of this machine, with the tiny model that ships with the package. A kill is SIGKILL: of a
random worker, a random time after both are up; or of the command's own process. Checked after every kill and at the
end: each whole line of samples.jsonl that was seen is still there, once; no sample stands twice; no process of a run
is left behind. A sample that two workers died of may fail with that reason; the same command, given once more,
completes it. At the end of every episode the records, tokens and ledgers included, are those of one process.
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
EACH = 20
"""Kills of an episode at most."""
UNHARMED = 6.0
"""Seconds that both workers are up at most before one of them is killed."""
LEAVING = 300.0
"""Seconds in which all processes of a run must be gone after its end. Ray's own agents look for a head that was killed
with the command for about a minute."""
PATIENCE = 900.0
"""Seconds in which something must happen."""
ANSWERED = 4
"""Samples that are recorded between two kills at least, so that a worker that is new has its part in them."""
GIVEN_UP = "a device is given up"
"""What the command says where its workers were killed as they started, twice in a row."""
NO_WORKER = "no worker is left"
"""What the command says where all devices are given up."""


@dataclass
class Ended:
    """A command that is over."""

    code: int
    """-9: it was killed."""
    text: str
    workers: int
    """That were killed."""


@dataclass
class Command:
    """`dlmlen` in a process of its own, and the processes that it has started."""

    folder: Path
    arguments: tuple[str, ...]
    killed: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._begun: dict[int, str] = {}  # every process below it, with its start, as numbers are used again
        self._log = (self.folder / "log").open("ab")
        self._from = self._log.tell()
        command = [sys.executable, "-c", DLMLEN, *self.arguments]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=self._log, stderr=self._log)

    @property
    def text(self) -> str:
        """What it has printed."""
        return (self.folder / "log").read_bytes()[self._from :].decode(errors="replace")

    def workers(self) -> list[int]:
        """The workers that are up and were not killed."""
        below = processes_below(self.process.pid)
        self._begun |= below
        return sorted(set(workers_among(below)) - self.killed)

    def kill_worker(self, draw: random.Random) -> bool:
        """Wait until the workers are at work again, and then for a random moment; whether one could be killed in time.

        A worker that is killed before it answered anything, twice in a row, costs the run its device.
        """
        if not self._wait(self._is_complete):
            return False
        least = self._lines() + ANSWERED
        if not self._wait(lambda: self._lines() >= least):
            return False
        until = time.monotonic() + draw.uniform(0.0, UNHARMED)
        if not self._wait(lambda: time.monotonic() >= until):
            return False
        victim = draw.choice(self.workers() or [0])
        return bool(victim) and self._kill(victim)

    def kill(self, draw: random.Random) -> bool:
        """Kill the command at a random moment after its workers are up; whether it was still running."""
        self._wait(self._is_complete)
        until = time.monotonic() + draw.uniform(0.0, UNHARMED)
        running = self._wait(lambda: time.monotonic() >= until)
        self.process.kill()
        return running

    def end(self) -> Ended:
        """Wait for its end. Raises LostError where it left a process behind."""
        self._wait(lambda: False)
        self._log.close()
        until = time.monotonic() + LEAVING
        while left := [child for child, begun in self._begun.items() if start_of(child) == begun]:
            if time.monotonic() >= until:
                names = [f"{child} {name_of(child)}" for child in left]
                for child in left:
                    os.kill(child, signal.SIGKILL)
                raise LostError(f"{self.folder}: processes of the run were left behind: {', '.join(names)}")
            time.sleep(0.1)
        return Ended(self.process.wait(), self.text, len(self.killed))

    def _is_complete(self) -> bool:
        return len(self.workers()) == 2 - self.text.count(GIVEN_UP)

    def _lines(self) -> int:
        """Samples on disk."""
        return sum(file.read_bytes().count(b"\n") for file in self.folder.glob("results/*/*/samples.jsonl"))

    def _kill(self, victim: int) -> bool:
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.killed.add(victim)
        return True

    def _wait(self, happened: Callable[[], bool]) -> bool:
        """Whether it happened before the command was over."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            self.workers()
            if happened():
                return True
            if time.monotonic() >= until:
                self.process.kill()
                raise LostError(f"{self.folder}: nothing happened in {PATIENCE:g} s:\n{self.text[-2000:]}")
            time.sleep(0.2)
        return False


def episode(
    folder: Path, draw: random.Random, kills: int, drivers: int, reference: dict[str, dict[str, Record]]
) -> Counter[str]:
    """A run whose workers or command are killed so many times at most, until it is complete; what was killed."""
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
        if ended.code != -signal.SIGKILL and NO_WORKER not in ended.text:
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
        raise LostError(f"{folder}: other records than those of one process: {differing or sorted(found)}")
    return done


def check(checks: Episode) -> None:
    """Raise LostError where a line is lost or doubled; those of samples that two workers died of are made anew."""
    checks.check()
    checks.lines = {(name, line) for name, line in checks.lines if json.loads(line)["error"] is None}


def failures(folder: Path) -> list[str]:
    """The samples that could not be run."""
    return [
        record.id
        for file in folder.glob("results/*/*/samples.jsonl")
        for record in read_samples(file.parent)
        if record.error is not None
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="how many workers are killed")
    parser.add_argument("--drivers", type=int, default=2, help="how many times the command itself is killed")
    parser.add_argument("--seed", type=int, default=0, help="of the moments; the machine's pace has its part in them")
    given = parser.parse_args()
    done = Counter[str]()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        begun = time.monotonic()
        whole = Command(prepare(root / "reference", QUESTIONS), RUN).end()
        if whole.code != 0:
            raise SystemExit(whole.text)
        reference = recorded(root / "reference")
        print(f"one process: {time.monotonic() - begun:.0f} s, loading included, where nobody kills", flush=True)
        number = 0
        while done["a worker"] < given.kills or done["the command"] < given.drivers:
            number += 1
            kills = min(EACH, given.kills - done["a worker"])
            drivers = min(1, given.drivers - done["the command"])
            try:
                done += episode(
                    root / f"episode-{number}", random.Random(f"{given.seed}/{number}"), kills, drivers, reference
                )
            except (LostError, RecordError) as lost:
                print(f"episode {number}, seed {given.seed}: {lost}")
                return 1
            killed = ", ".join(f"{times} x {what}" for what, times in sorted(done.items()))
            print(f"episode {number}: the records are those of one process; so far {killed}", flush=True)
    print("Nothing was lost, nothing doubled, no process left behind:")
    for what, times in sorted(done.items()):
        print(f"  {times:4} {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
