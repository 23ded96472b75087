"""Time Ray workers of one thread each against one process of one thread: same model, same samples, one run.

    python scripts/bench_ray.py                         # two workers, 64 samples
    python scripts/bench_ray.py --workers 2 --samples 64 --rounds 3

The samples come in equal parts from the four mini benchmarks, whose answers differ in length, with SmartCrop on a
canvas of 128. Loading is not timed. The two are timed alternately, and must give equal tokens. The wall-clocks and the
ratio of their medians are printed, and the machine's load, as other load or fewer cores than workers lower the ratio.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence

from dlm_length.config import load_config
from dlm_length.engine import Generation, Step
from dlm_length.runner.devices import Devices, Models, Task
from dlm_length.runner.prepare import PreparedRun, prepare

BENCHMARKS = ("mini_gsm8k", "mini_humaneval", "mini_ifeval", "mini_longformqa")
TARGET = 1.8
"""Expected ratio with two workers on two free cores."""


class PlainListener:
    """A `ProgressListener` that prints plain lines."""

    def notice(self, sentence: str) -> None:
        print(f"note: {sentence}", flush=True)

    def phase(self, name: str) -> None:
        print(f"{name} ...", flush=True)


def runs(overrides: Sequence[str], samples: int) -> list[PreparedRun]:
    """A prepared run of each benchmark, with `samples` samples in all."""
    each = -(-samples // len(BENCHMARKS))
    chosen = [f"benchmark.limit={each}", "hardware.threads=1", *overrides]
    return prepare([load_config(f"{name}_smartcrop", chosen) for name in BENCHMARKS])


def timed(devices: Devices, prepared: Sequence[PreparedRun], samples: int) -> tuple[float, dict[str, list[int]]]:
    """Seconds that the samples take, and the canvas of each by sample id."""
    jobs = [job for together in zip(*(run.jobs for run in prepared), strict=True) for job in together]
    tasks = [Task(job, (0,)) for job in jobs[:samples]]
    steps: list[Step] = []
    start = time.perf_counter()
    done: list[Generation] = list(
        devices.generate(prepared[:1], [prepared[0].policy], tasks, on_step=steps.append, backlog=lambda: 0)
    )
    seconds = time.perf_counter() - start
    assert len(done) == len(tasks)
    assert not any(generation.error for generation in done)
    return seconds, {generation.sample_id: generation.canvas_ids for generation in done}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args(arguments)
    here = runs((), given.samples)
    there = runs(("hardware.executor=ray", f"hardware.devices={given.workers}"), given.samples)
    clocks: dict[str, list[float]] = {"one process": [], f"{given.workers} Ray workers": []}
    one, many = clocks
    with Models() as local, Models() as workers:
        ways = {
            one: (local.devices(here[0], PlainListener()), here),
            many: (workers.devices(there[0], PlainListener()), there),
        }
        for devices, prepared in ways.values():  # warm-up
            timed(devices, prepared, 2 * given.workers)
        tokens: list[dict[str, list[int]]] = []
        for _ in range(given.rounds):
            for name, (devices, prepared) in ways.items():
                load = os.getloadavg()[0]
                seconds, found = timed(devices, prepared, given.samples)
                clocks[name].append(seconds)
                tokens.append(found)
                print(f"{name}: {seconds:.2f} s (load before: {load:.1f})", flush=True)
    if any(found != tokens[0] for found in tokens):
        print("tokens differ")
        return 1
    ratio = statistics.median(clocks[one]) / statistics.median(clocks[many])
    best = min(clocks[one]) / min(clocks[many])
    print(f"all tokens are equal; {ratio:.2f}x by medians, {best:.2f}x by the fastest of each (expected: {TARGET}x)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
