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


def test_the_prompt_file_that_it_shows_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlm_length.benchmarks import Problem
    from dlm_length.config import load_benchmark

    text = next(block for block in re.findall(r"```yaml\n(.*?)```", README, re.DOTALL) if "example_turns" in block)
    (tmp_path / "prompt.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    benchmark = load_benchmark("gsm8k", ["benchmark.prompt_file=prompt.yaml"])
    prompt = benchmark.prompt(Problem("gsm8k/0", 0, "4", {"question": "What is 2 + 2?", "answer": "#### 4"}))
    assert [role for role, _ in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[-1][1] == "Question: What is 2 + 2?\nAnswer:"
    # "Optional, as is all but turns": the short form says the same.
    (tmp_path / "short.yaml").write_text("turns:" + re.split("^turns:", text, flags=re.MULTILINE)[1])
    short = load_benchmark("gsm8k", ["benchmark.prompt_file=short.yaml"])
    assert short.prompt(Problem("gsm8k/0", 0, "4", {"question": "What is 2 + 2?"})).messages == prompt.messages[-1:]
