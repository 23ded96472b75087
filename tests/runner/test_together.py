"""Runs made together: each is the one it would be alone, whenever the whole is stopped."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import dlm_length.runner.model
from dlm_length.common import ConfigError
from dlm_length.config import Block, RunConfig, Study
from dlm_length.records import SampleRecord, find_finished, read_metrics, read_samples
from dlm_length.runner import run, run_study, run_together

Configure = Callable[..., RunConfig]
Timeless = Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]
CROP = ("policy.name=smartcrop", "policy.length=12")
ARMS = ((), *((*CROP, f"policy.tau={tau}") for tau in (0.1, 0.5, 0.9)), ("policy.name=random_length",))


@pytest.fixture
def arms(configure: Configure) -> Callable[..., list[RunConfig]]:
    return lambda *overrides, where="together": [configure(*arm, *overrides, where=where) for arm in ARMS]


def test_each_run_is_the_one_it_would_be_alone(
    arms: Callable[..., list[RunConfig]], watch: Any, timeless: Timeless
) -> None:
    together = run_together(arms(), watch)
    assert 0 < together.forwards_run < together.forwards_requested
    nfe = 0
    for config, finished in zip(arms(where="alone"), together.finished, strict=True):
        alone = run(config, watch)
        records = read_samples(finished.path)
        assert timeless(records) == timeless(read_samples(alone.path))
        assert finished.path.name == alone.path.name
        times = {"forward_seconds", "wall_clock_seconds", "tokens_per_second", "runs_together"}
        assert finished.metrics.model_dump(exclude=times) == alone.metrics.model_dump(exclude=times)
        assert (finished.metrics.runs_together, alone.metrics.runs_together) == (len(ARMS), 1)
        nfe += sum(record.ledger.total.nfe for record in records)
    assert together.forwards_requested == nfe


@pytest.mark.parametrize("stop", [1, 8, 19])
def test_what_was_stopped_goes_on(
    arms: Callable[..., list[RunConfig]], watch: Any, interrupting: Callable[[int], Any], timeless: Timeless, stop: int
) -> None:
    whole = run_together(arms(where="whole"), watch)
    with pytest.raises(KeyboardInterrupt):
        run_together(arms(), interrupting(stop))
    written = {p: p.read_bytes() for config in arms() for p in [config.run_path / "samples.jsonl"] if p.exists()}
    assert sum(content.count(b"\n") for content in written.values()) == stop
    again = run_together(arms(), watch)
    for one, other in zip(again.finished, whole.finished, strict=True):
        assert timeless(read_samples(one.path)) == timeless(read_samples(other.path))
    for file, before in written.items():
        assert file.read_bytes().startswith(before), "nothing is generated twice"
    assert sum(finished.generated for finished in again.finished) == 4 * len(ARMS) - stop


def test_a_finished_run_is_taken_as_it_is(
    arms: Callable[..., list[RunConfig]], watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = arms()
    before = run(configs[0], watch)
    kept = (before.path / "samples.jsonl").read_bytes()
    together = run_together(configs, watch)
    assert (before.path / "samples.jsonl").read_bytes() == kept
    assert [finished.generated for finished in together.finished] == [0, 4, 4, 4, 4]
    monkeypatch.setattr(dlm_length.runner.model, "load_model", None)
    again = run_together(configs, watch)
    assert (again.forwards_requested, again.forwards_run) == (0, 0)


def test_runs_that_are_not_alike_are_refused(configure: Configure, watch: Any) -> None:
    with pytest.raises(ConfigError, match="another benchmark"):
        run_together([configure(), configure("benchmark.limit=2")], watch)
    with pytest.raises(ConfigError, match="are the same"):
        run_together([configure(), configure()], watch)


def test_a_study_loads_the_model_once_and_runs_learners_last(
    configure: Configure, watch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    load = dlm_length.runner.model.load_model
    monkeypatch.setattr(dlm_length.runner.model, "load_model", lambda *a, **k: loads.append(a) or load(*a, **k))
    oracle = configure("policy.name=oracle", "policy.ladder=[8, 12]", length=None)
    short, long = configure(), configure(length=12)
    blocks = (Block(long, (oracle, short)), Block(None, (configure("benchmark.limit=2"),)))
    studied = run_study(Study("s", blocks), watch)
    assert len(loads) == 1
    first, second = studied.blocks
    assert [finished.path for finished in first.baseline] == [long.run_path]
    assert [finished.path for finished in first.runs] == [oracle.run_path, short.run_path]
    assert second.baseline == ()
    assert all(json.loads((f.path / "metrics.json").read_text()) for f in (*first.runs, *second.runs))
    assert find_finished(Path(long.output.directory), oracle.run_name)
    assert read_metrics(oracle.run_path).samples == 4
