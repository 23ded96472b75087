"""What stands over a run's column in a table."""

from typing import Any

import pytest

from dlm_length.policies import build_policy, policies


@pytest.mark.parametrize(
    ("name", "parameters", "label"),
    [
        ("fixed", {"length": 64}, "fixed 64"),
        ("smartcrop", {"length": 128, "tau": 0.75}, "smartcrop 128 tau 0.75"),
        ("perturbed", {"delta": -0.25}, "perturbed 256 tau 0.9 delta -0.25"),
        ("daedal", {"initial_length": 32, "stages": "insertion"}, "daedal 32 insertion"),
        ("rho_eos", {}, "rho_eos 64 density"),
        ("oracle", {"ladder": (8, 16)}, "oracle ladder 8, 16"),
        ("composed", {"length_from": "fixed"}, "composed fixed insertion"),
    ],
)
def test_labels_tell_runs_apart(name: str, parameters: dict[str, Any], label: str) -> None:
    assert build_policy(name, **parameters).label == label


@pytest.mark.parametrize("name", list(policies()))
def test_what_a_label_tells_are_fields(name: str) -> None:
    assert set(policies()[name].label_fields) <= set(policies()[name].model_fields)
