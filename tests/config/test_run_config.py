"""A resolved run: its name, its hash, and its text, which is the run again."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import dlm_length
from dlm_length.benchmarks import benchmarks
from dlm_length.common import Parameters
from dlm_length.config import Hardware, Output, RunConfig, load_config
from dlm_length.models.spec import ModelSpec
from dlm_length.policies import Policy, policies

Write = Callable[..., Path]

# What YAML might take for something else, or break at.
TRICKY = st.sampled_from(
    [
        "null",
        "~",
        "no",
        "true",
        "1e-3",
        "0123",
        "1_000",
        "0x1F",
        ".inf",
        "2026-01-01",
        "- a",
        "a: b",
        "#x",
        "'",
        '"',
        "[",
        "*a",
        "&a",
        "!t",
        "%x",
        "@x",
        "`x",
        "",
        " ",
        "a\nb",
        "a\r\n",
        "\t",
        "\x85",
        "\u2028",
        "\ufeffx",
        "\x07",
        "<<",
        "=",
        "é 漢 😀",
        "---",
    ]
)
TEXT = TRICKY | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PATH = TEXT.filter(lambda text: not text.startswith(("./", "../", "~/")))
FRACTION = st.floats(0, 1)
COUNT = st.integers(1, 10**6)


def optional(strategy: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | strategy


MODELS = st.builds(ModelSpec, path=PATH, revision=optional(TEXT), label=optional(TEXT))
POLICIES = st.one_of(
    st.builds(
        policies()["fixed"],
        length=COUNT,
        temperature=FRACTION,
        block_length=optional(COUNT),
        threshold=optional(FRACTION),
    ),
    st.builds(policies()["smartcrop"], length=COUNT, tau=FRACTION, round_to=COUNT, include_eot=st.booleans()),
)
BENCHMARKS = st.one_of(
    [
        st.builds(
            cls,
            path=optional(PATH),
            limit=optional(COUNT),
            subset_seed=st.integers(0, 9),
            sample_ids=optional(st.tuples(TEXT, TEXT)),
        )
        for name, cls in benchmarks().items()
        if name != "lm_eval"  # whose task has to exist
    ]
)
HARDWARE = st.builds(
    Hardware,
    profile=TEXT,
    device_name=optional(TEXT),
    memory_gib=optional(st.floats(0.1, 2.0**20)),
    seed=st.integers(0, 2**63 - 1),
)
CONFIGS = st.builds(
    RunConfig,
    experiment=st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_.+-]{0,20}\Z"),
    model=MODELS,
    policy=POLICIES,
    benchmark=BENCHMARKS,
    hardware=HARDWARE,
    output=st.builds(Output, directory=TEXT),
)
FUZZ = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@FUZZ
@given(config=CONFIGS)
def test_the_resolved_text_is_the_run_again(write: Write, config: RunConfig) -> None:
    write(config.to_yaml(), "results/x/config.yaml")
    again = load_config("results/x/config.yaml")
    assert again == config
    assert (again.fingerprint, again.run_path) == (config.fingerprint, config.run_path)
    assert again.to_yaml() == config.to_yaml()


@FUZZ
@given(config=CONFIGS)
def test_a_run_name_is_safe_as_a_folder(config: RunConfig) -> None:
    benchmark, model, policy, hash8 = config.run_name.split("__")
    assert (benchmark, policy, hash8) == (config.benchmark.name, config.policy.name, config.fingerprint)
    assert re.fullmatch(r"[A-Za-z0-9+][A-Za-z0-9_.+-]*", model)
    assert len(config.run_name) < 150


def test_the_run_path(write: Write) -> None:
    write()
    config = load_config("run", ["output.directory=out", "model.path=owner/My Model!/"])
    assert config.run_path == Path(f"out/run/gsm8k__My-Model__smartcrop__{config.fingerprint}")


@pytest.mark.parametrize(
    "text",
    [
        "policy: {name: smartcrop, tau: 1, length: 256}\nbenchmark: gsm8k\nmodel: llada-tiny\nhardware: cpu\n",
        "benchmark: {name: gsm8k}\npolicy: {tau: 1.0, name: smartcrop}\nmodel: {path: embedded:llada-tiny}\n",
        "extends: other\npolicy: {tau: 1.0e0, temperature: -0.0}\n",
    ],
)
def test_equal_runs_spelled_differently_have_one_fingerprint(write: Write, text: str) -> None:
    write("model: llada-tiny\npolicy: {name: smartcrop, tau: 0.2}\nbenchmark: gsm8k\n", "other.yaml")
    write(text)
    assert load_config("run").fingerprint == load_config("other", ["policy.tau=1"]).fingerprint


def changes(parameters: Parameters) -> list[str]:
    """A valid override of every field that has one."""
    other = {
        "block_length": 16,
        "tokens_per_step": 2,
        "threshold": 0.7,
        "remasking": "random",
        "temperature": 0.5,
        "logits_eos_inf": True,
        "confidence_eos_eot_inf": True,
        "length": 100,
        "steps": 50,
        "tau": 0.25,
        "round_to": 8,
        "include_eot": True,
        "path": "x.jsonl",
        "prompt_style": "chat_tags",
        "execute_code": True,
        "timeout": 3,
    }
    return [f"{field}={str(other[field]).lower()}" for field in type(parameters).model_fields if field in other]


@pytest.mark.parametrize(("policy", "benchmark"), [("fixed", "gsm8k"), ("smartcrop", "humaneval")])
def test_the_fingerprint_changes_with_everything_that_decides_the_result(
    write: Write, policy: str, benchmark: str
) -> None:
    write(f"model: llada-tiny\npolicy: {policy}\nbenchmark: {benchmark}\n")
    config = load_config("run")
    overrides = [
        "hardware.seed=1",
        "model.path=other",
        "model.revision=main",
        *(f"policy.{change}" for change in changes(config.policy)),
        *(f"benchmark.{change}" for change in changes(config.benchmark)),
    ]
    assert len(overrides) > 12
    prints = [load_config("run", [override]).fingerprint for override in overrides]
    assert len({config.fingerprint, *prints}) == len(overrides) + 1


SELECTIONS = ["benchmark.limit=7", "benchmark.subset_seed=1", "benchmark.sample_ids=[a]"]
"""The choice of samples, which changes no answer."""


@pytest.mark.parametrize("selection", SELECTIONS)
def test_which_samples_are_asked_for_is_part_of_the_run_only_where_the_policy_looks_at_all(
    write: Write, selection: str
) -> None:
    write()
    config, other = load_config("run"), load_config("run", [selection])
    assert config.benchmark != other.benchmark
    assert other.run_path == config.run_path
    dealt = ["policy={name: random_length, length: 64}"]
    assert load_config("run", [*dealt, selection]).fingerprint != load_config("run", dealt).fingerprint
    given = ["policy={name: random_length, length: 64, lengths: {a: 7}}"]
    assert load_config("run", [*given, selection]).fingerprint == load_config("run", given).fingerprint


@pytest.mark.parametrize(
    "other", ["experiment=x", "output.directory=x", "model.label=x", "hardware=h100-80gb", "hardware.threads=9"]
)
def test_the_fingerprint_does_not_change_with_names_places_and_machines(write: Write, other: str) -> None:
    write()
    assert load_config("run", [other]).fingerprint == load_config("run").fingerprint


def test_the_fingerprint_changes_with_the_benchmarks_version(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    config = load_config("run")
    before = config.fingerprint
    monkeypatch.setattr(type(config.benchmark), "version", 99)
    version = config.fingerprint
    monkeypatch.setattr(type(config.benchmark), "prompt_version", "chat_cot_4shot/99")
    assert len({before, version, config.fingerprint}) == 3


EXAMPLES = sorted((Path(dlm_length.__file__).parents[1] / "results" / "example").glob("*/*/config.yaml"))


def test_no_field_that_was_added_since_the_example_changes_its_runs_names() -> None:
    """What was added, and left at its default, is no part of a name."""
    assert len(EXAMPLES) == 36
    for file in EXAMPLES:
        assert load_config(file).run_name == file.parent.name


def test_a_threshold_is_another_run_since_it_is_inclusive(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    plain, threshold = load_config("run"), load_config("run", ["policy.threshold=0.9"])
    assert (plain.policy.version, threshold.policy.version) == (1, 2)
    assert load_config("run", ["policy.threshold=1.0"]).policy.version == 3  # now compared in float64
    names = [plain.fingerprint, threshold.fingerprint]
    monkeypatch.setattr(Policy, "version", 1)
    assert plain.fingerprint == names[0]
    assert threshold.fingerprint != names[1]


def test_another_process_gets_the_same_fingerprint_and_imports_nothing_heavy() -> None:
    name = "tiny_humaneval_smartcrop"
    code = (
        "import sys; from dlm_length.config import load_config, json_schema; json_schema();"
        f"print(load_config({name!r}).fingerprint);"
        "print({'torch', 'transformers', 'datasets', 'safetensors'} & set(sys.modules))"
    )
    root = Path(dlm_length.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == [load_config(name).fingerprint, "set()"]
