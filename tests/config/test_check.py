"""Error messages: each issue by place, field, what was found, what is allowed and what was probably meant."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlm_length.common import ConfigError
from dlm_length.config import load_config

Write = Callable[..., Path]
Refusal = Callable[..., str]

PYDANTIC = re.compile(r"Input should|pydantic|https?://|validation error|Extra inputs|type=|literal\[", re.IGNORECASE)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            "polcy: fixed",
            "run.yaml:1: polcy: unknown field; allowed: experiment, model, policy, benchmark, hardware, output or"
            " tracking. Did you mean 'policy'?",
        ),
        ("policy: {name: smartcrop, tua: 0.9}", "run.yaml:1: policy.tua: unknown field; allowed: name, "),
        ("policy: {name: smartcrop, tua: 0.9}", "Did you mean 'tau'?"),
        (
            "policy: {name: smartcrop, tau: '0.9'}",
            "run.yaml:1: policy.tau: found '0.9' (text); allowed: a number from 0 to 1; write it without quotes",
        ),
        (
            "policy: {name: smartcrop, tau: 1.5}",
            "run.yaml:1: policy.tau: found 1.5 (number); allowed: a number from 0 to 1",
        ),
        ("policy: {name: smartcrop, tau: true}", "policy.tau: found true (boolean); allowed: a number from 0 to 1"),
        ("policy: {name: smartcrop, tau: .nan}", "policy.tau: found nan (number)"),
        ("policy: {name: fixed, length: 12.5}", "policy.length: found 12.5 (number); allowed: an integer above 0"),
        ("policy: {name: fixed, length: 0}", "policy.length: found 0 (integer); allowed: an integer above 0"),
        (
            "policy: {name: fixed, temperature: .inf}",
            "policy.temperature: found inf (number); allowed: a number at least 0",
        ),
        (
            "policy: {name: fixed, remasking: entrpy}",
            "policy.remasking: found 'entrpy' (text); allowed: 'low_confidence',",
        ),
        ("policy: {name: fixed, remasking: entrpy}", "'entropy' or 'sequential'. Did you mean 'entropy'?"),
        ("policy: {name: fixed, cache: duall}", "allowed: 'none', 'prefix', 'dual' or 'dkv'. Did you mean 'dual'?"),
        (
            "policy: {name: fixed, early_commit: prophet, prophet_gaps: [1]}",
            "policy.prophet_gaps: found [1] (list); allowed: a list of 3 values, each a number",
        ),
        (
            "policy: {name: fixed, early_commit: prophet, prophet_gaps: [1, 2, x]}",
            "policy.prophet_gaps[2]: found 'x' (text); allowed: a number",
        ),
        (
            "policy: {name: fixed, logits_eos_inf: yes}",
            "policy.logits_eos_inf: found 'yes' (text); allowed: true or false",
        ),
        ("policy: {name: smartcorp}", "run.yaml:1: policy.name: no policy is named 'smartcorp'; there are block_"),
        ("policy: {name: smartcorp}", "Did you mean 'smartcrop'?"),
        ("policy: {name: [fixed]}", "policy.name: no policy is named ['fixed']"),
        ("policy: {tau: 0.9}", "run.yaml:1: policy.name: missing: it says which policy this is"),
        ("policy: [fixed]", "run.yaml:1: policy: found ['fixed'] (list); allowed: a name (block_causal"),
        ("benchmark: {name: gsm8k, promt_style: chat_tags}", "Did you mean 'prompt_style'?"),
        (
            "benchmark: {name: gsm8k, prompt_style: chat_tag}",
            "benchmark.prompt_style: found 'chat_tag' (text); allowed: 'chat_cot_4shot', ",
        ),
        (
            "benchmark: {name: gsm8k, sample_ids: [a, true]}",
            "benchmark.sample_ids[1]: found true (boolean); allowed: text",
        ),
        (
            "benchmark: {name: gsm8k, sample_ids: a}",
            "benchmark.sample_ids: found 'a' (text); allowed: a list of text that is not empty or null",
        ),
        ("hardware: {device: gpu}", "hardware.device: found 'gpu' (text); allowed: cpu, cuda, cuda:N, or auto"),
        (
            "hardware: {max_batch_tokens: many}",
            "hardware.max_batch_tokens: found 'many' (text); allowed: an integer above 0 and at most 2147483647"
            " or 'auto'",
        ),
        ("hardware: {seed: -1}", "allowed: an integer at least 0 and below 9223372036854775808"),
        ("model: {label: x}", "run.yaml:1: model.path: missing; allowed: text"),
        ("model: {path: null}", "model.path: found nothing (null); allowed: text"),
        ("output: there", "run.yaml:1: output: found 'there' (text); allowed: a mapping of directory"),
        ("output: {dir: x}", "output.dir: unknown field; allowed: directory."),
        ("experiment: a/b", "experiment: found 'a/b' (text); allowed: Letters, digits"),
        ("experiment: ..", "experiment: found '..' (text)"),
        ("experiment: {a: 1}", "experiment: found {'a': 1} (mapping)"),
        ("experiment: true", "experiment: found true (boolean)"),
    ],
)
def test_the_likeliest_mistakes(refusal: Refusal, run_text: str, line: str, expected: str) -> None:
    section = line.partition(":")[0]
    others = re.sub(rf"^{section}:.*\n(?: .*\n)*", "", run_text, flags=re.MULTILINE)
    message = refusal(f"{line}\n{others}")
    assert expected in message
    assert not PYDANTIC.search(message)


def test_fields_that_contradict_each_other_are_reported_with_their_places(refusal: Refusal, run_text: str) -> None:
    message = refusal(run_text.replace("tau: 0.5", "threshold: 0.8"), "policy.steps=64")
    where, _, what = message.partition(": policy: ")
    assert where in ("run.yaml:4, command line", "command line, run.yaml:4")
    assert what.startswith("steps, tokens_per_step and threshold are alternatives")
    assert "steps: 64" in message
    assert "threshold: 0.8" in message


def test_missing_sections_are_named_with_the_file(refusal: Refusal) -> None:
    message = refusal("hardware: cpu\n")
    assert "config 'run.yaml' has 3 issues:" in message
    assert "  run.yaml: model: missing; allowed: a name (diffucoder-7b-cpgrpo, " in message
    assert "  run.yaml: policy: missing; allowed: a name (block_causal" in message
    assert "  run.yaml: benchmark: missing; allowed: a name (gsm8k" in message


def test_all_faults_are_reported_at_once_in_the_order_of_lines(refusal: Refusal) -> None:
    text = (
        "hardware: h100\nbenchmark: {name: gsm8k, limit: 0}\npolicy:\n  name: smartcrop\n  tau: 2\n  length: a\nx: 1\n"
    )
    lines = refusal(text, "model.pth=1", "nonsense").splitlines()[1:]
    assert [line.split(": ")[0].strip() for line in lines] == [
        *(f"run.yaml:{line}" for line in (1, 2, 5, 6, 7)),
        *["command line"] * (len(lines) - 5),
    ]
    assert len(lines) == 8


def test_a_fault_stands_where_its_value_was_written(write: Write, run_text: str) -> None:
    write(run_text.replace("0.5", "3"), "base.yaml")
    write("extends: base\npolicy:\n  length: -1\n")
    with pytest.raises(ConfigError) as error:
        load_config("run")
    assert "base.yaml:4: policy.tau" in str(error.value)
    assert "run.yaml:3: policy.length" in str(error.value)


WORDS = st.sampled_from(
    ["extends", "name", "model", "policy", "benchmark", "hardware", "output", "experiment", "path", "length", "tau",
     "steps", "threshold", "limit", "sample_ids", "seed", "device", "fixed", "smartcrop", "gsm8k", "humaneval", "cpu"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.floats() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
HOSTILE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def as_flow(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {as_flow(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_flow, value)) + "]"
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


@HOSTILE
@given(
    config=st.dictionaries(WORDS, VALUES, max_size=6), overrides=st.lists(st.tuples(WORDS, WORDS, VALUES), max_size=3)
)
def test_nothing_but_a_readable_error_ever_comes_out(
    write: Write, config: dict[str, object], overrides: list[tuple[str, str, object]]
) -> None:
    write("\n".join(f"{key}: {as_flow(value)}" for key, value in config.items()) or "{}")
    shown = ""
    try:
        load_config("run", [f"{section}.{field}={as_flow(value)}" for section, field, value in overrides])
    except ConfigError as error:
        shown = str(error)
    assert not PYDANTIC.search(shown)


@HOSTILE
@given(text=st.text(max_size=60), override=st.text(max_size=30))
def test_no_text_at_all_breaks_the_reader(write: Write, text: str, override: str) -> None:
    write(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        load_config("run", [override])
