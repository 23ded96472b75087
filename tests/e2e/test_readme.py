"""What README and docs show is what happens."""

import hashlib
import json
import re
import shlex
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from dlm_length.cli.main import run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
POLICIES, BENCHMARKS = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("policies.md", "benchmarks.md"))


def test_the_library_example_prints_what_its_comment_says(capsys: pytest.CaptureFixture[str]) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "engine.generate" in block)
    promised = re.findall(r"^ +# (.+)$", code, re.MULTILINE)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == promised


def test_the_policy_file_that_it_shows_runs_by_the_command_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = dict(re.findall(r"`(my_policy\.py|crop\.yaml)`:\n\n```(?:python|yaml)\n(.*?)```", POLICIES, re.DOTALL))
    assert sorted(files) == ["crop.yaml", "my_policy.py"]
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    command = re.search(r"^(dlmlen run crop\.yaml.*)$", POLICIES, re.MULTILINE)
    assert command is not None
    monkeypatch.chdir(tmp_path)
    for words in (shlex.split(command[1]), ["dlmlen", "report", "results/crop", "--no-figures", "--format", "csv"]):
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as left:
            run()
        assert left.value.code == 0
    (record,) = tmp_path.glob("results/crop/*")
    metrics = json.loads((record / "metrics.json").read_text())
    assert (metrics["policy"], metrics["samples"]) == ("crop", 2)
    recorded = YAML(typ="safe").load(record / "config.yaml")["policy"]
    assert recorded["file_sha256"] == hashlib.sha256(files["my_policy.py"].encode()).hexdigest()
    samples = [json.loads(line) for line in (record / "samples.jsonl").read_text().splitlines()]
    assert all(0 < sample["n_token"] < 128 for sample in samples), "cropped"


def test_every_config_and_command_that_it_names_is_there() -> None:
    from dlm_length.config import config_names

    named = set(re.findall(r"dlmlen run (\w+)\b(?!\.yaml)", README)) - {"NAME"}
    assert named
    there = config_names()
    assert named <= {*there["configs"], *there["studies"]}


def test_the_prompt_file_that_it_shows_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dlm_length.benchmarks import Problem
    from dlm_length.config import load_benchmark

    text = next(block for block in re.findall(r"```yaml\n(.*?)```", BENCHMARKS, re.DOTALL) if "example_turns" in block)
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
