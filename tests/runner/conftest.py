import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from run_fixtures import Watch, configure, questions, watch  # noqa: F401

import dlm_length
from dlm_length.config import RunConfig
from dlm_length.records import SampleRecord


@pytest.fixture
def interrupting() -> Callable[[int], Watch]:
    """One who presses Ctrl-C when that many samples are on disk."""
    return lambda done: Watch(interrupt_at=done)


@pytest.fixture
def command() -> Callable[[RunConfig], list[str]]:
    """The arguments of `dlmlen` that run a config again, in another process."""

    def command(config: RunConfig) -> list[str]:
        file = Path(config.output.directory).with_suffix(".yaml")
        file.write_text(config.to_yaml())
        return ["run", "--config", str(file)]

    return command


@pytest.fixture
def python() -> Callable[..., list[str]]:
    """A Python of the same environment that runs that code."""

    def python(code: str, *arguments: str) -> list[str]:
        return [sys.executable, "-c", code, *arguments]

    return python


@pytest.fixture(autouse=True)
def from_this_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subprocesses import the package under test, wherever they start."""
    root = str(Path(dlm_length.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))


@pytest.fixture
def timeless() -> Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]:
    """Records by id, without what may differ between runs of one config: clock and session."""

    def timeless(records: Sequence[SampleRecord]) -> dict[str, dict[str, Any]]:
        found = {}
        for record in records:
            fields = record.model_dump(exclude={"session", "elapsed"})
            for part in fields["ledger"].values():
                del part["seconds"], part["joules"]
            found[record.id] = fields
        return found

    return timeless
