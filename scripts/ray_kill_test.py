"""Kill Ray workers, and the command itself, at random moments; check that no sample is lost or duplicated.

    python scripts/ray_kill_test.py --kills 20 --drivers 3 --seed 1
    python scripts/ray_kill_test.py --joined --drivers 2

The run uses two Ray workers on this machine and the tiny model that ships with the package. SIGKILL is sent to a random
worker, a random time after both have started, or to the command's own process. Checked after every kill and at the
end: every complete line of samples.jsonl that was seen is still there, exactly once; no sample occurs twice; no process
of a run is left running. A sample whose workers died twice may fail with that reason; the same command, run again,
completes it. At the end of every episode the records, tokens and ledgers included, equal those of one process.

With --joined the run joins a cluster (`ray start --head` with two CPUs, in a folder of its own) that outlives it, and
only the command is killed: its workers must end by themselves, and the cluster must have its CPUs free again.
"""

import argparse
import contextlib
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

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
JOINED = (*RAY, "hardware.address=auto")
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
    cluster: "Cluster | None" = None
    """That it joins, whose processes its workers are; None: it starts Ray itself."""

    def __post_init__(self) -> None:
        self._begun: dict[int, str] = {}  # its descendants with their start times, as process ids are reused
        self._log = (self.folder / "log").open("ab")
        self._from = self._log.tell()
        command = [sys.executable, "-c", DLMLEN, *self.arguments]
        environment = None if self.cluster is None else self.cluster.environment
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=self._log, stderr=self._log, env=environment)

    @property
    def text(self) -> str:
        """Its output so far."""
        return (self.folder / "log").read_bytes()[self._from :].decode(errors="replace")

    def workers(self) -> list[int]:
        """Process ids of the workers that are running and were not killed."""
        below = processes_below(self.process.pid)
        if self.cluster is not None:
            below |= self.cluster.workers()
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

    def kill(self, draw: random.Random, answered: int = 0) -> bool:
        """Kill the command at a random moment after its workers have started and `answered` samples are recorded.

        Returns whether it was still running.
        """
        self._wait(lambda: self._is_complete() and self._lines() >= answered)
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


class Cluster:
    """A Ray cluster of this machine that no run has started; as a context, it is ended with all of its processes."""

    def __init__(self, folder: Path) -> None:
        """`folder`: for its files; its path must be short, as sockets are among them."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        # Of its own, so that whoever joins it needs no file of this machine, and nobody else can.
        access = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0"}
        self.environment = os.environ | access | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
        """Of a command that joins it by `auto`."""
        self._log = (folder / "head.log").open("wb")
        # --block: all of its processes are then children of one that this script ends. `ray stop` would end every Ray
        # of the machine.
        arguments = ("start", "--head", "--block", "--port", str(port))
        options = ("--num-cpus", "2", "--include-dashboard", "false", "--object-store-memory", str(256 * 2**20))
        command = [sys.executable, "-m", "ray.scripts.scripts", *arguments, *options, "--temp-dir", str(folder)]
        self._head = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=os.environ | access)
        until = time.monotonic() + PROGRESS_TIMEOUT_SECONDS
        while b"--block" not in (folder / "head.log").read_bytes():  # what it says once it is up
            if self._head.poll() is not None or time.monotonic() >= until:
                self.__exit__()
                raise SystemExit(f"no Ray cluster could be started:\n{(folder / 'head.log').read_text()}")
            time.sleep(0.2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        below = processes_below(self._head.pid)
        self._head.terminate()
        try:
            self._head.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._head.kill()
            self._head.wait()
        for child, begun in below.items():
            if start_of(child) == begun:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
        self._log.close()

    def workers(self) -> dict[int, str]:
        """Our workers in it, with the start of each."""
        below = processes_below(self._head.pid)
        return {worker: below[worker] for worker in workers_among(below)}

    @property
    def alive(self) -> bool:
        return self._head.poll() is None


def joined_episode(
    folder: Path, draw: random.Random, cluster: Cluster, reference: dict[str, dict[str, Record]]
) -> Counter[str]:
    """A run on a cluster whose command is killed once while its workers answer, and completed by the same command."""
    checks = Episode(prepare(folder, QUESTIONS), draw)
    command = Command(folder, (*RUN, *JOINED), cluster=cluster)
    killed = command.kill(draw, answered=MIN_SAMPLES_BETWEEN_KILLS)
    command.end()  # raises where a worker outlives it
    check(checks)
    if not cluster.alive:
        raise LostError(f"{folder}: the cluster ended with the command")
    ended = Command(folder, (*RUN, *JOINED), cluster=cluster).end()
    check(checks)
    if ended.code != 0 or failures(folder):
        raise LostError(
            f"{folder}: exit code {ended.code}, {len(failures(folder))} samples failed: {ended.text[-2000:]}"
        )
    compare(folder, reference)
    return Counter({"the command": int(killed)})


def compare(folder: Path, reference: dict[str, dict[str, Record]]) -> None:
    """Raise LostError where the records are not those of one process."""
    if (found := recorded(folder)) != reference:
        ((name, expected),) = reference.items()
        differing = sorted(each for each, record in expected.items() if found.get(name, {}).get(each) != record)
        raise LostError(f"{folder}: other records than those of one process: {differing or sorted(found)}")


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
    compare(folder, reference)
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
    parser.add_argument("--joined", action="store_true", help="kill the commands of runs on a cluster that they join")
    given = parser.parse_args()
    kills = 0 if given.joined else given.kills
    done = Counter[str]()
    with contextlib.ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(Cluster(root)) if given.joined else None
        begun = time.monotonic()
        whole = Command(prepare(root / "reference", QUESTIONS), RUN).end()
        if whole.code != 0:
            raise SystemExit(whole.text)
        reference = recorded(root / "reference")
        print(f"one process: {time.monotonic() - begun:.0f} s with loading, without kills", flush=True)
        number = 0
        while done["a worker"] < kills or done["the command"] < given.drivers:
            number += 1
            folder, draw = root / f"episode-{number}", random.Random(f"{given.seed}/{number}")
            workers = min(KILLS_PER_EPISODE, kills - done["a worker"])
            drivers = min(1, given.drivers - done["the command"])
            try:
                if cluster is None:
                    done += episode(folder, draw, workers, drivers, reference)
                else:
                    done += joined_episode(folder, draw, cluster, reference)
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
