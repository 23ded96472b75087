"""What the documents say is so: paths and links exist, layers and defaults are the code's, examples work."""

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

import dlm_length.benchmarks
import dlm_length.policies
import dlm_length.reports.figures
from dlm_length.analysis.sections import collect
from dlm_length.benchmarks import _prompts
from dlm_length.cli.main import app
from dlm_length.common import UserError
from dlm_length.config import composed_configs, load_config
from dlm_length.policies import build_policy, policies
from dlm_length.reports.names import with_names

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ADDING = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"`([\w./]+)`[^`]*?:\n\n```(?:python|yaml)\n(.*?)```", ADDING, re.DOTALL))
"""The files that docs/extend.md shows, by their paths."""


def named(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_and_path_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = {link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link}
    assert not [link for link in links if not (document.parent / link).exists()]
    rooms = "dlm_length|tests|configs|scripts|docs|results"
    paths = set(re.findall(rf"`((?:{rooms})/[\w./-]+)`", text))
    example = re.compile("first_eos|boolq|forwards|[A-Z]{4}")  # what a contributor adds, and placeholders
    assert not [path for path in paths if not (example.search(path) or (ROOT / path).exists())]


def heading_anchors(document: Path) -> set[str]:
    """Those that GitHub gives to the headings."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_anchor_is_that_of_a_heading(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]*\.md)?#([^)]+)\)", document.read_text(encoding="utf-8"))
    assert not [
        (file, anchor)
        for file, anchor in links
        if anchor not in heading_anchors(document.parent / file if file else document)
    ]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_target_that_it_names_is_there(document: Path) -> None:
    targets = set(re.findall(r"(?:^    |`)make ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
    there = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets <= set(there)


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make ([a-z]+)  +\S", shown, re.MULTILINE) == phony[1].split()


def test_the_layers_are_those_that_the_linter_holds() -> None:
    block = re.search(r"```text\n(.*?)```", (ROOT / "docs/design.md").read_text(), re.DOTALL)
    assert block is not None
    contract, *_ = PROJECT["tool"]["importlinter"]["contracts"]
    enforced = [sorted(re.findall(r"dlm_length\.(\w+)", layer)) for layer in contract["layers"]]
    assert [sorted(line.split(" | ")) for line in block[1].splitlines()] == enforced


def test_every_package_has_a_line_in_the_table() -> None:
    table = set(re.findall(r"^\| `dlm_length/(\w+)", (ROOT / "docs/design.md").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "dlm_length").glob("*/__init__.py")}
    assert packages <= table


@pytest.mark.parametrize("policy", ["daedal", "rho_eos"])
def test_the_defaults_of_a_method_are_those_of_its_policy(policy: str) -> None:
    text = (ROOT / "docs/methods.md").read_text()
    section = re.search(rf"\(policy `{policy}`\)\n(.*?)\n## ", text, re.DOTALL)
    assert section is not None
    sentence = re.search(r"Fields and defaults: (.*?)[.;]\s", section[1], re.DOTALL)
    assert sentence is not None
    stated = re.findall(r"`(\w{2,})`(?: \(`\w`\))?\s+`?([\w.,]*\w)", sentence[1])
    assert len(stated) >= 8
    parameters = build_policy(policy).model_dump()
    assert {field: value.replace(",", "") for field, value in stated} == {
        field: str(parameters[field]) for field, _ in stated
    }


def test_every_policy_is_described() -> None:
    text = (ROOT / "docs/methods.md").read_text()
    assert not [name for name in policies() if f"`{name}`" not in text]


def test_every_section_that_the_code_cites_is_there() -> None:
    sections = set(re.findall(r"^## (\d)", (ROOT / "docs/methods.md").read_text(), re.MULTILINE))
    sources = [path for folder in ("dlm_length", "scripts", "tests") for path in (ROOT / folder).rglob("*.py")]
    cited = {n for path in sources for n in re.findall(r"docs/methods\.md,? section (\d)", path.read_text())}
    assert cited
    assert cited <= sections


def test_the_workflow_runs_the_check_on_every_supported_python() -> None:
    (job,) = YAML(typ="safe").load(ROOT / ".github/workflows/ci.yml")["jobs"].values()
    assert {"run": ".ci/run"} in job["steps"]
    supported = re.findall(r"Python :: (3\.\d+)", " ".join(PROJECT["project"]["classifiers"]))
    assert job["strategy"]["matrix"]["python"] == supported


def test_the_hooks_run_what_make_check_runs() -> None:
    (local,) = YAML(typ="safe").load(ROOT / ".pre-commit-config.yaml")["repos"]
    hooks = {tuple(shlex.split(hook["entry"])) for hook in local["hooks"]}
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    commands = [shlex.split(line.replace("$(BIN)", ".venv/bin")) for line in recipe[1].splitlines()]
    assert {tuple(part for part in command if part not in (".", "--force-exclude")) for command in commands} == {
        tuple(part for part in hook if part != "--force-exclude") for hook in hooks
    }


def test_the_citation_has_the_version_of_the_package() -> None:
    citation = YAML(typ="safe").load(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["version"] == PROJECT["project"]["version"] == dlm_length.__version__
    assert citation["license"] == PROJECT["project"]["license"]


def test_the_containers_copy_what_the_package_is_built_from() -> None:
    dockerfile, recipe = ((ROOT / name).read_text() for name in ("Dockerfile", "apptainer.def"))
    copied = {name for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()}
    assert copied == set(re.findall(r"^    (\S+) /opt/dlmlen/$", recipe, re.MULTILINE))
    assert copied == set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    build = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert needed | {*build["packages"], *build["force-include"]} <= copied
    assert all((ROOT / name).exists() for name in copied)


@pytest.fixture
def contributed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the files of docs/extend.md, those of the package also found in their packages."""
    for name, text in EXAMPLES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for package in (dlm_length.policies, dlm_length.benchmarks, dlm_length.reports.figures):
        own = tmp_path / package.__name__.replace(".", "/")
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(own)])
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if name.startswith("dlm_length") and Path(getattr(module, "__file__", None) or "").is_relative_to(tmp_path):
            del sys.modules[name]


def run_example(path: str) -> Mapping[str, Any]:
    """The names that an example defines."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(EXAMPLES[path], path, "exec"), names)
    return names


BLOCKS = [
    (document, position, code)
    for document in DOCUMENTS
    for position, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    )
]


@pytest.mark.usefixtures("contributed")
@pytest.mark.parametrize(
    ("document", "position", "code"), BLOCKS, ids=[f"{named(document)} {position}" for document, position, _ in BLOCKS]
)
def test_every_python_example_runs_with_the_imports_that_it_shows(document: Path, position: int, code: str) -> None:
    Path("results").symlink_to(ROOT / "results")  # README's examples run in the repository
    if document.name == "trace.md":
        made = CliRunner().invoke(
            app,
            [
                *(
                    "trace",
                    "--config",
                    "mini_gsm8k_fixed",
                    "model=llada-tiny",
                    "policy.length=16",
                    "policy.block_length=8",
                ),
                *("--sample", "0", "--html", "trace.html"),
            ],
        )
        assert made.exit_code == 0, made.output
    module = ModuleType("example")  # where pydantic and typing look up annotations
    module.__file__ = str(document)
    sys.modules["example"] = module
    try:
        exec(compile(code, f"{named(document)}, Python example {position}", "exec", dont_inherit=True), vars(module))
    finally:
        del sys.modules["example"]


@pytest.mark.usefixtures("contributed")
def test_a_policy_is_added_by_the_files_that_are_shown() -> None:
    assert "first_eos" in policies()
    assert build_policy("first_eos", length=32).label == "first_eos 32 margin 0"
    for name, test in run_example("tests/policies/test_first_eos.py").items():
        if name.startswith("test_"):
            test()
    assert composed_configs()["mini_gsm8k_first_eos"].policy == "mini_first_eos"
    config = load_config("mini_gsm8k_first_eos", ["policy.margin=2"])
    assert (config.policy.name, config.policy.model_dump()["margin"]) == ("first_eos", 2)
    assert config.model == load_config("mini_gsm8k_fixed").model


def test_a_benchmark_is_added_by_the_files_that_are_shown(contributed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_prompts, "files", lambda package: contributed / package.replace(".", "/"))
    (contributed / "rows.jsonl").write_text('{"question": "is it", "passage": "It is.", "answer": true}\n')
    config = load_config("boolq_fixed", ["benchmark.path=rows.jsonl"])
    (problem,) = config.benchmark.problems()
    assert config.benchmark.prompt(problem).messages == (("user", "It is.\n\nis it? Answer yes or no."),)
    answers = ["Yes, it is.", "**no**", "", "Yesterday"]
    assert [config.benchmark.score(problem, answer).value for answer in answers] == [1.0, 0.0, 0.0, 0.0]
    (contributed / "rows.jsonl").write_text('{"question": "is it", "passage": "It is.", "answer": "yes"}\n')
    with pytest.raises(UserError, match=r"rows\.jsonl, row 1: expected true or false in 'answer', found 'yes'"):
        config.benchmark.problems()


@pytest.mark.usefixtures("contributed")
def test_a_figure_is_added_by_the_file_that_is_shown() -> None:
    module = importlib.import_module("dlm_length.reports.figures.forwards")
    section = with_names(next(each for each in collect([ROOT / "results/example"]) if len(each.runs) > 2))
    (figure,) = module.forwards(section)
    found = module.compute(section)
    assert len(found.labels) == len(set(found.labels)) == len(section.runs)
    for run, nfe in zip(section.runs, found.nfe, strict=True):
        assert np.mean(nfe) == pytest.approx(run.metrics.nfe)
    assert figure.render("png").startswith(b"\x89PNG")
