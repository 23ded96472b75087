"""Run configs without a file: a benchmark's base with a policy, by a name that says both."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dlm_length.cli.listings import rows_of
from dlm_length.common import ConfigError
from dlm_length.config import composed_configs, config_names, find_study, json_schema, load_config, load_sweep
from dlm_length.config.search_path import packaged_configs

Write = Callable[..., Path]

BENCHMARK_VERSION = 2
"""That of every mini benchmark when the hashes were recorded."""
RECORDED = {
    "mini_gsm8k": {
        "composed": "7a35ef3d",
        "crop_insert": "6d148e6e",
        "daedal": "aa71aef2",
        "oracle": "22d81a32",
        "perturbed": "291db4b2",
        "random_length": "e696e4d0",
        "rho_eos": "98596d53",
        "smartcrop": "51d3fa0c",
        "stop_at_eos": "4dd28d36",
    },
    "mini_humaneval": {
        "composed": "a7ea96b3",
        "crop_insert": "e6c66578",
        "daedal": "b30722e6",
        "oracle": "8f21794f",
        "perturbed": "a5a945bb",
        "random_length": "2ce25a6c",
        "rho_eos": "e6c90b46",
        "smartcrop": "3a2c1f80",
        "stop_at_eos": "4eb72842",
    },
    "mini_ifeval": {
        "composed": "5dac390e",
        "crop_insert": "77a45a00",
        "daedal": "e5537b44",
        "oracle": "68246395",
        "perturbed": "e80559e3",
        "random_length": "5a6fd5e8",
        "rho_eos": "e3b5bd1a",
        "smartcrop": "55175692",
        "stop_at_eos": "731a74cd",
    },
    "mini_longformqa": {
        "composed": "f54fff79",
        "crop_insert": "c55be847",
        "daedal": "5172d79e",
        "oracle": "8025849c",
        "perturbed": "14fc063a",
        "random_length": "37bd940e",
        "rho_eos": "0a41dd07",
        "smartcrop": "6738c8bf",
        "stop_at_eos": "33ca1467",
    },
}
"""hash8 of the 36 runs that had a file each, which said `extends` and `policy` and nothing else."""


def recorded() -> Iterator[tuple[str, str, str]]:
    """Benchmark, policy and hash of every config whose file was removed."""
    for benchmark, hashes in RECORDED.items():
        for policy, hash8 in hashes.items():
            yield benchmark, policy, hash8


@pytest.mark.parametrize(("benchmark", "policy", "hash8"), list(recorded()))
@pytest.mark.parametrize("suffix", ["", ".yaml"])
def test_a_run_keeps_its_hash_and_name_without_its_file(
    benchmark: str, policy: str, hash8: str, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"{benchmark}_{policy}"
    assert not (packaged_configs() / f"{name}.yaml").exists()
    config = load_config(name + suffix)
    monkeypatch.setattr(type(config.benchmark), "version", BENCHMARK_VERSION)
    assert (config.experiment, config.benchmark.name, config.policy.name) == (name, benchmark, policy)
    assert config.run_path == Path(f"results/{name}/{benchmark}__llada-mini__{policy}__{hash8}")


@pytest.mark.parametrize(("benchmark", "policy", "_"), list(recorded()))
def test_it_is_what_a_file_of_two_names_says(benchmark: str, policy: str, _: str, write: Write) -> None:
    name = f"{benchmark}_{policy}"
    composed = load_config(name, ["benchmark.limit=3"])
    write(f"extends: {benchmark}_fixed\npolicy: mini_{policy}\n", f"configs/{name}.yaml")
    assert load_config(name, ["benchmark.limit=3"]) == composed


def test_no_packaged_config_only_pairs_two_names() -> None:
    """Such a config needs no file: the policy's in `configs/policies` is enough for every benchmark of its kind."""
    for file in packaged_configs().glob("*.yaml"):
        fields = YAML(typ="safe").load(file)
        assert fields.keys() != {"extends", "policy"} or isinstance(fields["policy"], dict), file.name


def test_composed_names_are_listed_and_offered() -> None:
    names = {f"{benchmark}_{policy}" for benchmark, policy, _ in recorded()}
    assert names <= composed_configs().keys()
    assert names <= config_names()["configs"].keys()
    assert names <= set(json_schema()["properties"]["extends"]["anyOf"][0]["enum"])
    (row,) = (row for row in rows_of("configs") if row.name == "mini_gsm8k_smartcrop")
    assert row.summary.startswith("SmartCrop on a canvas of 128")
    assert row.composed_of == "mini_gsm8k_fixed with policy mini_smartcrop"
    assert Path(row.source).name == "mini_smartcrop.yaml"
    with pytest.raises(ConfigError, match=r"no config is named 'mini_gsm8k_smartcrp'. Did you mean 'mini_gsm8k_smartc"):
        load_config("mini_gsm8k_smartcrp")


def test_composed_names_can_be_extended_swept_and_studied(write: Write) -> None:
    write("extends: mini_gsm8k_smartcrop\npolicy: {tau: 0.5}\n")
    own = load_config("run")
    assert (own.experiment, own.policy.model_dump()["tau"], own.policy.model_dump()["length"]) == ("run", 0.5, 128)
    (block,) = load_sweep("mini_gsm8k_smartcrop", ["tau"], ["0.5", "0.9"]).blocks
    assert [config.experiment for config in block.runs] == ["mini_gsm8k_smartcrop_sweep"] * 2
    study = find_study("study_mini")
    assert study is not None
    assert {config.policy.name for config in study.load().blocks[0].all} >= {"fixed", "smartcrop", "daedal"}
    assert find_study("mini_gsm8k_smartcrop") is None


def test_a_file_of_that_name_stands_before_the_composition(write: Write, run_text: str) -> None:
    write(run_text, "configs/mini_gsm8k_smartcrop.yaml")
    assert load_config("mini_gsm8k_smartcrop").model.path == "embedded:llada-tiny"
    assert "mini_gsm8k_smartcrop" not in composed_configs()


def test_own_bases_and_policies_compose_and_the_nearer_policy_is_taken(write: Write, run_text: str) -> None:
    write(run_text, "configs/lab_sums_fixed.yaml")
    write("name: smartcrop\ntau: 0.6\n", "configs/policies/lab_short.yaml")
    assert load_config("lab_sums_short").policy.model_dump()["tau"] == 0.6
    write("name: smartcrop\ntau: 0.7\n", "configs/policies/lab_sums_short.yaml")
    assert load_config("lab_sums_short").policy.model_dump()["tau"] == 0.7
    assert (composed_configs()["lab_sums_short"].base, composed_configs()["lab_sums_short"].policy) == (
        "lab_sums_fixed",
        "lab_sums_short",
    )


@pytest.mark.parametrize("name", ["gsm8k_fixed_mini_smartcrop", "mini_smartcrop", "my_gsm8k_smartcrop", "_smartcrop"])
def test_what_no_two_files_make_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"no config is named '{name}'"):
        load_config(name)


def test_a_base_that_extends_its_own_composition_goes_in_a_circle(write: Write) -> None:
    write("extends: mini_gsm8k_smartcrop\n", "configs/mini_gsm8k_fixed.yaml")
    with pytest.raises(ConfigError, match="extends: goes in a circle"):
        load_config("mini_gsm8k_smartcrop")


def test_faults_are_reported_where_they_were_written(write: Write) -> None:
    write("name: smartcrop\ntau: 7\n", "configs/policies/mini_smartcrop.yaml")
    with pytest.raises(ConfigError) as refused:
        load_config("mini_gsm8k_smartcrop", ["model.pth=x"])
    assert "configs/policies/mini_smartcrop.yaml:2: policy.tau: found 7" in str(refused.value)
    assert "command line: model.pth: unknown field" in str(refused.value)
