"""The configs that come with the package, and the schema that editors check them with."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dlm_length.config import composed_configs, config_names, json_schema, load_config
from dlm_length.config.search_path import packaged_configs
from dlm_length.config.yaml import read_mapping
from dlm_length.policies import build_policy, policies

ALL = sorted({*(file.stem for file in packaged_configs().glob("*.yaml")), *composed_configs()})
MINI = [name for name in ALL if name.startswith("mini_")]
LM_EVAL = [name for name in ALL if name.startswith("lm_eval_")]
EXPERIMENTS = [name for name in ALL if name not in (*MINI, *LM_EVAL)]
SECTIONS = {"models": "model", "policies": "policy", "benchmarks": "benchmark", "hardware": "hardware"}
FILES = sorted(file for file in packaged_configs().rglob("*.yaml") if file.parent.name != "studies")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json_schema()


def valid(schema: dict[str, Any], config: object, section: str | None = None) -> bool:
    root = schema if section is None else {"$ref": f"#/$defs/{section}", "$defs": schema["$defs"]}
    return bool(Draft202012Validator(root).is_valid(config))


BENCHMARKS = ("gsm8k", "humaneval")
CANVAS = {"gsm8k": 256, "humaneval": 512, "ifeval": 1280, "longformqa": 512}
"""SmartCrop's, as they follow from its table."""
STYLE = {"gsm8k": "chat_cot_4shot", "humaneval": "chat_fence", "ifeval": "chat_bare", "longformqa": "plain"}
OF_DAEDAL = ("fixed_daedal", "daedal", "rho_eos")
"""Arms that ask with DAEDAL's prompts at full size."""


def parts(name: str) -> tuple[bool, str, str]:
    """tiny, benchmark and what stands behind it, of an experiment's name."""
    benchmark, _, arm = name.removeprefix("tiny_").partition("_")
    return name.startswith("tiny_"), benchmark, arm


def test_there_is_an_experiment_for_each_benchmark_policy_and_size() -> None:
    wanted = {
        f"{size}{benchmark}_{policy}" for size in ("", "tiny_") for benchmark in BENCHMARKS for policy in policies()
    }
    assert wanted <= set(EXPERIMENTS)
    assert {"llada-8b-instruct", "llada-8b-base", "llada-1.5", "llada-tiny"} <= set(config_names()["models"])
    assert {"cpu", "rtx-4090", "a100-80gb", "h100-80gb"} <= set(config_names()["hardware"])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_loads_as_its_name_says(name: str) -> None:
    config = load_config(name)
    tiny, benchmark, arm = parts(name)
    policy = "fixed" if arm == "fixed_daedal" else arm
    assert (config.experiment, config.benchmark.name, config.policy.name) == (name, benchmark, policy)
    style = "chat_tags" if arm in OF_DAEDAL and not tiny else STYLE[benchmark]
    benchmark_fields = config.benchmark.model_dump()
    assert benchmark_fields["prompt_style"] == ("text_cot_0shot" if tiny and benchmark == "gsm8k" else style)
    assert benchmark_fields["prompt_file"] is None
    assert benchmark_fields["limit"] == (32 if tiny else 500 if benchmark == "longformqa" else None)
    assert not benchmark_fields.get("execute_code")
    assert config.hardware.profile == ("cpu" if tiny else "h100-80gb")
    assert config.model.short_name == ("llada-tiny" if tiny else "LLaDA-8B-Instruct")


@pytest.mark.parametrize("name", MINI)
def test_every_mini_experiment_asks_the_embedded_model(name: str) -> None:
    """All that sets the runs on one benchmark apart is the policy, which is the same on every benchmark."""
    config = load_config(name)
    benchmark, _, arm = name.removeprefix("mini_").partition("_")
    assert (config.experiment, config.benchmark.name, config.policy.name) == (name, f"mini_{benchmark}", arm)
    assert (config.model.short_name, config.hardware.profile) == ("llada-mini", "cpu")
    assert config.model.path == "embedded:llada-mini"
    assert config.policy == load_config(f"mini_gsm8k_{arm}").policy
    apart = {"experiment", "policy"}
    assert config.model_dump(exclude=apart) == load_config(f"mini_{benchmark}_fixed").model_dump(exclude=apart)
    assert config.benchmark.model_dump().get("execute_code", True), "its programs are run: in the sandbox"
    settings = config.policy.model_dump()
    assert settings.get("length", 128) == 128 or arm == "composed"  # which finds its length otherwise
    assert settings.get("tau", 0.9) == 0.9


def test_the_example_of_an_lm_eval_task_is_asked_in_its_own_words() -> None:
    assert LM_EVAL == ["lm_eval_gsm8k_cot_fixed"]
    config = load_config("lm_eval_gsm8k_cot_fixed")
    settings = config.benchmark.model_dump(exclude_defaults=True)
    assert settings == {"task": "gsm8k_cot"}
    assert (config.benchmark.label, config.policy.label) == ("lm_eval:gsm8k_cot", "fixed 256")


def test_there_is_a_mini_experiment_for_each_benchmark_and_policy() -> None:
    benchmarks = ("gsm8k", "humaneval", "ifeval", "longformqa")
    assert set(MINI) == {f"mini_{benchmark}_{policy}" for benchmark in benchmarks for policy in policies()}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_are_the_papers(name: str) -> None:
    tiny, benchmark, arm = parts(name)
    settings = load_config(name).policy.model_dump()
    if arm in ("fixed", "smartcrop", "perturbed", "random_length"):
        assert settings["length"] == (64 if tiny else CANVAS[benchmark])
        assert settings.get("tau", 0.9) == 0.9
        assert (settings["block_length"], settings["steps"], settings["tokens_per_step"]) == (None, None, 1)
    if arm == "daedal" and not tiny:
        assert settings == build_policy("daedal").model_dump()
    if arm == "rho_eos" and not tiny:
        assert settings == build_policy("rho_eos").model_dump()
    if arm == "fixed_daedal":
        assert (settings["block_length"], settings["steps"], settings["tokens_per_step"]) == (32, None, 1)
    if arm == "oracle":
        assert max(settings["ladder"]) == (64 if tiny else CANVAS[benchmark])


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_arms_of_a_comparison_differ_in_the_policy_alone(name: str) -> None:
    tiny, benchmark, arm = parts(name)
    baseline = "fixed_daedal" if arm in OF_DAEDAL and not tiny else "fixed"
    one, other = (
        load_config(experiment).model_dump(exclude={"experiment", "policy"})
        for experiment in (name, f"{'tiny_' * tiny}{benchmark}_{baseline}")
    )
    assert one == other


@pytest.mark.parametrize("hardware", ["cpu", "rtx-4090", "a100-80gb", "h100-80gb"])
def test_profiles_say_what_their_device_is(hardware: str) -> None:
    profile = load_config("gsm8k_fixed", [f"hardware={hardware}"]).hardware
    on_gpu = hardware != "cpu"
    assert (profile.device, profile.dtype) == (("cuda", "bfloat16") if on_gpu else ("cpu", "float32"))
    assert (profile.memory_gib is not None, profile.peak_tflops is not None, profile.device_name is not None) == (
        on_gpu,
    ) * 3


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(packaged_configs())))
def test_every_file_says_what_it_is_and_fits_the_schema(file: Path, schema: dict[str, Any]) -> None:
    what, *more = file.read_text().splitlines()
    how = next(line for line in more if line.startswith("# Run: "))
    assert what.startswith("# ")
    assert how.startswith("# Run: dlmlen run ")
    name, *overrides = how.removeprefix("# Run: dlmlen run ").split()
    load_config(name, overrides)
    section = SECTIONS.get(file.parent.name)
    assert valid(schema, read_mapping(file).plain(), section)


def test_the_schema_is_a_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$defs"]["SmartCrop"]["properties"]["tau"]["description"].startswith("Crop at the first position")


@pytest.mark.parametrize("name", ALL)
def test_a_resolved_config_fits_the_schema(name: str, schema: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(load_config(name).to_yaml())
    assert valid(schema, read_mapping(file).plain())


RUN: dict[str, Any] = {"model": "llada-tiny", "policy": "smartcrop", "benchmark": "gsm8k"}


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"policy": {"name": "smartcrop", "tau": 0.5}}, True),
        ({"policy": {"extends": "smartcrop", "tau": 0.5}}, True),
        ({"policy": "mine/own.yaml"}, True),
        ({"extends": "gsm8k_fixed", "policy": {"tau": 0.5}}, True),
        ({"policy": {"tau": 0.5}}, False),
        ({"policy": {"name": "fixed", "tau": 0.5}}, False),
        ({"policy": {"name": "smartcrop", "tau": 1.5}}, False),
        ({"policy": {"name": "smartcrop", "tua": 0.5}}, False),
        ({"policy": {"name": "smartcorp"}}, False),
        ({"policy": {"extends": "smartcrop", "tua": 0.5}}, False),
        ({"extends": "gsm8k_fixed", "policy": {"tua": 0.5}}, False),
        ({"policy": ["smartcrop"]}, False),
        ({"polcy": "fixed"}, False),
        ({"model": {"label": "x"}}, False),
        ({"output": {"extends": "x"}}, False),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(schema: dict[str, Any], change: dict[str, Any], fits: bool) -> None:
    assert valid(schema, RUN | change) is fits


def test_the_schema_wants_every_section_that_is_required(schema: dict[str, Any]) -> None:
    for section in RUN:
        without = {field: name for field, name in RUN.items() if field != section}
        assert not valid(schema, without)
        assert valid(schema, without | {"extends": "gsm8k_fixed"})


def test_the_schema_offers_local_names(schema: dict[str, Any], write: Callable[..., Path]) -> None:
    write("path: x\n", "configs/models/my-own.yaml")
    kinds = json_schema()["else"]["properties"]["model"]["anyOf"]
    (offered,) = (name["enum"] for kind in kinds for name in kind.get("anyOf", ()) if "enum" in name)
    assert "my-own" in offered
    assert "llada-tiny" in offered
