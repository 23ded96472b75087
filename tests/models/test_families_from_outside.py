"""A model family from a file that a config names, or from an installed distribution."""

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from dlm_length.common import ConfigError, plugins
from dlm_length.config import load_config
from dlm_length.models import CheckpointError, load_architecture, load_model, load_tokenizer
from dlm_length.models.loading import _families

FAMILY = """\
from collections.abc import Mapping
from typing import Any

from dlm_length.models.llada import LLaDA


class Owl(LLaDA):
    def recognises(self, config: Mapping[str, Any]) -> bool:
        return config.get("model_type") == "owl"
"""


@pytest.fixture
def checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of a family that the package does not know, in the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(str(files("dlm_length.models") / "embedded" / "llada-tiny"), "owl")
    config = Path("owl/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "owl"}))
    Path("family.py").write_text(FAMILY)
    Path("run.yaml").write_text("extends: tiny_gsm8k_fixed\nmodel: {path: ./owl, file: family.py}\n")
    return tmp_path / "owl"


def test_a_file_with_a_family_makes_its_checkpoints_loadable(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match="model_type 'owl' is not supported"):
        load_tokenizer(str(checkpoint))
    model = load_model(str(checkpoint), device="cpu", dtype="float32", family_file="family.py")
    assert model.architecture == load_architecture(str(checkpoint), None, "family.py")
    assert load_tokenizer(str(checkpoint), None, "family.py").encode("owl", templated=False)


def test_the_content_of_the_file_is_in_the_runs_identity(checkpoint: Path, tmp_path: Path) -> None:
    config = load_config("run.yaml")
    assert config.model.file == str(tmp_path / "family.py")
    Path("recorded.yaml").write_text(config.to_yaml())
    assert load_config("recorded.yaml") == config
    assert "file" not in load_config("tiny_gsm8k_fixed").model.model_dump()
    Path("family.py").write_text(FAMILY + "# edited\n")
    assert load_config("run.yaml").fingerprint != config.fingerprint
    with pytest.raises(ConfigError, match=r"recorded\.yaml:\d+: model: file_sha256: .* was edited since"):
        load_config("recorded.yaml")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("raise OSError\n", r"fails to import \(OSError, line 1\)"), ("", "defines no concrete subclass of .*Family")],
)
def test_a_faulty_file_is_named(checkpoint: Path, text: str, sentence: str) -> None:
    Path("family.py").write_text(text)
    with pytest.raises(CheckpointError, match=rf"^model\.file: .*{sentence}"):
        load_tokenizer(str(checkpoint), None, "family.py")


def test_a_file_that_is_not_there_is_refused(checkpoint: Path) -> None:
    Path("family.py").unlink()
    with pytest.raises(ConfigError, match=r"run\.yaml:2: model: file: cannot be read"):
        load_config("run.yaml")


def test_an_installed_family_is_found(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("outside_owl-1.0.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: outside-owl\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[dlm_length.models]\nowl = outside_owl_family\n")
    Path("outside_owl_family.py").write_text(FAMILY)
    clear: tuple[Callable[[], None], ...] = (plugins.plugins.cache_clear, _families.cache_clear)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    for each in clear:
        each()
    try:
        assert load_tokenizer(str(checkpoint)).encode("owl", templated=False)
        assert type(_families()[-1]).__name__ == "Owl"
    finally:
        monkeypatch.undo()
        for each in clear:
            each()
