from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlm_length.cli.main import app
from dlm_length.config import load_config


def test_show_prints_what_loads_to_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(
        app, ["config", "show", "policy.tau=0.5", "--config", "tiny_gsm8k_smartcrop", "hardware.seed=3"]
    )
    assert shown.exit_code == 0
    Path("again.yaml").write_text(shown.stdout)
    config = load_config("again")
    assert config == load_config("tiny_gsm8k_smartcrop", ["policy.tau=0.5", "hardware.seed=3"])
    assert (config.hardware.seed, config.policy.model_dump()["tau"]) == (3, 0.5)
