"""Labels of policies in tables."""

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
        ("fixed", {"stop": "block_any", "block_length": 32, "cache": "dual"}, "fixed 256 stop block_any cache dual"),
        ("fixed", {"threshold": 0.9}, "fixed 256"),  # which tables add where it tells two runs apart
        ("fixed", {"threshold": 0.9, "low_threshold": 0.5}, "fixed 256 low_threshold 0.5"),
        ("fixed", {"preset": "llada2"}, "fixed 256"),
        ("smartcrop", {"early_commit": "prophet"}, "smartcrop 256 tau 0.9 early_commit prophet"),
        (
            "smartcrop",
            {"factor": 1.0, "blocks": "adaptive", "delimiters": (7,)},
            "smartcrop 256 tau 0.9 factor 1.0 blocks adaptive",
        ),
        ("stop_at_eos", {"cache": "prefix"}, "stop_at_eos 256 block_any cache prefix"),
        ("composed", {"length_from": "fixed"}, "composed fixed insertion"),
    ],
)
def test_labels_distinguish_runs(name: str, parameters: dict[str, Any], label: str) -> None:
    assert build_policy(name, **parameters).label == label


@pytest.mark.parametrize("name", list(policies()))
def test_what_a_label_shows_are_fields(name: str) -> None:
    assert set(policies()[name].label_fields) <= set(policies()[name].model_fields)
