"""Policies that know their lengths before a run begins: found by a length pass, or told by earlier runs."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from run_fixtures import Watch

from dlm_length.benchmarks import Problem, Score
from dlm_length.common import ConfigError
from dlm_length.config import RunConfig
from dlm_length.records import SampleRecord, read_samples
from dlm_length.runner import run

Configure = Callable[..., RunConfig]
Timeless = Callable[[Sequence[SampleRecord]], dict[str, dict[str, Any]]]
RANDOM = {"name": "tiny_gsm8k_random_length", "length": 24}
TAU = "policy.tau=0.5"
LADDER = (4, 6, 9)
CORRECT_FROM = {0: 4, 1: 6, 2: 9, 3: None}
"""The canvas length from which the answer to each question counts as right."""


def lengths_of(path: Path) -> dict[str, int]:
    return {record.id: record.n_token for record in read_samples(path)}


def kept(path: Path) -> dict[str, int]:
    return json.loads((path / "lengths.json").read_text())


def test_random_length_deals_out_the_lengths_of_a_smartcrop_run(configure: Configure, watch: Watch) -> None:
    own = lengths_of(run(configure(TAU, name="tiny_gsm8k_smartcrop", length=24), watch).path)
    finished = run(configure(TAU, **RANDOM), watch)
    dealt = lengths_of(finished.path)
    assert sorted(dealt.values()) == sorted(own.values())
    assert len(set(dealt.values())) > 1
    assert kept(finished.path) == dealt
    assert "finding the lengths" in watch.phases
    assert finished.metrics.probe_nfe == 0
    assert all(record.ledger.total.nfe == record.n_token for record in read_samples(finished.path))
    seeds = [kept(run(configure(TAU, f"policy.permutation_seed={s}", **RANDOM), watch).path) for s in (1, 2, 3)]
    assert any(other != dealt for other in seeds)


def test_an_interrupted_run_of_dealt_lengths_goes_on_with_the_same_ones(
    configure: Configure, watch: Watch, interrupting: Callable[[int], Watch], timeless: Timeless
) -> None:
    """A length pass over what is left alone would deal out other lengths."""
    overrides = (TAU, "policy.temperature=0.7", "hardware.max_batch_tokens=1")
    config = configure(*overrides, **RANDOM)
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(0))
    found = kept(config.run_path)
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(2))
    finished = run(config, watch)
    assert finished.generated == 2
    assert kept(finished.path) == found == lengths_of(finished.path)
    whole = run(configure(*overrides, where="whole", **RANDOM), watch)
    assert timeless(read_samples(finished.path)) == timeless(read_samples(whole.path))


def test_a_later_session_believes_the_kept_lengths_and_a_fresh_one_finds_them_anew(
    configure: Configure, watch: Watch, interrupting: Callable[[int], Watch]
) -> None:
    config = configure(TAU, "hardware.max_batch_tokens=1", **RANDOM)
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(1))
    found = kept(config.run_path)
    (done,) = lengths_of(config.run_path)
    told = {name: length if name == done else 3 for name, length in found.items()}
    (config.run_path / "lengths.json").write_text(json.dumps(told))
    assert lengths_of(run(config, watch).path) == told
    again = run(config, watch, fresh=True)
    assert lengths_of(again.path) == kept(again.path) == found
    assert kept(again.path.with_name(f"{again.path.name}.old1")) == told


@pytest.fixture
def climb(configure: Configure, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[int, Path]]:
    """Finished runs with the fixed canvases of the ladder, where each question is right from its own length on."""

    def climb(*overrides: str, lengths: Sequence[int] = LADDER) -> dict[int, Path]:
        runs = {}
        for length in lengths:
            config = configure(*overrides, length=length)
            benchmark = type(config.benchmark)
            scored = benchmark.score

            def score(
                self: Any, problem: Problem, answer: str, length: int = length, scored: Callable[..., Score] = scored
            ) -> Score:
                enough = CORRECT_FROM[problem.index]
                value = float(enough is not None and length >= enough)
                return replace(scored(self, problem, answer), value=value)

            with monkeypatch.context() as patch:
                patch.setattr(benchmark, "score", score)
                runs[length] = run(config, watch).path
        return runs

    return climb


@pytest.fixture
def oracle(configure: Configure) -> Callable[..., RunConfig]:
    def oracle(*overrides: str) -> RunConfig:
        ladder = f"policy.ladder=[{', '.join(map(str, reversed(LADDER)))}]"
        return configure(ladder, *overrides, name="tiny_gsm8k_oracle", length=None)

    return oracle


@pytest.mark.parametrize(
    "overrides", [(), ("policy.temperature=0.7", "policy.block_length=3", "hardware.seed=5")], ids=["greedy", "sampled"]
)
def test_the_oracle_answers_as_the_shortest_right_canvas_did(
    oracle: Callable[..., RunConfig],
    climb: Callable[..., dict[int, Path]],
    watch: Watch,
    overrides: tuple[str, ...],
) -> None:
    earlier = {length: {r.doc_id: r for r in read_samples(path)} for length, path in climb(*overrides).items()}
    finished = run(oracle(*overrides), watch)
    records = {record.doc_id: record for record in read_samples(finished.path)}
    assert {place: record.n_token for place, record in records.items()} == {0: 4, 1: 6, 2: 9, 3: 9}
    for place, record in records.items():
        same = earlier[record.n_token][place]
        assert (record.canvas_ids, record.trajectory) == (same.canvas_ids, same.trajectory)
        assert record.ledger.total.flops_executed == same.ledger.total.flops_executed
    assert kept(finished.path) == {record.id: record.n_token for record in records.values()}


def test_runs_that_are_missing_are_named_before_a_model_is_loaded(
    oracle: Callable[..., RunConfig],
    climb: Callable[..., dict[int, Path]],
    watch: Watch,
    no_model: Callable[[], None],
) -> None:
    runs = climb("policy.block_length=3")
    shutil.rmtree(runs[6])
    (runs[9] / "metrics.json").unlink()
    no_model()
    with pytest.raises(ConfigError) as refused:
        run(oracle("policy.block_length=3"), watch)
    told = str(refused.value)
    assert told.startswith("policy 'oracle': learns from finished, scored runs on the same samples, and below ")
    assert (
        "there is none with policy.name=fixed policy.block_length=3 policy.length=6;"
        " policy.name=fixed policy.block_length=3 policy.length=9." in told
    )
    assert "length=4" not in told, "that run is there"


def test_a_missing_length_is_named_even_where_it_is_the_default(
    configure: Configure, watch: Watch, no_model: Callable[[], None]
) -> None:
    """The config it is passed to may have another one, as the shipped tiny one does."""
    no_model()
    with pytest.raises(ConfigError, match=r"none with policy\.name=fixed policy\.length=256\. Run the same config"):
        run(configure("policy.ladder=[256]", name="tiny_gsm8k_oracle", length=None), watch)


@pytest.mark.parametrize("other", ["policy.temperature=0.5", "policy.block_length=3", "hardware.seed=9"])
def test_runs_with_another_setting_do_not_count(
    oracle: Callable[..., RunConfig],
    climb: Callable[..., dict[int, Path]],
    watch: Watch,
    no_model: Callable[[], None],
    other: str,
) -> None:
    climb()
    no_model()
    with pytest.raises(ConfigError, match="there is none with"):
        run(oracle(other), watch)


def test_runs_of_fewer_samples_do_not_count_and_runs_of_more_do(
    oracle: Callable[..., RunConfig], climb: Callable[..., dict[int, Path]], watch: Watch
) -> None:
    """An oracle that is asked for more samples later learns the lengths of the new ones, and keeps the others."""
    climb("benchmark.limit=3")
    few = run(oracle("benchmark.limit=2"), watch)
    assert lengths_of(few.path) == kept(few.path) == {"gsm8k/0": 4, "gsm8k/1": 6}
    with pytest.raises(ConfigError, match="there is none with"):
        run(oracle(), watch)
    climb()
    (few.path / "lengths.json").write_text(json.dumps({"gsm8k/0": 5, "gsm8k/1": 6}))
    all_four = run(oracle(), watch)
    assert (all_four.path, all_four.generated) == (few.path, 2)
    assert kept(few.path) == {"gsm8k/0": 5, "gsm8k/1": 6, "gsm8k/2": 9, "gsm8k/3": 9}


def test_runs_of_another_experiment_count(
    oracle: Callable[..., RunConfig], climb: Callable[..., dict[int, Path]], watch: Watch
) -> None:
    for path in climb().values():
        moved = path.parents[1] / f"elsewhere{path.name[-8:]}" / path.name
        moved.parent.mkdir()
        path.rename(moved)
    assert sorted(lengths_of(run(oracle(), watch).path).values()) == [4, 6, 9, 9]


def test_runs_without_any_score_teach_nothing(configure: Configure, watch: Watch, no_model: Callable[[], None]) -> None:
    """Code is not executed unless allowed; an oracle over such runs would choose the longest canvas for all."""
    short = "benchmark.limit=2"
    for length in (4, 6):
        unscored = run(configure(short, name="tiny_humaneval_fixed", length=length), watch)
    no_model()
    config = configure(short, "policy.ladder=[4, 6]", name="tiny_humaneval_oracle", length=None)
    with pytest.raises(ConfigError, match="no sample there was scored") as refused:
        run(config, watch)
    assert str(unscored.path.parent) in str(refused.value)


def test_an_interrupted_oracle_goes_on_without_the_runs_it_learnt_from(
    oracle: Callable[..., RunConfig],
    climb: Callable[..., dict[int, Path]],
    watch: Watch,
    interrupting: Callable[[int], Watch],
) -> None:
    runs = climb()
    config = oracle("hardware.max_batch_tokens=1")
    with pytest.raises(KeyboardInterrupt):
        run(config, interrupting(2))
    for path in runs.values():
        shutil.rmtree(path)
    finished = run(config, watch)
    assert finished.generated == 2
    assert sorted(lengths_of(finished.path).values()) == [4, 6, 9, 9]
    assert run(config, watch).generated == 0, "a finished run needs nothing"


def test_given_lengths_need_no_earlier_run(oracle: Callable[..., RunConfig], watch: Watch) -> None:
    given = {f"gsm8k/{place}": 2 + place for place in range(4)}
    finished = run(oracle(f"policy.lengths={json.dumps(given)}"), watch)
    assert lengths_of(finished.path) == given
