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
    assert "mean confidence" in shown
    written = YAML(typ="safe").load(Path("bias.yaml"))
    policy = build_policy(**written)
    assert (policy.name, policy.criterion, policy.length) == ("length_search", "cal", 16)
    code, _, error = dlmlen("run", "--config", "tiny_gsm8k_fixed", "policy=bias.yaml", *SMALL)
    assert code == 0, error
    before = Path("bias.yaml").read_text()
    code, _, error = dlmlen("fit-bias", "--config", "tiny_gsm8k_fixed", "-o", "bias.yaml", *SMALL)
    assert code == 2
    assert "--output bias.yaml: exists, and is left as it is" in error
    assert Path("bias.yaml").read_text() == before


@pytest.mark.parametrize(
    ("exit_code", "arguments", "message"),
    [
        (2, ("--lengths", "1,2,x"), "--lengths: found '1,2,x'; allowed: integers separated by commas"),
        (2, ("--lengths", "1;2;4;8;16"), "--lengths: found '1;2;4;8;16'; allowed: integers separated by commas"),
        (2, ("--lengths", "1,2,3"), "needs at least 5 different lengths"),
        (2, ("--lengths", "1,2,4,8,1000000"), "--lengths: found 1000000"),
        (2, ("-o", "nowhere/bias.yaml"), "--output nowhere/bias.yaml: there is no folder nowhere"),
    ],
)
def test_mistakes_are_reported_in_a_sentence(
    dlmlen: Dlmlen, exit_code: int, arguments: tuple[str, ...], message: str
) -> None:
    code, _, error = dlmlen("fit-bias", "--config", "tiny_gsm8k_fixed", "-o", "bias.yaml", *SMALL, *arguments)
    assert code == exit_code
    assert message in error
    assert not Path("bias.yaml").exists()
