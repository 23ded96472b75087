"""Data and prompts from local files: where they are looked for, and what of them makes a run another."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from dlm_length.config import json_schema, load_benchmark, load_config

Write = Callable[..., Path]
Refusal = Callable[..., str]
ROWS = [{"question": f"{n}?", "answer": f"#### {n}"} for n in range(2)]
DATA = "".join(json.dumps(row) + "\n" for row in ROWS)
PROMPT = """\
# A prompt.
source: a test
turns:
  - role: user
    content: "Question: {{question}}"
"""
RUN = "model: llada-tiny\npolicy: fixed\nbenchmark: {name: gsm8k, path: data.jsonl, prompt_file: ask/prompt.yaml}\n"


@pytest.fixture
def project(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config with its data and prompt in the same folder, and another folder to work in."""
    write(DATA, "project/data.jsonl")
    write(PROMPT, "project/ask/prompt.yaml")
    write(RUN, "project/run.yaml")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_a_relative_file_is_the_same_from_every_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_config("run.yaml")
    typed = load_config("run.yaml", ["benchmark.path=data.jsonl", "benchmark.prompt_file=ask/prompt.yaml"])
    monkeypatch.chdir(project.parent / "elsewhere")
    there = load_config("../project/run.yaml")
    assert here == typed == there
    assert there.benchmark.path == str(project / "data.jsonl")
    assert len(there.benchmark.problems()) == 2
    Path("record.yaml").write_text(here.to_yaml())
    assert load_config("record.yaml", ["experiment=run"]) == here


def test_the_file_beside_the_config_comes_before_the_working_directorys(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.parent / "elsewhere")
    Path("data.jsonl").write_text(DATA * 2)
    assert load_config("../project/run.yaml").benchmark.path == str(project / "data.jsonl")
    typed = load_config("../project/run.yaml", ["benchmark.path=data.jsonl"])
    assert typed.benchmark.path == str(Path("data.jsonl").absolute())
    (project / "data.jsonl").unlink()
    assert load_config("../project/run.yaml").benchmark.path == str(Path("data.jsonl").absolute())


def test_a_name_that_is_no_file_stays_a_name(write: Write) -> None:
    write()
    (Path("vblagoje") / "lfqa").mkdir(parents=True)
    for name in ("vblagoje/lfqa", "missing.jsonl"):
        assert load_benchmark("longformqa", [f"benchmark.path={name}"]).model_dump()["path"] == name


def test_the_hash_is_of_contents_not_of_places(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_config("run.yaml").fingerprint
    moved = project.rename(project.parent / "moved")
    monkeypatch.chdir(moved)
    Path("data.jsonl").rename("other.jsonl")
    Path("ask/prompt.yaml").rename("other.yaml")
    given = ["benchmark.path=other.jsonl", "benchmark.prompt_file=other.yaml"]
    assert load_config("run.yaml", given).fingerprint == before
    Path("other.yaml").write_text(
        "# Another comment.\n" + PROMPT.replace('"Question: {{question}}"', "|-\n      Question: {{question}}")
    )
    assert load_config("run.yaml", given).fingerprint == before
    Path("other.yaml").write_text(PROMPT.replace("Question:", "Problem:"))
    with_prompt = load_config("run.yaml", given).fingerprint
    Path("other.yaml").write_text(PROMPT)
    Path("other.jsonl").write_text(DATA.replace("1?", "one?"))
    data = load_config("run.yaml", given).fingerprint
    without = load_config("run.yaml", [given[0], "benchmark.prompt_file=null"]).fingerprint
    assert len({before, with_prompt, data, without}) == 4


def test_a_resolved_config_needs_no_prompt_file_any_more(project: Path) -> None:
    config = load_config("run.yaml")
    Path("ask/prompt.yaml").unlink()
    Path("run.yaml").write_text(config.to_yaml())
    assert load_config("run.yaml") == config


@pytest.mark.parametrize(
    ("text", "issues"),
    [
        (
            PROMPT.replace("{{question}}", "{{qestion}}"),
            ["prompt.yaml:5: benchmark.prompt_file.turns[0].content: there is no"],
        ),
        (
            PROMPT.replace("source", "sorce"),
            ["prompt.yaml:2: benchmark.prompt_file.sorce: unknown field; allowed: source, "],
        ),
        (
            PROMPT.replace("user", "human"),
            ["prompt.yaml:4: benchmark.prompt_file.turns[0].role: found 'human' (text); allowed: 'user' or"],
        ),
        (
            PROMPT + "assistant_prefix: '{{x'\nextraction: lst\n",
            ["prompt.yaml:6: benchmark.prompt_file.assistant_prefix: line 1"],
        ),
        (
            PROMPT + "assistant_prefix: '{{x}}'\nextraction: lst\n",
            [
                "prompt.yaml:6: benchmark.prompt_file.assistant_prefix: there is no placeholder 'x'; allowed: question",
                "prompt.yaml:7: benchmark.prompt_file.extraction: found 'lst'; allowed: flexible, boxed or strict",
            ],
        ),
        ("turns: [", ["prompt.yaml:1: benchmark.prompt_file: not valid YAML"]),
        ("", ["prompt.yaml: benchmark.prompt_file: the file is empty; a mapping such as 'text: ...' belongs here"]),
        (None, ["prompt.yaml: benchmark.prompt_file: cannot be read: No such file"]),
    ],
)
def test_every_fault_is_reported_by_file_line_and_field(
    write: Write, refusal: Refusal, text: str | None, issues: list[str]
) -> None:
    if text is not None:
        write(text, "prompt.yaml")
    message = refusal(RUN.replace("ask/", ""))
    assert all(issue in message for issue in issues), message
    assert message.count("prompt_file") == len(issues)


@pytest.mark.parametrize(
    ("given", "right"), [("a.yaml", True), ({"text": "{{question}}"}, True), (None, True), (3, False)]
)
def test_the_schema_for_editors_says_that_a_prompt_file_is_a_name_or_a_mapping(given: object, right: bool) -> None:
    schema = json_schema()
    root = {"$ref": "#/$defs/benchmark", "$defs": schema["$defs"]}
    assert Draft202012Validator(root).is_valid({"name": "gsm8k", "prompt_file": given}) is right


def test_a_prompt_file_is_not_the_only_fault_that_is_reported(write: Write, refusal: Refusal) -> None:
    message = refusal(RUN.replace("gsm8k,", "gsm8k, limit: 0,"))
    assert "has 2 issues" in message
    assert "benchmark.limit: found 0" in message


def test_an_adapter_is_found_beside_the_file_that_names_it_and_enters_the_runs_name(write: Write) -> None:
    plain = load_config(str(write()))
    (write().parent / "tuned").mkdir(exist_ok=True)
    config = load_config(str(write()), ["model.adapter=tuned"])
    assert config.model.adapter is not None
    assert Path(config.model.adapter).is_absolute()
    assert config.model.short_name.endswith("+tuned")
    assert config.fingerprint != plain.fingerprint
