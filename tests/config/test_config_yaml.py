"""Reading one file: what YAML lets pass, or says obscurely, is reported by file and line."""

from collections.abc import Callable

import pytest

from dlm_length.config import load_config
from dlm_length.config.yaml import read_value

Refusal = Callable[..., str]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "run.yaml: the file is empty"),
        ("# only a comment\n", "run.yaml: the file is empty"),
        ("\n\nsmartcrop\n", "run.yaml:3: the file holds 'smartcrop', not a mapping"),
        ("- policy\n", "run.yaml:1: the file holds ['policy'], not a mapping"),
        ("model: llada-tiny\npolicy:\n\tname: fixed\n", "run.yaml:3: not valid YAML: a tab in the indentation"),
        ("model: a\npolicy: fixed\nmodel: b\n", "run.yaml:3: duplicate key 'model' (lines 1, 3): keep one"),
        ("policy:\n  tau: 1\n  x: {y: 1, y: 2}\n", "run.yaml:3: duplicate key 'y' (lines 3, 3)"),
        ("model: [a\n", "run.yaml:2: not valid YAML: while parsing a flow sequence"),
        ("model: a: b\n", "run.yaml:1: not valid YAML: a second ': ' on the line"),
        ("model: a\n---\nmodel: b\n", "run.yaml:2: two YAML documents"),
        ("base: &x {a: 1}\npolicy: *x\n", "run.yaml:1: anchors and aliases (& and *) are not used"),
        ("a: &x [*x]\n", "run.yaml:1: anchors and aliases"),
        (
            "policy:\n  <<: {name: fixed}\n",
            "run.yaml:2: a merge key (<<) is not used in configs; name a base by 'extends'",
        ),
        ("? [a]\n: b\n", "run.yaml:1: a collection as a field's name"),
        ("model: !!python/object:os.system x\n", "run.yaml:1: the tag !!python/object:os.system is not used"),
        ("policy: !fixed {length: 3}\n", "run.yaml:1: the tag !fixed is not used"),
        ("policy:\n  length: !!int abc\n", "run.yaml:2: 'abc' cannot be read as a value"),
        (b"model: \xff\n", "run.yaml: not UTF-8 text (byte 7)"),
        ("model: \x00\n", "run.yaml: not valid YAML"),
        ("a: " + "[" * 1000, "run.yaml: not a config: nested too deeply"),
    ],
)
def test_one_clear_error_with_file_and_line(refusal: Refusal, text: str | bytes, expected: str) -> None:
    message = refusal(text)
    assert message.startswith(expected)
    assert "\n" not in message.removesuffix("\n") or "not valid YAML" in message


def test_a_number_of_more_digits_than_python_reads(refusal: Refusal) -> None:
    assert refusal(f"policy: {{name: fixed, length: {'9' * 5000}}}\n").startswith("run.yaml:1: '999")


def test_a_byte_order_mark_is_no_part_of_the_first_key(write: Callable[..., object], run_text: str) -> None:
    write(b"\xef\xbb\xbf" + run_text.encode())
    assert load_config("run").policy.name == "smartcrop"


def test_yaml_is_version_1_2(write: Callable[..., object], run_text: str) -> None:
    write(run_text.replace("0.5", "1e-3") + "experiment: no\n")
    config = load_config("run")
    assert config.policy.model_dump()["tau"] == 0.001
    assert config.experiment == "no"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.95", 0.95),
        ("1e-3", 0.001),
        ("true", True),
        ("null", None),
        ("", None),
        ("no", "no"),
        ("2026-01-31", "2026-01-31"),
        ("'0.95'", "0.95"),
        ("[HumanEval/0,HumanEval/3]", ["HumanEval/0", "HumanEval/3"]),
        ("{name: fixed, length: 3}", {"name": "fixed", "length": 3}),
        ("my file #2: draft.jsonl", "my file #2: draft.jsonl"),
        ("@x *y &z - ? !a", "@x *y &z - ? !a"),
        ("embedded:llada-tiny", "embedded:llada-tiny"),
    ],
)
def test_a_value_on_the_command_line(text: str, value: object) -> None:
    assert read_value(text).plain() == value
