"""Measure time and memory of a large report: 40 runs of 1,319 samples each.

    python scripts/bench_report.py

The runs are synthetic (canvases of up to 256 tokens, answers and prompts of GSM8K's length, with Zipf-distributed
words; half of a prompt's answers share a text, the others differ from it in a third of their words) and in the format
of `dlmlen run`. Then `dlmlen report` runs on them in a process of its own, with and without figures.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from dlm_length.config import load_config
from dlm_length.records import RunFolder, SampleRecord
from dlm_length.runner.scoring import summarise

POLICIES = (
    *(("gsm8k_fixed", f"policy.length={length}") for length in range(64, 264, 8)),
    *(("gsm8k_smartcrop", f"policy.tau={tau}") for tau in (0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)),
    *(("gsm8k_daedal", f"policy.expansion_factor={factor}") for factor in (8, 16, 24, 32)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1319)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        size = write_runs(Path(folder), arguments.samples)
        print(f"{len(POLICIES)} runs of {arguments.samples:,} samples, {size / 2**20:.0f} MiB on disk")
        for options in ((), ("--no-figures",)):
            seconds, peak = measured(Path(folder), options)
            print(f"dlmlen report {' '.join(options)}: {seconds:.1f} s, {peak / 2**20:.0f} MiB at most")


def write_runs(folder: Path, samples: int) -> int:
    """Write the runs to `folder`; returns the bytes of their samples."""
    rng = np.random.default_rng(0)
    hard = rng.random(samples)  # the difficulty of each question, so that runs agree as real ones do
    size = 0
    for place, (name, override) in enumerate(POLICIES):
        config = load_config(name, [override, f"output.directory={folder / 'results'}"])
        records = [record(rng, number, hard[number], place) for number in range(samples)]
        with RunFolder(config.run_path) as run:
            run.fill(config.to_yaml(), [], records)
            run.finish(summarise(config, records, []))
            size += (run.path / "samples.jsonl").stat().st_size
    return size


def record(rng: np.random.Generator, number: int, hard: float, place: int) -> SampleRecord:
    """A synthetic record. `number`: of the question; `hard`: its difficulty, 0 to 1; `place`: of the run."""
    score = float(rng.random() > hard)
    canvas = int(rng.integers(64, 257))
    used = int(rng.integers(32, canvas + 1))
    names = ("nfe", "length_sum", "length_squared_sum", "head_rows", "flops_reference", "flops_executed")
    cost = {name: canvas * 10**power for power, name in enumerate(names)} | {"seconds": 0.5}
    return SampleRecord.model_validate(
        {
            "doc_id": number,
            "id": f"gsm8k/{number}",
            "prompt": words(number, 60),
            "target": words(number + 1_000_000, 60),
            "resps": [[words(number + 2_000_000, used * 3 // 4, other=place if place % 2 else None)]],
            "filtered_resps": ["42"],
            "canvas_ids": rng.integers(0, 126_000, canvas).tolist(),
            "prompt_length": 120,
            "n_token": canvas,
            "e_token": used,
            "processed_length": 120 + canvas,
            "trajectory": [(canvas, canvas)],
            "changes": [],
            "ledger": {"total": cost, "probe": dict.fromkeys(cost, 0)},
            "score": score,
            "extracted": {"strict": "42", "flexible": "42", "boxed": None},
            "details": {f"exact_match_{kind}": score for kind in ("strict", "flexible", "boxed")},
            "error": None,
            "session": 0,
            "elapsed": number + place / 100,
        }
    )


SYLLABLES = [start + end for start in "bdfgklmnprstvw" for end in ("a", "e", "i", "o", "u", "ai", "er", "on")]
VOCABULARY = 5_000


def words(seed: int, count: int, other: int | None = None) -> str:
    """A text of `count` words, the same for the same seed; `other`: seed by which a third of them are replaced."""
    rng = np.random.default_rng(seed)
    ranks = (VOCABULARY ** rng.random(count)).astype(int)  # the k-th most frequent word has a frequency of about 1 / k
    if other is not None:
        own = np.random.default_rng((seed, other))
        changed = own.random(count) < 1 / 3
        ranks[changed] = (VOCABULARY ** own.random(changed.sum())).astype(int)
    return " ".join(map(word, ranks.tolist()))


@cache
def word(rank: int) -> str:
    """The word of that frequency rank."""
    rng = np.random.default_rng(rank)
    return "".join(SYLLABLES[place] for place in rng.integers(0, len(SYLLABLES), 1 + min(rank, 1_000) // 250))


def measured(folder: Path, options: tuple[str, ...]) -> tuple[float, int]:
    """Seconds of the command, and the largest resident set of any process so far, in bytes."""
    command = (sys.executable, "-c", "from dlm_length.cli.main import run; run()", "report", "results", *options)
    start = time.perf_counter()
    subprocess.run([*command, "--out", "report"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return time.perf_counter() - start, peak * 1024


if __name__ == "__main__":
    main()
