"""Numbers that no machine holds, and paths that are no config: refused by name before anything is allocated."""

from pathlib import Path

import pytest

from dlm_length.cli.listings import rows_of
from dlm_length.common import MOST_TOKENS, ConfigError
from dlm_length.config import load_config


@pytest.mark.parametrize(
    ("field", "most"),
    [
        ("policy.length", MOST_TOKENS),
        ("policy.steps", MOST_TOKENS),
        ("policy.block_length", MOST_TOKENS),
        ("policy.tokens_per_step", MOST_TOKENS),
        ("hardware.threads", 1024),
        ("hardware.max_batch_tokens", 2**31 - 1),
        ("hardware.memory_gib", 2**20),
        ("hardware.peak_tflops", 10**9),
    ],
)
@pytest.mark.parametrize("value", ["99999999999", "1099511627776", "9" * 400])
def test_a_number_beyond_its_bound_is_refused_with_the_bound(field: str, most: int, value: str) -> None:
    with pytest.raises(ConfigError, match=f"command line: {field}: found ") as refused:
        load_config("mini_gsm8k_fixed", [f"{field}={value}"])
    assert f"at most {most}" in str(refused.value) or f"to {most}" in str(refused.value)


@pytest.mark.parametrize(
    "override",
    [
        "policy.name=daedal policy.expansion_factor",
        "policy.name=rho_eos policy.unit",
        "policy.name=daedal policy.max_length",
    ],
)
def test_bounds_are_of_every_policys_token_counts(override: str) -> None:
    name, field = override.split()
    load_config("mini_gsm8k_fixed", [name, f"{field}={MOST_TOKENS}"])
    with pytest.raises(ConfigError, match=f"at most {MOST_TOKENS}"):
        load_config("mini_gsm8k_fixed", [name, f"{field}={MOST_TOKENS + 1}"])


def test_a_folder_is_no_config_and_the_run_in_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder; allowed: a config's file, or its name") as refused:
        load_config(str(tmp_path))
    assert "Did you mean" not in str(refused.value)
    (tmp_path / "config.yaml").touch()
    with pytest.raises(ConfigError, match=f"Did you mean '{tmp_path / 'config.yaml'}', the config of the run there"):
        load_config(str(tmp_path))


def test_a_folder_named_like_a_config_is_not_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs/looks_like_one.yaml").mkdir(parents=True)
    Path("configs/nowhere.yaml").symlink_to("absent")
    assert not {"looks_like_one", "nowhere"} & {row.name for row in rows_of("configs")}


@pytest.mark.parametrize("text", ["policy: " + "[" * 5_000, "policy: " + "{a: " * 5_000, "- " * 5_000])
def test_yaml_that_is_nested_too_deeply(tmp_path: Path, text: str) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"nested too deeply|not valid YAML"):
        load_config(file)
