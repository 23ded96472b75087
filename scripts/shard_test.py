"""Generate a run in shards, in random order and several at once, and check that the result is that of one process.

    python scripts/shard_test.py --shards 16 --at-once 4 --seed 0

Uses the tiny model that ships with the package, and one process per shard. Before the last shard is generated,
`dlmlen merge` must name it as missing, and must name two shards with the same samples. At the end, records and metrics
must equal those of one process, apart from times.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kill_test import SMALL, LostError, command, import_for_all_forks, prepare, recorded, start

from dlm_length.records import Shard, read_metrics, read_samples, shard_path

QUESTIONS = 50
RUN = ("run", "--config", "tiny_gsm8k_fixed", "benchmark.path=questions.jsonl", "benchmark.limit=null", *SMALL)
TIME_METRICS = {"forward_seconds", "wall_clock_seconds", "tokens_per_second"}


def run_folder(folder: Path) -> Path:
    """The folder of the only run in `folder`."""
    (run,) = folder.glob("results/*/*/")
    return run


def make(folder: Path, shards: Sequence[Shard], at_once: int) -> None:
    """Generate shards, `at_once` at a time. Raises LostError if one fails."""
    waiting, going = list(shards), dict[int, Shard]()
    while waiting or going:
        while waiting and len(going) < at_once:
            shard = waiting.pop(0)
            going[start(folder, [*RUN, "--shard", str(shard)])] = shard
        process, status = os.wait()
        if status != 0:
            raise LostError(f"shard {going[process]}: {(folder / 'log').read_text()[-2000:]}")
        del going[process]


def check_refused(folder: Path, *named: str) -> None:
    """Raise LostError unless `dlmlen merge` fails with a message that contains all of `named`."""
    before = len((folder / "log").read_text())
    code = command(folder, ["merge", "results"])
    message = (folder / "log").read_text()[before:]
    if code == 0 or not all(name in " ".join(message.split()) for name in named):
        raise LostError(f"dlmlen merge, exit code {code}, should name {named}: {message}")


def duplicate(run: Path, first: Shard, last: Shard) -> None:
    """Replace the last shard by the samples of the first one, with other times."""
    shutil.copytree(shard_path(run, first), shard_path(run, last))
    again = [
        record.model_copy(update={"elapsed": record.elapsed + 1}) for record in read_samples(shard_path(run, last))
    ]
    text = "".join(record.model_dump_json() + "\n" for record in again)
    (shard_path(run, last) / "samples.jsonl").write_text(text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--at-once", type=int, default=2, help="number of shards generated at the same time")
    parser.add_argument("--seed", type=int, default=0, help="seed of their order")
    given = parser.parse_args(arguments)
    import_for_all_forks()
    shards = [Shard(number, given.shards) for number in range(1, given.shards + 1)]
    random.Random(given.seed).shuffle(shards)
    with tempfile.TemporaryDirectory() as scratch:
        whole, parts = prepare(Path(scratch) / "whole", QUESTIONS), prepare(Path(scratch) / "parts", QUESTIONS)
        try:
            if (code := command(whole, RUN)) != 0:
                raise LostError(f"exit code {code}: {(whole / 'log').read_text()}")
            make(parts, shards[:-1], given.at_once)
            run, first, last = run_folder(parts), shards[0], shards[-1]
            check_refused(parts, f"shard {last} is not there")
            duplicate(run, first, last)
            check_refused(parts, "were generated twice", f"shard {first}", f"shard {last}")
            shutil.rmtree(shard_path(run, last))
            make(parts, [last], 1)
            if recorded(parts) != recorded(whole):
                raise LostError("the records differ from those of one process")
            merged, alone = (read_metrics(run_folder(each)).model_dump(exclude=TIME_METRICS) for each in (parts, whole))
            if merged != alone:
                raise LostError(
                    f"the metrics differ from those of one process: {json.dumps([merged, alone], default=str)}"
                )
        except LostError as lost:
            print(lost)
            return 1
    order = ", ".join(str(shard.number) for shard in shards)
    print(f"{given.shards} shards, {given.at_once} at once, in the order {order}:")
    print(f"{QUESTIONS} samples and all metrics equal those of one process; a missing and a duplicate shard were named")
    return 0


if __name__ == "__main__":
    sys.exit(main())
