"""The command line meets the validator that files meet."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import load_config

Write = Callable[..., Path]
Refusal = Callable[..., str]


@pytest.mark.parametrize(
    ("override", "section", "field", "value"),
    [
        ("policy.tau=0.95", "policy", "tau", 0.95),
        ("policy.tau = 1", "policy", "tau", 1.0),
        ("policy.steps=null", "policy", "steps", None),
        ("policy.block_length=", "policy", "block_length", None),
        ("policy.include_eot=true", "policy", "include_eot", True),
        ("benchmark.sample_ids=[HumanEval/0,HumanEval/3]", "benchmark", "sample_ids", ("HumanEval/0", "HumanEval/3")),
        ("benchmark.sample_ids=[007, x]", "benchmark", "sample_ids", ("007", "x")),
        ("benchmark.path=data/a=b #1.jsonl", "benchmark", "path", "data/a=b #1.jsonl"),
        ("model.revision=0123456", "model", "revision", "0123456"),
        ("model.revision=1e5", "model", "revision", "1e5"),
        ("model.label='0.50'", "model", "label", "0.50"),
        ("hardware.max_batch_tokens=auto", "hardware", "max_batch_tokens", "auto"),
        ("hardware.max_batch_tokens=64", "hardware", "max_batch_tokens", 64),
    ],
)
def test_a_field_is_set(write: Write, override: str, section: str, field: str, value: object) -> None:
    write()
    found = getattr(getattr(load_config("run", [override]), section), field)
    assert found == value
    assert type(found) is type(value)


def test_sections_come_before_fields_whatever_their_order(write: Write) -> None:
    write()
    overrides = ["policy.length=20", "policy=fixed", "experiment=12", "hardware.seed=3", "hardware=rtx-4090"]
    config = load_config("run", overrides)
    assert config == load_config("run", overrides[::-1])
    assert config.policy.model_dump()["length"] == 20
    assert config.experiment == "12"
    assert (config.hardware.profile, config.hardware.seed) == ("rtx-4090", 3)


def test_a_section_given_anew_keeps_nothing(write: Write) -> None:
    write()
    assert load_config("run", ["policy={name: smartcrop}"]).policy.model_dump()["tau"] == 0.9


def test_of_two_for_one_field_the_later_counts(write: Write) -> None:
    write()
    assert load_config("run", ["policy.tau=0.1", "policy.tau=0.2"]).policy.model_dump()["tau"] == 0.2


def test_a_section_that_the_file_lacks(write: Write) -> None:
    write("model: llada-tiny\nbenchmark: gsm8k\n")
    config = load_config("run", ["policy.name=fixed", "policy.length=4", "output.directory=there"])
    assert config.policy.model_dump()["length"] == 4
    assert config.output.directory == "there"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("policy.tau", "command line: 'policy.tau' is not an override: write FIELD=VALUE"),
        ("=3", "command line: '=3' has an empty field name"),
        ("policy.=3", "command line: 'policy.=3' has an empty field name"),
        ("policy..tau=3", "command line: 'policy..tau=3' has an empty field name"),
        ("polcy=fixed", "command line: polcy: unknown field; allowed: experiment, model, policy"),
        ("polcy.tau=0.5", "Did you mean 'policy'?"),
        ("policy.tua=0.5", "command line: policy.tua: unknown field"),
        ("policy.tua=0.5", "Did you mean 'tau'?"),
        ("tau=0.5", "Did you mean 'policy.tau'?"),
        ("seed=1", "Did you mean 'hardware.seed'?"),
        ("policy.tau.x=1", "command line: policy.tau: found {'x': 1} (mapping); allowed: a number from 0 to 1"),
        ("experiment.x=1", "command line: experiment: found {'x': 1} (mapping)"),
        ("policy={name: fixed", "command line: policy: not valid YAML"),
        ("policy={tau: 1}", "command line: policy.name: missing: it says which policy this is; there are block_causal"),
        ("policy=smartcorp", "command line: policy: no policy is named 'smartcorp'. Did you mean 'smartcrop'"),
        ("policy=", "command line: policy: found nothing (null); allowed: a name (block_causal"),
        ("extends=gsm8k_fixed", "command line: extends: unknown field"),
        (f"policy={'x' * 5000}", "command line: policy: no policy is named 'xxx"),
        ("policy=\0", "command line: policy: no policy is named '\\x00'"),
    ],
)
def test_what_cannot_be_is_refused(refusal: Refusal, run_text: str, override: str, message: str) -> None:
    assert message in refusal(run_text, override)


def test_a_field_of_another_policy_is_reported_with_its_policy(refusal: Refusal, run_text: str) -> None:
    assert "policy.tau: unknown field" in (message := refusal(run_text, "policy=fixed", "policy.tau=0.5"))
    assert "It is a field of composed, crop_insert, perturbed, random_length or smartcrop" in message


@pytest.mark.parametrize(
    "value", ["1.5", '"0.9"', "true", "null", "[0.5]", "{a: 1}", "0.5", "1", ".nan", ".inf", "abc", "0x1"]
)
def test_file_and_command_line_are_one_door(write: Write, run_text: str, value: str) -> None:
    def outcome(text: str, *overrides: str) -> str:
        write(text)
        try:
            return load_config("run", overrides).to_yaml()
        except ConfigError as error:
            return str(error).partition("policy.tau")[2]

    assert outcome(run_text.replace("0.5", value)) == outcome(run_text, f"policy.tau={value}")
