"""Policies and benchmarks from outside the package: a file named in the config, and installed distributions."""

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dlm_length import Engine, load_model
from dlm_length.cli.listings import rows_of
from dlm_length.common import ConfigError, plugins
from dlm_length.config import load_config
from dlm_length.engine.estimate import upper_bound
from dlm_length.policies import build_policy, policies
from dlm_length.runner import plan
from dlm_length.runner.prepare import prepare

POLICY = '''\
"""A policy from outside."""

from typing import Literal

from dlm_length.denoising import Canvas, DenoiseCoroutine
from dlm_length.policies.base import FullCanvas


class Halved(FullCanvas):
    """Half of the canvas."""

    name: Literal["halved"] = "halved"

    def denoise(self, canvas: Canvas) -> DenoiseCoroutine:
        canvas.append_masks(self.length // 2)
        yield from self.decode(canvas)
'''
RUN = "extends: mini_gsm8k_fixed\npolicy: {file: my_policy.py, name: halved, length: 64}\n"
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Works in an empty folder; writes a file there."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    return write


@pytest.fixture
def install(write: Write, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Makes a distribution of a module, as an installer leaves it, and puts it on the path."""
    before = set(sys.modules)

    def install(distribution: str, module: str, text: str, group: str = "policies", target: str = "") -> None:
        site = write(f"{distribution}/{module}.py", text).parent
        folder = f"{distribution}/{module}-1.0.dist-info"
        write(f"{folder}/METADATA", f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        write(f"{folder}/entry_points.txt", f"[dlm_length.{group}]\nit = {module}{target}\n")
        monkeypatch.syspath_prepend(str(site))
        forget()

    yield install
    for name in set(sys.modules) - before:
        if name.startswith("outside_"):
            del sys.modules[name]
    monkeypatch.undo()
    forget()


def forget() -> None:
    plugins.plugins.cache_clear()
    plugins._warn_once.cache_clear()


def test_a_file_beside_the_config_is_found_from_anywhere(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file, run = write("study/my_policy.py", POLICY), write("study/run.yaml", RUN)
    config = load_config(run)
    assert (config.policy.name, config.policy.label) == ("halved", "halved")
    assert config.policy.model_dump()["file"] == str(file)
    assert load_config(run) == config
    write("recorded.yaml", config.to_yaml())
    assert load_config("recorded.yaml") == config


BENCHMARK = '''\
"""A benchmark from outside."""

from typing import ClassVar, Literal

from dlm_length.benchmarks import Benchmark, Problem, Prompt, Score, chosen


class Counting(Benchmark):
    """Numbers."""

    version: ClassVar[int] = 1
    metric: ClassVar[str] = "acc"
    name: Literal["counting"] = "counting"
    prompt_version: ClassVar[str] = "own/1"
    prompt_description: ClassVar[str] = "none"

    def problems(self) -> list[Problem]:
        return chosen([Problem(f"counting/{n}", n, str(n), {}) for n in range(4)], self)

    def prompt(self, problem: Problem) -> Prompt:
        return Prompt(text="Count.")

    def score(self, problem: Problem, answer: str) -> Score:
        return Score(float(problem.target in answer))
'''
COUNTED = "extends: tiny_gsm8k_fixed\nbenchmark: {file: my_benchmark.py, name: counting}\n"


@pytest.mark.parametrize(("choice", "selected"), [("limit=1", 1), ("sample_ids=[counting/2, counting/0]", 2)])
def test_a_benchmark_that_ignores_the_choice_of_problems_is_refused(write: Write, choice: str, selected: int) -> None:
    file, run = write("my_benchmark.py", BENCHMARK), write("run.yaml", COUNTED)
    (prepared,) = prepare([load_config(run, [f"benchmark.{choice}"])])
    assert len(prepared.problems) == selected
    file.write_text(BENCHMARK.replace("chosen([", "list([").replace("range(4)], self)", "range(4)])"))
    (prepared,) = prepare([load_config(run, [f"benchmark.{choice}"])])
    field = choice.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"counting: problems\(\) gave 4 .* benchmark\.{field} selects {selected};"):
        _ = prepared.problems
    (prepared,) = prepare([load_config(run)])
    assert len(prepared.problems) == 4


def test_an_edited_file_makes_another_run_and_refuses_the_record_of_the_first(write: Write) -> None:
    file, run = write("my_policy.py", POLICY), write("run.yaml", RUN)
    config = load_config(run)
    write("recorded.yaml", config.to_yaml())
    moved = write("elsewhere/my_policy.py", POLICY)
    assert load_config(run, [f"policy.file={moved}"]).fingerprint == config.fingerprint, "by content, not by path"
    file.write_text(POLICY.replace("// 2", "// 4"))
    assert load_config(run).fingerprint != config.fingerprint
    with pytest.raises(ConfigError, match=r"recorded\.yaml:\d+: policy\.file_sha256: found .* it was edited since"):
        load_config("recorded.yaml")


@pytest.mark.parametrize(
    ("text", "run", "sentence"),
    [
        (
            POLICY,
            RUN.replace("my_policy", "my_polcy"),
            r"cannot be read \(No such file.*Did you mean 'my_policy\.py'\?",
        ),
        ("x = 1\nraise KeyError('no')\n", RUN, r"my_policy\.py: fails to import \(KeyError: 'no', line 2\)"),
        ("def (:\n", RUN, r"my_policy\.py: fails to import \(SyntaxError: .*line 1\)"),
        ("x = 1\n", RUN, r"my_policy\.py: defines no concrete subclass of dlm_length\.policies\.base\.Policy"),
        (
            POLICY.replace("def denoise(", "def denoize("),
            RUN,
            r"my_policy\.py: defines no concrete .* with a name: Halved does not implement denoise$",
        ),
        (
            POLICY.replace('    name: Literal["halved"] = "halved"\n', ""),
            RUN,
            r"my_policy\.py: defines no concrete .* with a name: Halved has no field `name: Literal",
        ),
        (
            POLICY.replace("    name: Literal", '    role = "baselines"\n    name: Literal', 1),
            RUN,
            r"my_policy\.py: fails to import \(TypeError: Halved\.role is 'baselines'; allowed: method, control",
        ),
        (
            POLICY,
            RUN.replace("name: halved", "name: halfed"),
            r"'halfed' in .*; there are halved\. Did you mean 'halved'",
        ),
        (POLICY, RUN.replace("name: halved, ", ""), r"there are halved|no policy is named 'fixed' in .*my_policy\.py"),
        (POLICY.replace('"halved"', '"smartcrop"'), RUN, r"'smartcrop' is taken by dlm_length\.policies\.smartcrop\."),
        (POLICY, RUN.replace("my_policy.py", "3"), r"policy\.file: .*cannot be read"),
        (POLICY, RUN.replace("my_policy.py", "[a]"), r"policy\.file: found .*; allowed: the path of a Python file"),
        (POLICY, RUN.replace("length: 64", "lenght: 64"), r"policy\.lenght: unknown field; .*Did you mean 'length'"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(write: Write, text: str, run: str, sentence: str) -> None:
    write("my_policy.py", text)
    with pytest.raises(ConfigError, match=sentence) as refused:
        load_config(write("run.yaml", run))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("return 1 / 0", r"my_policy\.py: label raised ZeroDivisionError: .*, line \d+\.$"),
        ("return None", r"my_policy\.py: label gave None, expected text\.$"),
        ("import sys; sys.exit(3)", r"my_policy\.py: label raised SystemExit: 3, line \d+\.$"),
    ],
)
def test_a_label_that_is_none_is_one_sentence(write: Write, label: str, sentence: str) -> None:
    """Every table and record has it, so that it is asked for before anything is run."""
    write("my_policy.py", POLICY + f"\n    @property\n    def label(self) -> str:\n        {label}\n")
    with pytest.raises(ConfigError, match=sentence):
        load_config(write("run.yaml", RUN))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("return 1 / 0", r"my_policy\.py: worst_case raised ZeroDivisionError: .*, line \d+\.$"),
        ("return None", r"my_policy\.py: worst_case gave None, expected a policy\.$"),
        ("return 512", r"my_policy\.py: worst_case gave 512, expected a policy\.$"),
    ],
)
def test_a_worst_case_that_is_no_policy_is_one_sentence(write: Write, body: str, sentence: str) -> None:
    write("my_policy.py", POLICY + f"\n    def worst_case(self):\n        {body}\n")
    with pytest.raises(ConfigError, match=sentence):
        plan(load_config(write("run.yaml", RUN)))


def test_the_library_takes_a_file_too(write: Write) -> None:
    write("my_policy.py", POLICY)
    assert build_policy("halved", file="my_policy.py", length=32).label == "halved"
    with pytest.raises(ConfigError, match=r"no policy is named 'halfed' in my_policy\.py; there are halved"):
        build_policy("halfed", file="my_policy.py")


@pytest.mark.parametrize("target", ["", ":Halved"])
def test_an_installed_policy_is_named_like_the_packages(install: Callable[..., None], target: str) -> None:
    install("outside-one", "outside_one", POLICY, target=target)
    assert policies()["halved"].__module__ == "outside_one"
    assert plugins.distribution_of("policies", policies()["halved"]) == "outside-one 1.0"
    assert plugins.distribution_of("policies", policies()["fixed"]) is None
    assert plugins.plugin_distributions() == {"outside-one": "1.0"}
    assert load_config("mini_gsm8k_fixed", ["policy=halved"]).policy.name == "halved"
    (row,) = (row for row in rows_of("policies") if row.name == "halved")
    assert (row.summary, row.source) == ("Half of the canvas.", "from outside-one 1.0")


RAISING = POLICY.replace("yield from self.decode(canvas)", 'raise RuntimeError("no length for this prompt")')
NONSENSE = POLICY.replace("yield from self.decode(canvas)", "yield 7")
NOTHING = POLICY.replace("yield from self.decode(canvas)", "yield")
STRAY_COMMIT = POLICY.replace(
    "yield from self.decode(canvas)",
    "canvas.commit(canvas.all, canvas.all + 9)\n        canvas.commit(canvas.all, canvas.all)\n        yield",
)


@pytest.mark.parametrize("target", ["", ":Halved"])
@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (RAISING, 16, "RuntimeError: no length for this prompt"),
        (RAISING.replace("RuntimeError", "SystemExit"), 16, "SystemExit: no length for this prompt"),
        (NONSENSE, 16, "TypeError: denoise yielded a int; expected are a Query and a FollowUp"),
        (NOTHING, 16, "TypeError: denoise yielded a NoneType; expected are a Query and a FollowUp"),
        (STRAY_COMMIT, 17, "AssertionError: a committed token would be overwritten"),
    ],
)
def test_an_error_of_an_installed_policy_names_its_distribution_file_and_line(
    install: Callable[..., None], tmp_path: Path, target: str, text: str, line: int, reason: str
) -> None:
    install("outside-four", "outside_four", text, target=target)
    model = load_model("embedded:llada-tiny", device="cpu", dtype="float32")
    with pytest.raises(ConfigError) as caught:
        list(Engine(model).generate([[5, 6]], build_policy("halved", length=8), sample_ids=["gsm8k-3"]))
    file = tmp_path / "outside-four" / "outside_four.py"
    assert str(caught.value) == (
        "policy halved of the distribution outside-four 1.0: denoise, on sample gsm8k-3, raised"
        f" {reason}, line {line} of {file}."
    )
    assert caught.value.__cause__ is not None


VALIDATOR = POLICY.replace(
    "from typing import Literal", "from pydantic import model_validator\nfrom typing import Literal"
)
VALIDATOR = VALIDATOR.replace(
    "    def denoise(",
    '    @model_validator(mode="after")\n    def _check(self):\n        raise KeyError("it")\n\n    def denoise(',
)


def test_a_fault_of_a_policys_validator_names_where_it_comes_from(install: Callable[..., None], write: Write) -> None:
    install("outside-six", "outside_six", VALIDATOR)
    with pytest.raises(
        ConfigError, match=r"policy halved of .* outside-six 1\.0: validation raised KeyError: 'it', line"
    ):
        load_config("mini_gsm8k_fixed", ["policy=halved"])
    forget()
    write("my_policy.py", VALIDATOR.replace('"halved"', '"own"'))
    with pytest.raises(ConfigError, match=r"my_policy\.py: validation raised KeyError: 'it', line \d+"):
        load_config(write("run.yaml", RUN.replace("halved", "own")))


def test_an_error_of_an_installed_policy_is_named_in_an_estimate_too(install: Callable[..., None]) -> None:
    install("outside-five", "outside_five", RAISING)
    with pytest.raises(ConfigError, match=r"outside-five 1\.0: denoise raised RuntimeError: .* line 16 of"):
        upper_bound(build_policy("halved", length=8))


@pytest.mark.parametrize(
    ("text", "target", "sentence"),
    [
        ("import not_there\n", "", "it fails to import (ModuleNotFoundError: No module named 'not_there')."),
        (POLICY, ":Absent", "it fails to import (AttributeError: module 'outside_two' has no attribute 'Absent')."),
        (POLICY, ":FullCanvas", "it defines no concrete Policy: FullCanvas does not implement denoise."),
        (POLICY.replace('"halved"', '"fixed"'), "", "the name is taken by dlm_length.policies.fixed.Fixed."),
    ],
)
def test_a_faulty_distribution_is_named_once_and_hides_nothing(
    install: Callable[..., None], caplog: pytest.LogCaptureFixture, text: str, target: str, sentence: str
) -> None:
    known = set(policies())
    install("outside-two", "outside_two", text, target=target)
    with caplog.at_level(logging.WARNING, "dlm_length"):
        assert set(policies()) == set(policies()) == known
    (warning,) = caplog.messages
    assert "the distribution outside-two 1.0 is left out: " in warning
    assert warning.endswith(sentence)
    assert policies()["fixed"].__module__ == "dlm_length.policies.fixed"


def test_two_distributions_of_one_name_are_both_named(
    install: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    install("outside-a", "outside_a", POLICY)
    install("outside-b", "outside_b", POLICY)
    with caplog.at_level(logging.WARNING, "dlm_length"):
        assert policies()["halved"].__module__ == "outside_a"
    (warning,) = caplog.messages
    assert "'halved' of the distribution outside-b 1.0" in warning
    assert "taken by the distribution outside-a 1.0" in warning
