"""`dlmlen fit-bias`: what it writes is a policy that runs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dlm_length.policies import build_policy

Dlmlen = Callable[..., tuple[int | str | None, str, str]]
SMALL = ("benchmark.path=questions.jsonl", "hardware.max_batch_tokens=400")


def test_the_policy_that_is_written_runs(dlmlen: Dlmlen) -> None:
    code, shown, error = dlmlen(
        "fit-bias", "--config", "tiny_gsm8k_fixed", "--lengths", "1,2,4,8,16", "-o", "bias.yaml", *SMALL
    )
    assert code == 0, error
    assert "16 tokens: mean confidence" in shown
    written = YAML(typ="safe").load(Path("bias.yaml"))
    policy = build_policy(**written)
    assert (policy.name, policy.criterion, policy.length) == ("length_search", "cal", 16)
    code, _, error = dlmlen("run", "--config", "tiny_gsm8k_fixed", "policy=bias.yaml", *SMALL)
    assert code == 0, error


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--lengths", "1,2,x"), "--lengths: found '1,2,x'; allowed: whole numbers with commas"),
        (("--lengths", "1,2,3"), "needs at least 5 different lengths"),
        (("-o", "nowhere/bias.yaml"), "nowhere/bias.yaml: cannot be written"),
    ],
)
def test_mistakes_are_told_in_a_sentence(dlmlen: Dlmlen, arguments: tuple[str, ...], told: str) -> None:
    code, _, error = dlmlen("fit-bias", "--config", "tiny_gsm8k_fixed", "-o", "bias.yaml", *SMALL, *arguments)
    assert code in (1, 2)
    assert told in error
    assert not Path("bias.yaml").exists()
