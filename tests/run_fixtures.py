"""What tests of runs share, in whatever folder: a tiny run on questions of the test's own, and a listener."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dlm_length.config import RunConfig, load_config
from dlm_length.records import ProgressRecord

Configure = Callable[..., RunConfig]


@dataclass
class Watch:
    """A `Progress` that remembers, and may interrupt."""

    interrupt_at: int | None = None
    notices: list[str] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    counts: list[tuple[int, int]] = field(default_factory=list)
    statuses: list[ProgressRecord] = field(default_factory=list)

    def notice(self, sentence: str) -> None:
        self.notices.append(sentence)

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def samples(self, done: int, total: int) -> None:
        self.counts.append((done, total))
        if done == self.interrupt_at:
            raise KeyboardInterrupt

    def running(self, runs: Sequence[ProgressRecord]) -> None:
        self.statuses += runs


@pytest.fixture
def watch() -> Watch:
    """Who watches a run."""
    return Watch()


@pytest.fixture
def questions(tmp_path: Path) -> Callable[[Sequence[str]], Path]:
    """A file in GSM8K's form; the answer to the k-th question is k."""

    def questions(asked: Sequence[str]) -> Path:
        rows = [{"question": question, "answer": f"So.\n#### {place}"} for place, question in enumerate(asked)]
        file = tmp_path / f"questions{len(list(tmp_path.glob('questions*')))}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return file

    return questions


ASKED = (
    "Tom has 3 apples and buys 4 more. How many apples does he have?",
    "What is 17 plus 25?",
    "A box holds 12 eggs. How many eggs are in 5 boxes, if 2 eggs are broken?",
    "Anna reads 24 pages a day. How many pages does she read in a week?",
)


@pytest.fixture
def configure(tmp_path: Path, questions: Callable[[Sequence[str]], Path]) -> Configure:
    """A tiny run on four questions with a canvas of 8, its records below a folder of the test's own.

    `asked` are other questions; `where` tells runs of equal configs apart; a `length` of None is for policies that have
    no such field.
    """
    files: dict[tuple[str, ...], Path] = {}

    def configure(
        *overrides: str,
        name: str = "tiny_gsm8k_fixed",
        asked: Sequence[str] = ASKED,
        where: str = "results",
        length: int | None = 8,
    ) -> RunConfig:
        key = tuple(asked)
        files[key] = files.get(key) or questions(asked)
        data = [f"benchmark.path={files[key]}"] if "gsm8k" in name else []
        canvas = [] if length is None else [f"policy.length={length}"]
        given = [*canvas, "hardware.max_batch_tokens=200", f"output.directory={tmp_path / where}", *data]
        return load_config(name, [*given, *overrides])

    return configure
