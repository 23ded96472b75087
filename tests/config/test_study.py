"""Studies: one file, many runs."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import dlm_length.config.study
from dlm_length.common import ConfigError
from dlm_length.config import Study, combinations, find_study
from dlm_length.config.search_path import STUDIES, packaged_configs
from dlm_length.config.tree import Entry
from dlm_length.config.yaml import read_mapping

STUDY = """
benchmarks: [gsm8k, humaneval]
baseline: "tiny_{benchmark}_fixed"
runs:
  - config: "tiny_{benchmark}_smartcrop"
    vary: {policy.tau: [0.5, 0.9], policy.length: [32, 64]}
  - config: "tiny_{benchmark}_fixed"
"""
SHIPPED = sorted(file.stem for file in (packaged_configs() / STUDIES).glob("*.yaml"))


def load_study(name: str, overrides: Sequence[str] = ()) -> Study:
    found = find_study(name)
    assert found is not None
    return found.load(overrides)


def test_a_study_is_benchmarks_times_runs(write: Callable[..., Path]) -> None:
    write(STUDY, "configs/studies/mine.yaml")
    study = load_study("mine", ["benchmark.limit=3"])
    assert study.name == "mine"
    assert [block.baseline and block.baseline.benchmark.name for block in study.blocks] == ["gsm8k", "humaneval"]
    block = study.blocks[0]
    settings = [(c.policy.model_dump().get("tau"), c.policy.model_dump()["length"]) for c in block.runs]
    assert settings == [(0.5, 32), (0.5, 64), (0.9, 32), (0.9, 64), (None, 64)]
    assert {(config.experiment, config.benchmark.limit) for config in block.all} == {("mine", 3)}
    assert [config.policy.name for config in block.all] == ["fixed", *["smartcrop"] * 4], "the baseline once"


def test_overrides_of_the_user_come_last_but_for_what_varies(write: Callable[..., Path]) -> None:
    file = write(STUDY, "own.yaml")
    study = load_study(str(file), ["experiment=other", "policy.length=16"])
    assert {config.experiment for config in study.blocks[0].all} == {"other"}
    assert [config.policy.model_dump()["length"] for config in study.blocks[0].runs] == [32, 64, 32, 64, 16]


def test_a_run_is_no_study() -> None:
    assert find_study("tiny_gsm8k_fixed") is None
    assert find_study("no_such_thing") is None


def test_a_file_is_read_once(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(STUDY, "own.yaml")
    read: list[Path] = []

    def read_once_more(path: Path) -> Entry:
        read.append(path)
        return read_mapping(path)

    monkeypatch.setattr(dlm_length.config.study, "read_mapping", read_once_more)
    found = find_study(str(file))
    assert found is not None
    assert found.load(["policy.length=16"]) == found.load(["policy.length=16"]) != found.load()
    assert read == [file]


def test_a_study_that_cannot_be_read_is_one_by_its_folder(write: Callable[..., Path]) -> None:
    write("runs: [", "configs/studies/torn.yaml")
    found = find_study("torn")
    assert found is not None
    with pytest.raises(ConfigError, match=r"torn\.yaml:1: not valid YAML"):
        found.load()
    assert find_study(str(write("runs: [", "torn.yaml"))) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STUDY.replace("baseline", "baselien"), "baselien: unknown field; allowed: .*Did you mean 'baseline'"),
        (STUDY.replace("policy.tau", "policy.tua"), "tua"),
        (STUDY.replace("tiny_{benchmark}_smartcrop", "tiny_{benchmark}_smartcorp"), "no config is named"),
        ("runs: []\nbenchmarks: [gsm8k]\nbaseline: x\n", "runs"),
    ],
)
def test_a_fault_is_reported_by_field(write: Callable[..., Path], text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_study(str(write(text, "faulty.yaml")))


def test_combinations_come_in_order() -> None:
    assert list(combinations({})) == [[]]
    assert list(combinations({"a": [1, 2.5], "b": ["x", None]})) == [
        ["a=1", "b=x"],
        ["a=1", "b=null"],
        ["a=2.5", "b=x"],
        ["a=2.5", "b=null"],
    ]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_study_loads_and_says_how_it_is_run(name: str) -> None:
    study = load_study(name)
    assert study.name == name
    what, how, *_ = (packaged_configs() / STUDIES / f"{name}.yaml").read_text().splitlines()
    assert what.startswith("# ")
    assert how == f"# Run: dlmlen run {name}"


def test_the_mini_study_is_the_whole_one() -> None:
    study = load_study("study_mini")
    assert [block.all[0].benchmark.name for block in study.blocks] == [
        *("mini_gsm8k", "mini_humaneval", "mini_ifeval", "mini_longformqa")
    ]
    for block in study.blocks:
        names = [config.policy.name for config in block.all]
        assert names == ["fixed", *["smartcrop"] * 5, "random_length", "daedal", "rho_eos"]
        assert block.baseline is not None
        assert block.baseline.policy.model_dump()["length"] == 128


def test_seeds_are_given_once(write: Callable[..., Path]) -> None:
    """A study over two seeds, made under each of two more, would be made twice."""
    varied = STUDY.replace("policy.tau: [0.5, 0.9], policy.length: [32, 64]", "hardware.seed: [1, 2]")
    write(varied, "configs/studies/mine.yaml")
    study = load_study("mine")
    with pytest.raises(ConfigError, match=r"--seeds 0,1: mine varies hardware.seed itself \(0, 1, 2\); give the seeds"):
        replace(study, seeds=(0, 1))
    assert replace(study, seeds=None) == study
    write(STUDY, "configs/studies/plain.yaml")
    assert replace(load_study("plain"), seeds=(0, 1)).seeds == (0, 1)
