"""Records made before a field existed stand with those made since."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dlm_length.analysis import runs as read
from dlm_length.analysis.sections import collect
from dlm_length.records.run_folder import CONFIG


@pytest.fixture
def example() -> Path:
    return Path(__file__).parents[2] / "results" / "example" / "study_mini"


def edited(folder: Path, to: Path, edit: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a run whose config.yaml is another text."""
    to.mkdir(parents=True)
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    yaml = YAML()
    config = yaml.load((folder / CONFIG).read_text())
    edit(config)
    with (to / CONFIG).open("w") as text:
        yaml.dump(config, text)
    return to


def test_a_field_that_a_record_lacks_is_at_its_default(example: Path, tmp_path: Path) -> None:
    fixed, crop = (next(example.glob(f"mini_gsm8k__llada-mini__{name}__*")) for name in ("fixed", "smartcrop"))

    def newer(config: dict[str, Any]) -> None:
        config["policy"] |= {"stop": "none", "cache": "none", "delimiters": [198], "prophet_gaps": [7.5, 5.0, 2.5]}
        config["model"] |= {"adapter": None}
        config["benchmark"] |= {"repeats": 1}

    paths = [edited(fixed, tmp_path / fixed.name, newer), edited(crop, tmp_path / crop.name, lambda _: None)]
    (section,) = collect(paths)
    assert section.title == "mini_gsm8k, llada-mini"
    assert [len(label) < 25 for label in section.labels] == [True, True]
    assert dict(read.differences(section.runs[0].config["policy"], section.runs[1].config["policy"])).keys() <= {
        *("name", "length", "tau", "round_to", "include_eot", "steps")
    }


def test_a_policy_that_is_not_installed_keeps_its_config(example: Path, tmp_path: Path) -> None:
    fixed = next(example.glob("mini_gsm8k__llada-mini__fixed__*"))

    def foreign(config: dict[str, Any]) -> None:
        config["policy"] = {"name": "somebody_elses", "length": 128}

    run = read.read_run(edited(fixed, tmp_path / "run", foreign))
    assert run.config["policy"] == {"name": "somebody_elses", "length": 128}
