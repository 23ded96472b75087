"""Every command in README and docs is executed, or says in its block that it needs more than this machine has."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dlm_length.cli.main import app
from dlm_length.config import config_names

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = typer.main.get_command(app)
CANNOT_RUN = re.compile(r"^# (needs|takes) ", re.MULTILINE)
"""The visible comment of a block whose commands are only parsed here."""
OTHERS = (
    "make ",
    "git clone ",
    ".venv/bin/python scripts/",
    "pip install ",
    "pipx ",
    "uvx ",
    "sbatch ",
    "lm_eval ",
    "docker ",
    "apptainer ",
)
"""Commands of other programs: targets and scripts are checked to exist."""


def blocks(document: Path) -> Iterator[str]:
    yield from re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(block: str) -> list[list[str]]:
    """The commands of a block as words; a line that ends in a backslash goes on."""
    lines = block.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def shortened(words: list[str]) -> list[str]:
    """The same command over one sample, as what is tested is that it works."""
    return ["1" if before == "--limit" else word for before, word in zip(["", *words], words, strict=False)]


def test_every_shell_block_is_of_known_programs() -> None:
    unknown = [
        line
        for document in DOCUMENTS
        for block in blocks(document)
        for line in block.replace("\\\n", " ").splitlines()
        if line.strip() and not line.startswith(("#", "dlmlen ", *OTHERS))
    ]
    assert not unknown


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_every_script_that_a_block_runs_is_there(document: Path) -> None:
    for block in blocks(document):
        for script in re.findall(r"(?:python|sbatch|bash) (scripts/\S+)", block):
            assert (ROOT / script).is_file()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_commands_that_cannot_run_here_have_options_and_configs_that_exist(document: Path) -> None:
    known = {name for names in config_names().values() for name in names}
    for block in blocks(document):
        if not CANNOT_RUN.search(block):
            continue
        for _, *words in (each for each in commands(block) if each[0] == "dlmlen"):
            name, *rest = words
            command = COMMAND.commands[name]  # type: ignore[attr-defined]
            context = command.make_context(name, rest)
            given = context.params.get("words") or context.params.get("what") or ()
            named = [given] if isinstance(given, str) else list(given)
            config = context.params.get("config") or next((word for word in named if word.isidentifier()), None)
            assert config is None or config in known or str(config).startswith(("./", "my_"))


@pytest.mark.slow
def test_every_other_command_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the documents' order and one folder, as a reader would; a command that several pages show runs once."""
    monkeypatch.chdir(tmp_path)
    files = dict(
        re.findall(
            r"`(my_\w+\.(?:py|yaml|jsonl)|crop\.yaml)`(?:,[^`\n]*)?:\n\n```(?:python|yaml|json)\n(.*?)```",
            "\n".join(document.read_text(encoding="utf-8") for document in DOCUMENTS),
            re.DOTALL,
        )
    )
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    shutil.copytree(ROOT / "results" / "example", tmp_path / "results" / "example", symlinks=True)
    done: set[tuple[str, ...]] = set()
    for document in DOCUMENTS:
        for block in blocks(document):
            if CANNOT_RUN.search(block):
                continue
            for _, *words in (each for each in commands(block) if each[0] == "dlmlen"):
                added = re.search("first_eos|boolq", " ".join(words))  # test_docs.py has tests of extend.md's examples
                if tuple(words) in done or added:
                    continue
                done.add(tuple(words))
                result = CliRunner().invoke(app, shortened(words))
                assert result.exit_code == 0, (document.name, words, result.output, result.exception)
    assert len(done) > 20
