"""The public API is complete: every name is annotated, described, and shown to people in a line."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import dlm_length
from dlm_length import Engine, build_policy, load_model, load_runs
from dlm_length.analysis.sections import collect, compared
from dlm_length.config import load_config
from dlm_length.denoising import Canvas
from dlm_length.records import RunFolder, read_samples

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "results/example/study_mini"
NO_API = {"cli"}
"""Packages whose functions are commands."""


def documented() -> set[str]:
    """Modules that the documentation describes, or imports from in an example; not the internal ones."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs").glob("notebooks/*.ipynb")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    named = re.findall(r"(?:^::: |from |^import )(dlm_length[\w.]*)", text, re.MULTILINE)
    return {name for name in named if not re.search(r"\._|\.figures\.measures", name)}


PACKAGES = {f"dlm_length.{each.name}" for each in pkgutil.iter_modules(dlm_length.__path__) if each.ispkg} - {
    f"dlm_length.{name}" for name in NO_API
}
MODULES = sorted({"dlm_length"} | PACKAGES | documented())


def public_names(module: Any) -> Iterator[tuple[str, Any]]:
    """The names that a module is for: its `__all__`, else what it defines itself."""
    own = getattr(module, "__all__", None)
    for name in own if own is not None else vars(module):
        value = getattr(module, name)
        if own is not None or (not name.startswith("_") and getattr(value, "__module__", None) == module.__name__):
            yield name, value


def functions(name: str, value: Any) -> Iterator[tuple[str, Callable[..., Any], str | None]]:
    """A function, or a class's public methods and properties, each with its docstring or the one it inherits."""
    if inspect.isfunction(value):
        yield name, value, inspect.getdoc(value)
    elif inspect.isclass(value):
        for member, found in vars(value).items():
            function = underlying(found)
            ours = inspect.isfunction(function) and function.__module__.startswith("dlm_length")
            if ours and (member == "__init__" or not member.startswith("_")):
                doc = inspect.getdoc(value) if member == "__init__" else inspect.getdoc(getattr(value, member))
                yield f"{name}.{member}", function, doc


def underlying(member: Any) -> Any:
    """The function of a property, a cached property, a class method or a static method."""
    for attribute in ("fget", "func", "__func__"):
        member = getattr(member, attribute, member)
    return member


def described(value: type) -> bool:
    """Whether a class says what it is; a dataclass without a docstring is given its signature."""
    return bool(value.__doc__) and not value.__doc__.startswith(f"{value.__name__}(")


def test_documented_modules_are_found() -> None:
    assert {"dlm_length", "dlm_length.records.schema", "dlm_length.trace.schema", "dlm_length.metrics"} <= set(MODULES)
    assert len(MODULES) > 20


@pytest.mark.parametrize("module", MODULES)
def test_every_public_function_is_annotated_in_full(module: str) -> None:
    lacking = []
    for name, value in public_names(importlib.import_module(module)):
        for function_name, function, _ in functions(name, value):
            signature = inspect.signature(function)
            parameters = [each for each in signature.parameters.values() if each.name not in ("self", "cls")]
            bare = [each.name for each in parameters if each.annotation is each.empty]
            if signature.return_annotation is signature.empty:
                bare.append("the result")
            lacking += [f"{function_name}: {each}" for each in bare]
    assert not lacking


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_is_described(module: str) -> None:
    lacking = []
    for name, value in public_names(importlib.import_module(module)):
        if inspect.isclass(value) and value.__module__.startswith("dlm_length") and not described(value):
            lacking.append(name)
        lacking += [function_name for function_name, _, doc in functions(name, value) if not doc]
    assert not lacking


@pytest.mark.parametrize("module", sorted(PACKAGES))
def test_every_package_lists_its_public_names(module: str) -> None:
    found = importlib.import_module(module)
    tree = ast.parse(Path(str(found.__file__)).read_text(encoding="utf-8"))
    imports = any(isinstance(each, ast.ImportFrom | ast.If) for each in tree.body)
    assert not imports or sorted(found.__all__) == sorted(set(found.__all__))


@pytest.mark.parametrize("module", sorted({"dlm_length"} | PACKAGES))
def test_tab_completion_finds_the_names_that_are_imported_when_first_used(module: str) -> None:
    found = importlib.import_module(module)
    assert set(getattr(found, "__all__", ())) <= set(dir(found))


USER_PROGRAM = """
from dlm_length import Engine, build_policy, load_model, load_runs

model = load_model("embedded:llada-mini", device="cpu", dtype="float32")
engine = Engine(model, max_batch_tokens=1_024, seed=0)
policy = build_policy("smartcrop", length=64, tau=0.9)
for out in engine.generate(["text"], policy):
    reveal_type(out.text())
    reveal_type(out.ledger.total.nfe)
    reveal_type(out.error)
reveal_type(model)
reveal_type(policy)
reveal_type(load_runs("results").runs)
Engine(model, seed="0")
"""
REVEALED = [
    "str",
    "int",
    "str | None",
    "dlm_length.models.predictor.MaskPredictor",
    "dlm_length.policies.base.Policy",
    "tuple[dlm_length.analysis.runs.Run, ...]",
]


@pytest.mark.slow
def test_a_users_type_checker_sees_the_types(tmp_path: Path) -> None:
    """`py.typed` promises it, though the names of the package itself are imported when they are first used.

    With the options of `make check`, whose cache is used where there is one.
    """
    program = tmp_path / "program.py"
    program.write_text(USER_PROGRAM)
    command = [sys.executable, "-m", "mypy", "--no-error-summary"]
    done = subprocess.run([*command, str(program)], cwd=ROOT, capture_output=True, text=True)
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert [each.replace("builtins.", "") for each in revealed] == REVEALED, done.stdout
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(errors) == 1, done.stdout
    assert 'incompatible type "str"; expected "int"' in errors[0]


@pytest.fixture(scope="module")
def shown() -> dict[str, str]:
    """What a notebook shows of the objects that it meets."""
    model = load_model("embedded:llada-tiny", device="cpu", dtype="float32")
    policy = build_policy("smartcrop", length=16, tau=0.8)
    engine = Engine(model)
    (out,) = engine.generate(["What is 1 + 1?"], policy)
    runs = load_runs(EXAMPLE)
    run = runs.runs[1]
    first = compared(collect([EXAMPLE]))[0]
    canvas = Canvas(3, model.tokens, "gsm8k/1")
    canvas.append_masks(4)
    canvas.append_eos(1)
    things = {
        **{"model": model, "tokenizer": model.tokenizer, "architecture": model.architecture, "tokens": model.tokens},
        **{"policy": policy, "engine": engine, "generation": out, "canvas": canvas, "runs": runs, "run": run},
        **{"metrics": run.metrics, "sample": run.samples["mini_gsm8k/1"], "record": read_samples(run.path)[0]},
        **{"section": first.section, "compared": first, "folder": RunFolder(run.path)},
        **{"config": load_config("mini_gsm8k_smartcrop")},
    }
    return {name: repr(thing).replace(str(ROOT), ".") for name, thing in things.items()}


def test_what_a_notebook_meets_is_shown_in_one_short_line(shown: dict[str, str]) -> None:
    assert not [text for text in shown.values() if len(text) > 250 or "\n" in text or re.search(r" at 0x\w+>", text)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokenizer", "<Tokenizer ./dlm_length/models/embedded/llada-tiny: "),
        ("policy", "SmartCrop(length=16, tau=0.8)"),
        ("canvas", "<Canvas of 'gsm8k/1': 5 tokens, 4 of them masks>"),
        ("metrics", "<RunMetrics mini_gsm8k, llada-mini, fixed 128: exact_match 0.8600, 50 samples>"),
        ("sample", "<SampleSummary 'mini_gsm8k/1': n_token 128, e_token 97, NFE 128, score 1.0>"),
        ("section", "<Section mini_gsm8k, llada-mini: 9 runs, n = 50, baseline fixed 128>"),
        ("compared", "<Compared: 16 effects by paired_bootstrap, <Section mini_gsm8k, llada-mini: "),
        ("config", "policy=SmartCrop(length=128)"),
    ],
)
def test_it_is_shown_with_what_tells_it_from_others(shown: dict[str, str], name: str, text: str) -> None:
    assert text in shown[name]


def test_a_run_folder_says_whether_it_is_finished(tmp_path: Path) -> None:
    assert repr(RunFolder(tmp_path)) == f"<RunFolder {tmp_path}: not finished>"
    assert repr(RunFolder(next(EXAMPLE.iterdir()))).endswith(": finished>")
