"""Sweeps: what varies, and the baseline."""

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import load_sweep

CONFIG = "tiny_gsm8k_smartcrop"


def test_the_papers_sweep_by_name() -> None:
    (block,) = load_sweep(CONFIG, ["tau", "benchmark.limit=3"]).blocks
    assert [config.policy.model_dump()["tau"] for config in block.runs] == [0.5, 0.75, 0.9, 0.95, 0.99]
    assert block.baseline is not None
    assert (block.baseline.policy.name, block.baseline.policy.model_dump()["length"]) == ("fixed", 64)
    for config in block.all:
        assert (config.benchmark.limit, config.experiment) == (3, "tiny_gsm8k_smartcrop_sweep")
    deltas = [
        config.policy.model_dump()["delta"] for config in load_sweep("tiny_gsm8k_perturbed", ["delta"]).blocks[0].runs
    ]
    assert deltas == [-0.5, -0.4, -0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_the_baseline_decodes_as_the_swept_policy_does() -> None:
    (block,) = load_sweep(CONFIG, ["tau", "policy.tokens_per_step=2", "policy.temperature=0.5"]).blocks
    assert block.baseline is not None
    settings = block.baseline.policy.model_dump()
    assert (settings["tokens_per_step"], settings["temperature"], settings["length"]) == (2, 0.5, 64)


def test_grids_are_every_combination() -> None:
    (block,) = load_sweep("tiny_gsm8k_daedal", ["policy.tau_high=0.8,0.9", "policy.tau_low=0.05,0.1"]).blocks
    settings = [(c.policy.model_dump()["tau_high"], c.policy.model_dump()["tau_low"]) for c in block.runs]
    assert settings == [(0.8, 0.05), (0.8, 0.1), (0.9, 0.05), (0.9, 0.1)]
    assert block.baseline is None, "DAEDAL has no canvas to hold it against"


def test_values_and_baseline_may_be_given() -> None:
    (block,) = load_sweep("tiny_gsm8k_daedal", ["policy.tau_low"], ["0.1", "0.2"], baseline="tiny_gsm8k_fixed").blocks
    assert [config.policy.model_dump()["tau_low"] for config in block.runs] == [0.1, 0.2]
    assert block.baseline is not None
    assert block.baseline.policy.name == "fixed"
    (block,) = load_sweep(CONFIG, ["tau"], ["0.5"], baseline="none").blocks
    assert block.baseline is None
    (block,) = load_sweep("tiny_gsm8k_oracle", ["policy.ladder=[8,16],[8]"]).blocks
    assert [config.policy.model_dump()["ladder"] for config in block.runs] == [(8, 16), (8,)]


def test_a_sweep_of_lengths_is_its_own_baseline() -> None:
    (block,) = load_sweep("tiny_gsm8k_fixed", ["length"], ["16", "32"]).blocks
    assert block.baseline is None
    assert len(block.all) == 2


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("hardware.seed", ["1", "2"]),
        ("benchmark.limit", ["6", "8"]),
        ("benchmark.subset_seed", ["1", "2"]),
        ("model.path", ["embedded:llada-tiny", "embedded:llada-mini"]),
    ],
)
def test_what_is_no_policys_field_parts_a_sweep_into_blocks_with_a_baseline_each(field: str, values: list[str]) -> None:
    section, name = field.split(".")
    study = load_sweep(CONFIG, [f"{field}={','.join(values)}", "policy.tau=0.5,0.9"])
    assert [block.apart for block in study.blocks] == [f"{field}={value}" for value in values]
    for block, value in zip(study.blocks, values, strict=True):
        assert block.baseline is not None
        assert [config.policy.name for config in block.all] == ["fixed", "smartcrop", "smartcrop"]
        assert {str(getattr(getattr(config, section), name)) for config in block.all} == {value}
        assert {config.experiment for config in block.all} == {study.name}
    named = load_sweep(CONFIG, [f"{field}={','.join(values)}"], baseline="tiny_gsm8k_daedal")
    assert [str(getattr(getattr(block.baseline, section), name)) for block in named.blocks] == values


@pytest.mark.parametrize("varied", ["hardware.threads=1,2", "hardware.dtype=float32,bfloat16", "policy.tau=0.5,0.50"])
def test_values_that_name_the_same_run_are_refused(varied: str) -> None:
    field, _, values = varied.partition("=")
    one, other = (f"{field}={value}" for value in values.split(","))
    with pytest.raises(ConfigError, match=f"^{one} and {other}: are the same run"):
        load_sweep(CONFIG, [varied])


@pytest.mark.parametrize(
    ("what", "values", "message"),
    [
        (["benchmark.limit=3"], None, "nothing varies"),
        (["tua"], None, "cannot vary 'tua'.*Did you mean 'tau'"),
        (["policy.tau"], None, "cannot vary 'policy.tau'"),
        (["tau", "length"], ["1"], "--values: takes the values of one"),
        (["policy.tau=0.5,0.5"], None, "more than once"),
        (["policy.tau=0.5,2"], None, "policy.tau"),
        (["policy.tua=0.5,0.6"], None, "Did you mean 'tau'"),
    ],
)
def test_what_cannot_be_swept_is_reported(what: list[str], values: list[str] | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_sweep(CONFIG, what, values)
