"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_library_example_prints_what_its_comment_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "engine.generate" in block)
    promised = re.findall(r"^ +# (.+)$", code, re.MULTILINE)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == promised


def test_every_config_and_command_that_it_names_is_there() -> None:
    from dlm_length.config import config_names

    named = set(re.findall(r"--config (\w+)", README)) - {"NAME"}
    assert named
    there = config_names()
    assert named <= {*there["configs"], *there["studies"]}
