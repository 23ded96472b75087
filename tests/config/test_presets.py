"""Presets: a family's sampler as decoder fields of any policy."""

from pathlib import Path
from typing import Any

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import config_names, load_config
from dlm_length.models.loading import _families
from dlm_length.policies import build_policy

MODELS = {
    "dream-v0-instruct": "Dream",
    "dream-v0-base": "Dream",
    "dream-coder-v0-instruct": "Dream",
    "diffucoder-7b-cpgrpo": "Dream",
    "illada-8b-instruct": "ILLaDA",
    "illada-8b-base": "ILLaDA",
    "llada-moe-7b-a1b-instruct": "LLaDAMoE",
    "llada-moe-7b-a1b-base": "LLaDAMoE",
    "llada2.0-mini": "LLaDA2",
    "llada2.1-mini": "LLaDA2",
    "qwen3-0.6b-diffusion-mdlm": "A2DQwen3",
    "qwen3-0.6b-diffusion-bd3lm": "A2DQwen3",
    "sdar-4b-chat": "SDAR",
    "sdar-8b-chat": "SDAR",
}


def test_every_model_of_another_family_is_listed_here() -> None:
    llada = {"embedded", "llada-1.5", "llada-8b-base", "llada-8b-instruct", "llada-mini", "llada-tiny"}
    assert set(config_names()["models"]) == {*MODELS, *llada}


@pytest.mark.parametrize("name", MODELS)
def test_a_models_preset_is_its_familys(name: str) -> None:
    (preset,) = (family.preset for family in _families() if type(family).__name__ == MODELS[name])
    config = load_config("gsm8k_smartcrop", [f"model={name}"])
    assert config.model.preset == preset == config.policy.preset  # type: ignore[attr-defined]


def test_a_model_brings_its_sampler_to_the_policies_that_decode() -> None:
    dream = load_config("gsm8k_smartcrop", ["model=dream-v0-instruct"]).policy
    assert (dream.schedule, dream.remasking, dream.name) == ("dream", "entropy", "smartcrop")  # type: ignore[attr-defined]
    assert load_config("gsm8k_daedal", ["model=dream-v0-instruct"]).policy == load_config("gsm8k_daedal").policy


def test_what_the_config_says_itself_stands() -> None:
    other = load_config("gsm8k_fixed", ["model=dream-v0-instruct", "policy.remasking=margin"]).policy
    assert (other.schedule, other.remasking) == ("dream", "margin")  # type: ignore[attr-defined]
    none = load_config("gsm8k_fixed", ["model=dream-v0-instruct", "policy.preset=null"]).policy
    assert none == load_config("gsm8k_fixed").policy


def test_a_preset_and_its_fields_spelled_out_are_one_run() -> None:
    spelled = ["policy.preset=null", "policy.schedule=dream", "policy.remasking=entropy"]
    by_preset, by_fields = (
        load_config("gsm8k_fixed", ["model=dream-v0-instruct", *more]).fingerprint for more in ([], spelled)
    )
    assert by_preset == by_fields


def test_the_resolved_config_loads_to_an_equal_one(tmp_path: Path) -> None:
    config = load_config("gsm8k_fixed", ["model=dream-v0-instruct", "policy.preset=mdlm"])
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    again = load_config(tmp_path / "again.yaml")
    assert again == config
    assert again.policy.schedule == "mdlm"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "dreams"}, "preset"),
        ({"preset": "dream", "threshold": 0.9}, "threshold decoding follows no schedule dream"),
        ({"schedule": "quota"}, "schedule quota holds back what is below a threshold"),
        ({"schedule": "mdlm", "eps": 0.1}, "eps has no effect with schedule mdlm"),
        ({"schedule": "dream", "eps": 0.0}, "eps"),
        ({"top_k": 0}, "top_k"),
        ({"schedule": "quota", "threshold": 0.9, "steps": 300}, "steps must be from 1"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_policy("fixed", **parameters)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"loop": "sdar", "early_stop": False}, "early_stop has no effect with loop: sdar"),
        ({"loop": "llada2", "masks_behind": True}, "masks_behind has no effect with loop: llada2"),
        ({"loop": "llada2", "schedule": "mdlm"}, "schedule has no effect with loop: llada2"),
        ({"steps": 4, "tokens_per_step": 2}, "steps and tokens_per_step are alternatives"),
    ],
)
def test_a_loop_refuses_what_it_does_not_read(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        build_policy("block_causal", **parameters)
    assert message in str(refused.value)
