"""Runs under several seeds: a folder each, one model."""

import json
from collections.abc import Callable
from typing import Any

import pytest

import dlm_length.runner.model
from dlm_length.common import ConfigError
from dlm_length.config import Block, RunConfig, Study, repeated
from dlm_length.records import read_samples
from dlm_length.runner import run, run_repeats, run_study, run_together

Configure = Callable[..., RunConfig]
HOT = "policy.temperature=5.0"  # where the small model's seeds differ within eight tokens


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """One entry for each time that a model is loaded."""
    found: list[Any] = []
    load = dlm_length.runner.model.load_model
    monkeypatch.setattr(dlm_length.runner.model, "load_model", lambda *a, **k: found.append(a) or load(*a, **k))
    return found


def test_each_seed_is_the_run_it_would_be_by_itself(
    configure: Configure, watch: Any, loads: list[Any], timeless: Callable[..., Any]
) -> None:
    runs = repeated(configure(HOT, "benchmark.repeats=2"))
    finished = run_repeats(runs, watch)
    assert [each.path for each in finished] == [config.run_path for config in runs]
    assert len(loads) == 1
    assert "seed 1" in watch.phases
    first, second = (timeless(read_samples(each.path)) for each in finished)
    assert {name: record["canvas_ids"] for name, record in first.items()} != {
        name: record["canvas_ids"] for name, record in second.items()
    }
    for number, seed in enumerate((0, 1)):
        alone = run(configure(HOT, f"hardware.seed={seed}", where="alone"), watch)
        assert timeless(read_samples(alone.path)) == (first, second)[number]
        session = json.loads((finished[number].path / "environment.json").read_text())[0]
        assert session["seed"] == seed
    assert not watch.notices


def test_seeds_of_a_policy_that_draws_nothing_are_noticed(configure: Configure, watch: Any) -> None:
    run_repeats(repeated(configure(), (0, 1)), watch)
    (told,) = watch.notices
    assert told.startswith("fixed 8: no random number is drawn at temperature 0")
    watch.notices.clear()
    run_study(Study("s", (Block(configure(length=12), (configure(),)),), seeds=(0, 1)), watch)
    assert [notice.partition(":")[0] for notice in watch.notices] == ["fixed 12, fixed 8"]
    watch.notices.clear()
    run_repeats(repeated(configure("policy.remasking=random"), (0, 1)), watch)
    run_repeats(repeated(configure()), watch)
    assert not watch.notices


def test_repeats_interrupted_go_on(configure: Configure, watch: Any, interrupting: Callable[[int], Any]) -> None:
    runs = repeated(configure(HOT), (3, 4, 5))
    run_repeats(runs[:1], watch)
    with pytest.raises(KeyboardInterrupt):
        run_repeats(runs, interrupting(2))
    finished = run_repeats(runs, watch)
    assert finished[0].generated == 0
    assert 0 < finished[1].generated < 4
    assert finished[2].generated == 4


def test_a_baseline_has_the_repeats_that_are_there_and_none_of_the_runs_own(configure: Configure, watch: Any) -> None:
    baselines = run_repeats(repeated(configure(HOT), (0, 1)), watch)
    folder = baselines[0].path.parents[1]
    runs = repeated(configure(HOT, "policy.length=12", length=None), (0, 1))
    for _ in range(2):  # the second time the runs themselves are below the folder too
        finished = run_repeats(runs, watch, baseline=folder)
        assert {each.baseline for each in finished} == {tuple(sorted(b.path for b in baselines))}


def test_a_study_has_every_run_under_every_seed(configure: Configure, watch: Any, loads: list[Any]) -> None:
    long, short = configure(HOT, length=12), configure(HOT)
    studied = run_study(Study("s", (Block(long, (short,)),), seeds=(0, 1)), watch)
    (block,) = studied.blocks
    assert [each.path for each in block.baseline] == [config.run_path for config in repeated(long, (0, 1))]
    assert [each.path for each in block.runs] == [config.run_path for config in repeated(short, (0, 1))]
    assert len(loads) == 1
    assert all(json.loads((each.path / "environment.json").read_text())[0]["runs_together"] == 2 for each in block.runs)
    again = run_study(Study("s", (Block(long, (short,)),), seeds=(0, 1, 2)), watch)
    assert [each.generated for each in again.blocks[0].runs] == [0, 0, 4]


def test_one_run_cannot_be_several(configure: Configure, watch: Any) -> None:
    with pytest.raises(ConfigError, match=r"benchmark.repeats: found 2 for one run"):
        run_together([configure("benchmark.repeats=2")], watch)
