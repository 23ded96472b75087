import pytest

from dlm_length.common import ConfigError
from dlm_length.policies import build_policy, policies


@pytest.mark.parametrize("name", list(policies()))
def test_every_policy_has_defaults_and_a_description(name: str):
    policy = build_policy(name)
    assert policy.name == name
    assert policy.summary()
    assert policy.source


@pytest.mark.parametrize("name", list(policies()))
def test_every_parameter_is_described(name: str):
    undescribed = [field for field, info in policies()[name].model_fields.items() if not info.description]
    assert undescribed == ["name"]


def test_a_policy_as_a_text_is_named_where_every_parameter_has_its_default():
    assert str(build_policy("smartcrop")) == "SmartCrop()"
    assert str(build_policy("smartcrop", tau=0.8)) == "SmartCrop(tau=0.8)"


def test_unknown_policy_names_the_nearest():
    with pytest.raises(ConfigError, match=r"no policy is named 'smartcorp'; .* Did you mean 'smartcrop'"):
        build_policy("smartcorp")


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("smartcrop", {"tua": 0.5}, "tua"),
        ("smartcrop", {"tau": 1.5}, "tau"),
        ("smartcrop", {"tau": float("nan")}, "tau"),
        ("fixed", {"length": 0}, "length"),
        ("fixed", {"length": "64"}, "length"),
        ("fixed", {"block_length": -1}, "block_length"),
        ("fixed", {"temperature": -0.1}, "temperature"),
        ("fixed", {"remasking": "entropic"}, "remasking: .*found 'entropic'. Did you mean 'entropy'"),
        ("fixed", {"early_commit": "prophet", "prophet_gaps": [1]}, r"prophet_gaps: has no value 2, found \[1\]"),
        ("fixed", {"threshold": 1.1}, "threshold"),
        ("fixed", {"length": 64, "steps": 65}, "steps must be from 1 .* to 64"),
        ("fixed", {"length": 64, "block_length": 16, "steps": 3}, "steps must be from 4"),
        ("fixed", {"steps": 4, "threshold": 0.9}, "steps, tokens_per_step and threshold"),
        ("fixed", {"steps": 4, "tokens_per_step": 2}, "steps, tokens_per_step and threshold"),
        ("fixed", {"threshold": 0.9, "remasking": "entropy"}, "threshold decoding"),
        ("fixed", {"threshold": 0.9, "tokens_per_step": 2}, "threshold decoding"),
        ("smartcrop", {"round_to": 0}, "round_to"),
        ("fixed", {"remasking": "random", "confidence_eos_eot_inf": True}, "ranks by no confidence"),
        ("daedal", {"tau_eos": -0.1}, "tau_eos: .* greater than or equal to 0"),
        ("daedal", {"tau_expand": 1.01}, "tau_expand: .* less than or equal to 1"),
        ("daedal", {"tau_high": float("inf")}, "tau_high: .* finite"),
        ("daedal", {"tau_low": 0.9}, "tau_low must be below tau_high, found 0.9 and 0.9"),
        ("daedal", {"tau_low": 0.6, "tau_high": 0.5}, "tau_low must be below tau_high, found 0.6 and 0.5"),
        ("daedal", {"initial_length": 65, "max_length": 64}, "initial_length must be at most max_length, found 65 and"),
        ("daedal", {"max_length": 63}, "initial_length must be at most max_length, found 64 and 63"),
        ("daedal", {"max_length": 0}, "max_length: .* greater than 0"),
        ("daedal", {"expansion_factor": 0}, "expansion_factor: .* greater than 0"),
        ("daedal", {"eos_window": 0}, "eos_window: .* greater than 0"),
        ("daedal", {"eos_scan": "paper"}, "eos_scan: .* 'released' or 'window'"),
        ("daedal", {"tail_eos": -1}, "tail_eos: .* greater than or equal to 0"),
        ("daedal", {"block_length": 0}, "block_length: .* greater than 0"),
        ("daedal", {"block_length": None}, "block_length: "),
        ("daedal", {"stages": "second"}, "stages: "),
        ("daedal", {"threshold": 0.9}, "threshold: no such parameter"),
        ("daedal", {"stages": "initial", "tau_low": 0.2}, "tau_low has no effect with stages: initial"),
        ("daedal", {"stages": "initial", "tau_high": 0.8}, "tau_high has no effect with stages: initial"),
        ("daedal", {"stages": "initial", "tau_expand": 0.8}, "tau_expand has no effect with stages: initial"),
        ("daedal", {"stages": "insertion", "tau_eos": 0.4}, "tau_eos has no effect with stages: insertion"),
        ("daedal", {"stages": "insertion", "tail_eos": 0}, "tail_eos has no effect with stages: insertion"),
        ("rho_eos", {"rho_low": 0.7}, "rho_low must be at most rho_high, found 0.7 and 0.6"),
        ("rho_eos", {"rho_high": 0.3}, "rho_low must be at most rho_high, found 0.4 and 0.3"),
        ("rho_eos", {"rho_low": -0.1}, "rho_low: "),
        ("rho_eos", {"rho_high": 1.1}, "rho_high: "),
        ("rho_eos", {"unit": 0}, "unit: "),
        ("rho_eos", {"scheduler": "power"}, "scheduler: "),
        ("rho_eos", {"signal": "eos"}, "signal: "),
        ("rho_eos", {"initial_length": 2049}, "initial_length must be at most max_length, found 2049 and 2048"),
        ("rho_eos", {"eos_window": 16}, "eos_window has no effect with signal: density"),
        ("rho_eos", {"eos_scan": "window"}, "eos_scan has no effect with signal: density"),
        ("rho_eos", {"block_length": -1}, "block_length: "),
        ("perturbed", {"delta": -1.01}, "delta: .* greater than or equal to -1"),
        ("perturbed", {"delta": float("inf")}, "delta: .* finite"),
        ("stop_at_eos", {"block_length": None}, "block_length: "),
        ("stop_at_eos", {"block_length": 0}, "block_length: "),
        ("random_length", {"permutation_seed": -1}, "permutation_seed: "),
        ("random_length", {"lengths": {"a": 0}}, "lengths.a: "),
        ("random_length", {"lengths": {"a": 1.5}}, "lengths.a: "),
        ("random_length", {"length": 8, "lengths": {"a": 3, "b": 9}}, "lengths must be at most length, found 9 and 8"),
        ("oracle", {"ladder": []}, "ladder: .* at least 1 item"),
        ("oracle", {"ladder": [64, 0]}, "ladder.1: .* greater than 0"),
        ("oracle", {"ladder": 64}, "ladder: "),
        ("oracle", {"correct_at": 1.1}, "correct_at: "),
        ("crop_insert", {"length": 64, "max_length": 63}, "length must be at most max_length, found 64 and 63"),
        ("crop_insert", {"margin": -0.1}, "margin: "),
        ("crop_insert", {"tau_low": 0.95}, "tau_low must be below tau_high"),
        ("composed", {"length": 64, "max_length": 63}, "length must be at most max_length, found 64 and 63"),
        (
            "composed",
            {"length_from": "initial_adjustment", "max_length": 63},
            "initial_length must be at most max_length, found 64 and 63",
        ),
        ("composed", {"then": "threshold"}, "then: threshold needs a threshold"),
        ("composed", {"then": "schedule", "threshold": 0.9}, "threshold has no effect with then: schedule"),
        ("composed", {"then": "insertion", "threshold": 0.9}, "threshold has no effect with .*then: insertion"),
        (
            "composed",
            {"length_from": "fixed", "then": "schedule", "tau": 0.5},
            "tau has no effect with length_from: fixed",
        ),
        ("composed", {"length_from": "fixed", "tau_eos": 0.4}, "tau_eos has no effect with length_from: fixed"),
        ("composed", {"length_from": "smartcrop", "initial_length": 32}, "initial_length has no effect with"),
        ("composed", {"length_from": "initial_adjustment", "length": 64}, "length has no effect with"),
        ("composed", {"then": "schedule", "tau_low": 0.2}, "tau_low has no effect with .*then: schedule"),
        ("composed", {"then": "schedule", "max_length": 512}, "max_length has no effect with .*then: schedule"),
        ("composed", {"then": "insertion", "tokens_per_step": 2}, "tokens_per_step has no effect with"),
        ("composed", {"then": "insertion", "remasking": "margin"}, "remasking has no effect with"),
        ("composed", {"length_from": "daedal"}, "length_from: "),
        ("composed", {"then": "fixed"}, "then: "),
    ],
)
def test_bad_parameters_are_refused_by_name(name: str, parameters: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_policy(name, **parameters)


@pytest.mark.parametrize("name", list(policies()))
def test_every_threshold_is_a_probability_and_every_length_a_positive_number(name: str):
    """By what the fields are called, so that a new one is held to it."""
    fields = policies()[name].model_fields
    for field in fields:
        if field.startswith(("tau", "rho", "threshold")):
            wrong: list = [-0.01, 1.01, float("nan"), "0.5"]
        elif field in ("length", "steps") or field.endswith(("_length", "_window", "_factor", "_step")):
            wrong = [0, -1, 2.5, "8"]
        else:
            continue
        for value in wrong:
            with pytest.raises(ConfigError, match=f"policy {name!r}: {field}: "):
                build_policy(name, **{field: value})


def test_a_policy_cannot_change_after_it_was_checked():
    policy = build_policy("fixed")
    with pytest.raises(ValueError, match="frozen"):
        policy.length = 3


def test_a_field_that_nothing_reads_is_refused_under_block_causal_too() -> None:
    with pytest.raises(ConfigError, match="refresh_interval has no effect with cache none"):
        build_policy("block_causal", loop="bd3lm", refresh_interval=4)


def test_a_policy_that_works_in_blocks_keeps_its_own_under_a_preset_without_blocks():
    assert build_policy("stop_at_eos", preset="dream").block_length == 32
    assert build_policy("stop_at_eos", preset="dream", block_length=8).block_length == 8
    assert build_policy("fixed", preset="dream").block_length is None
