import pytest

from dlm_length.common import ConfigError
from dlm_length.policies import build_policy, policies


@pytest.mark.parametrize("name", list(policies()))
def test_every_policy_works_bare_and_says_what_it_is(name: str):
    policy = build_policy(name)
    assert policy.name == name
    assert policy.summary()
    assert policy.source


@pytest.mark.parametrize("name", list(policies()))
def test_every_parameter_is_described(name: str):
    undescribed = [field for field, info in policies()[name].model_fields.items() if not info.description]
    assert undescribed == ["name"]


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
        ("fixed", {"remasking": "entropic"}, "remasking"),
        ("fixed", {"threshold": 1.1}, "threshold"),
        ("fixed", {"length": 64, "steps": 65}, "steps must be from 1 .* to 64"),
        ("fixed", {"length": 64, "block_length": 16, "steps": 3}, "steps must be from 4"),
        ("fixed", {"steps": 4, "threshold": 0.9}, "steps, tokens_per_step and threshold"),
        ("fixed", {"steps": 4, "tokens_per_step": 2}, "steps, tokens_per_step and threshold"),
        ("fixed", {"threshold": 0.9, "remasking": "entropy"}, "threshold decoding"),
        ("fixed", {"threshold": 0.9, "tokens_per_step": 2}, "threshold decoding"),
        ("smartcrop", {"round_to": 0}, "round_to"),
        ("fixed", {"remasking": "random", "confidence_eos_eot_inf": True}, "ranks by no confidence"),
    ],
)
def test_bad_parameters_are_refused_by_name(name: str, parameters: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        build_policy(name, **parameters)


def test_a_policy_cannot_change_after_it_was_checked():
    policy = build_policy("fixed")
    with pytest.raises(ValueError, match="frozen"):
        policy.length = 3
