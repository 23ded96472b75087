from collections.abc import Callable
from pathlib import Path

import pytest

from dlm_length.common import ConfigError
from dlm_length.config import load_config

RUN = """\
model: llada-tiny
policy:
  name: smartcrop
  tau: 0.5
benchmark: gsm8k
hardware: cpu
"""


@pytest.fixture
def run_text() -> str:
    """The text of a run config."""
    return RUN


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Works in an empty folder; writes a file there, by default a run config named run.yaml."""
    monkeypatch.chdir(tmp_path)

    def write(text: str | bytes = RUN, path: str = "run.yaml") -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Path(path)

    return write


@pytest.fixture
def refusal(write: Callable[..., Path]) -> Callable[..., str]:
    """The error message for a config text and overrides."""

    def refusal(text: str | bytes = RUN, *overrides: str) -> str:
        with pytest.raises(ConfigError) as error:
            load_config(write(text), overrides)
        return str(error.value)

    return refusal
