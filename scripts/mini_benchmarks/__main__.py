"""Write the test problems of the mini benchmarks: `python -m scripts.mini_benchmarks [FOLDER]`."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from dlm_length.benchmarks._ifeval import verify

from . import GENERATORS
from .item import Item, held_out_items

COUNT = 200
SEED = "test 1"
SHIPPED = Path(__file__).parents[2] / "dlm_length" / "benchmarks" / "data"
"""Where the package keeps them."""
IDS = {"mini_humaneval": "task_id", "mini_ifeval": "key", "mini_longformqa": "id"}
"""The field of a row that names it, where the benchmark's form has one."""


def rows(benchmark: str) -> Iterator[dict[str, object]]:
    """A benchmark's test problems, in the form of the data set it is a small one of."""
    for number, item in enumerate(held_out_items(GENERATORS[benchmark], COUNT, SEED, _answerable)):
        row = dict(item.row)
        if name := IDS.get(benchmark):
            row = {name: number if name == "key" else f"{benchmark}/{number}"} | row
        if "instruction_id_list" in row:  # the form has no place for an answer; its length is asked for
            row["reference"] = item.answer
        yield row


def _answerable(item: Item) -> bool:
    """Whether the generator's own answer follows its instructions: a short text's language is not always recognised."""
    if "instruction_id_list" not in item.row:
        return True
    return all(verify(item.row["instruction_id_list"], item.row["kwargs"], item.answer).strict)


def main(folder: Path) -> None:
    for benchmark in GENERATORS:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows(benchmark))
        (folder / f"{benchmark}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED)
