"""The command line as a user meets it: what is printed where, and the exit code."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_fixtures import CommandLine

import dlm_length
from dlm_length.cli.main import app, run
from dlm_length.common import ConfigError, UserError
from dlm_length.common.program import command_line

ROOT = Path(dlm_length.__file__).parents[1]


@pytest.fixture
def dlmlen(monkeypatch: pytest.MonkeyPatch, command_line: CommandLine) -> CommandLine:
    """The installed command, in this process."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    return command_line


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Adds a command `fail` that raises."""
    monkeypatch.setattr(app, "registered_commands", list(app.registered_commands))

    def failing(error: BaseException) -> None:
        @app.command()
        def fail() -> None:
            raise error

    return failing


def in_a_shell(command: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'dlmlen'; from dlm_length.cli.main import run; run()"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHON": sys.executable, "CODE": code}
    return subprocess.run(command, shell=True, env=environment, capture_output=True, text=True, check=True)


HEAVY = {"torch", "transformers", "datasets", "pandas", "pyarrow", "scipy", "matplotlib"}
"""Libraries that take long to import."""
CHECKED = {"numpy", "ruamel.yaml", "jinja2"}
"""What configs and policies are read with. Pydantic is too, but typer itself imports it for a command's options."""


def imported_by(arguments: str) -> tuple[set[str], str]:
    """Names of the modules that a command imports, and its output."""
    done = in_a_shell(f'"$PYTHON" -X importtime -c "$CODE" {arguments}')
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}, done.stdout


@pytest.mark.parametrize("arguments", ["--help", "run -h", "reproduce -h", "config -h", "score -h", "--version"])
def test_help_is_instant_since_it_imports_nothing_heavy(arguments: str) -> None:
    imported, shown = imported_by(arguments)
    assert "dlm_length.cli.main" in imported
    assert shown.strip()
    assert not imported & (HEAVY | CHECKED)
    assert "pydantic" not in imported or "typer._adapters" in imported
    own = {name for name in imported if name.startswith("dlm_length.")} - {"dlm_length._version"}
    assert {name.split(".")[1] for name in own} == {"cli", "common"}


def test_completing_the_name_of_a_config_reads_the_search_path_alone() -> None:
    code = (
        "from dlm_length.cli.completion import complete_words, complete_config; print(complete_words('mini_gsm8k_sm'))"
    )
    done = in_a_shell(f'"$PYTHON" -X importtime -c "{code}"')
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "mini_gsm8k_smartcrop" in done.stdout
    assert not imported & (HEAVY | CHECKED | {"pydantic"})


def test_completing_the_name_of_a_policy_imports_the_policies_without_heavy_libraries() -> None:
    code = "from dlm_length.cli.completion import complete_policy; print(complete_policy('smartc'))"
    done = in_a_shell(f'"$PYTHON" -X importtime -c "{code}"')
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "smartcrop" in done.stdout
    assert not imported & HEAVY


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("run nothing", "reading the config ..."),
        ("sweep nothing tau", "reading the config ..."),
        ("trace nothing --sample 0", "reading the config ..."),
        ("fit-bias nothing -o bias.yaml", "reading the config ..."),
        ("reproduce nothing", "reading the paper's experiments ..."),
        ("report nothing", "reading the runs ..."),
        ("calibrate nothing", "reading the runs ..."),
        ("export nothing --to csv", "reading the runs ..."),
        ("compare nothing nothing", "comparing the runs ..."),
        ("merge nothing", "reading the shards ..."),
        ("probe nothing", "reading the run ..."),
        ("score nothing", "reading the answers ..."),
        ("doctor --model nothing", "checking nothing ..."),
        ("config show nothing", "reading the config ..."),
        ("list policies", "listing the policies ..."),
    ],
)
def test_the_first_line_comes_before_anything_slow_is_imported(arguments: str, line: str) -> None:
    done = in_a_shell(f'"$PYTHON" -X importtime -c "$CODE" {arguments} || true')
    before = done.stderr.partition(f"{line}\n")[0]
    assert line in done.stderr
    imported = {each.rpartition("|")[2].strip() for each in before.splitlines()}
    assert not imported & (HEAVY | CHECKED)


@pytest.mark.parametrize("command", ["", "config", *(each.name or "" for each in app.registered_commands)])
@pytest.mark.parametrize("columns", ["80", "160"])
def test_help_fits_and_neither_cuts_nor_shows_types_of_flags(
    dlmlen: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str, columns: str
) -> None:
    if command == "lm-eval":  # lm-eval's own help
        return
    monkeypatch.setenv("COLUMNS", columns)
    done = dlmlen(*command.split(), "-h")
    assert done.code == 0
    assert all(len(line) <= int(columns) for line in done.stdout.splitlines())
    assert "…" not in done.stdout
    assert "<bool>" not in done.stdout


def test_commands_are_listed_by_name(dlmlen: CommandLine) -> None:
    commands = dlmlen("-h").stdout.partition("─ Commands ")[2].splitlines()
    names = [line.split()[1] for line in commands if line.startswith("│ ") and line[2] != " "]
    assert names == sorted(names)
    assert {"config", "lm-eval", "run"} <= set(names)


@pytest.mark.parametrize("start", ["-m dlm_length", "-c 'from dlm_length.cli.main import run; run()'"])
def test_the_command_is_recorded_as_one_types_it_however_the_program_was_started(start: str, tmp_path: Path) -> None:
    code = "import atexit, runpy, sys; from dlm_length.common.program import command_line"
    sitecustomize = f"{code}; atexit.register(lambda: print(command_line()))"
    (tmp_path / "sitecustomize.py").write_text(sitecustomize)
    done = in_a_shell(f'PYTHONPATH="{tmp_path}:$PYTHONPATH" "$PYTHON" {start} list studies --json')
    assert done.stdout.splitlines()[-1] == "dlmlen list studies --json"


@pytest.mark.parametrize(
    ("argv", "recorded"),
    [
        (["/usr/bin/dlmlen", "run", "a b"], "dlmlen run 'a b'"),
        (["study.py", "3"], "study.py 3"),
        (["-c", "3"], "python -c 3"),
        ([""], "python"),
        (["/x/my_package/__main__.py", "go"], "python -m my_package go"),
    ],
)
def test_a_program_that_uses_the_library_is_recorded_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], recorded: str
) -> None:
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == recorded


def test_a_reader_that_leaves_early_gets_no_traceback() -> None:
    done = in_a_shell('"$PYTHON" -c "$CODE" config schema | head -1')
    assert (done.stdout, done.stderr) == ("{\n", "")


def test_a_config_error_is_a_sentence_on_stderr_with_exit_code_2(dlmlen: CommandLine) -> None:
    done = dlmlen("config", "show", "--config", "gsm8k_smartcrop", "policy.tau=1.5")
    told = "Error: command line: policy.tau: found 1.5 (number); allowed: a number from 0 to 1\n"
    assert done == (2, "", f"reading the config ...\n{told}")


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (
            UserError("the data set [x] of /a/long/path " + "and on " * 20),
            1,
            "Error: the data set [x] of /a/long/path and",
        ),
        (ConfigError("[bold]no[/bold]"), 2, "Error: [bold]no[/bold]\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_exit_codes(
    dlmlen: CommandLine, failing: Callable[..., None], error: BaseException, code: int, told: str
) -> None:
    failing(error)
    done = dlmlen("fail")
    assert (done.code, done.stdout) == (code, "")
    assert done.stderr.startswith(told)
    assert done.stderr.count("\n") == bool(told)


def test_our_own_mistakes_are_not_made_sentences(failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    failing(RuntimeError("bug"))
    monkeypatch.setattr(sys, "argv", ["dlmlen", "fail"])
    with pytest.raises(RuntimeError, match="bug"):
        run()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["lst"], "No such command 'lst'. Did you mean 'list'?"),
        (["config", "shw"], "No such command 'shw'. Did you mean 'show'?"),
        (["config", "show"], "config show: no config is given; give its name or path"),
        (
            ["list"],
            "list: found nothing; allowed: models, policies, decoders, benchmarks, hardware, configs or studies",
        ),
        (
            ["list", "polices"],
            "list: found 'polices'; allowed: models, policies, decoders, benchmarks, hardware, configs or studies",
        ),
        (["list", "polices"], "Did you mean 'policies'?"),
        (["config", "show", "mini_gsm8k_fixed", "--policy", "smartcrp"], "Did you mean 'smartcrop'"),
        (["config", "show", "mini_gsm8k_fixed", "--benchmark", "gsm9k"], "Did you mean 'gsm8k'?"),
        (["config", "show", "mini_gsm8k_fixed", "--model", "lada-mini"], "Did you mean 'llada-mini'?"),
        (["config", "show", "mini_gsm8k_fixed", "--policy", ""], "--policy: found ''; allowed: a name"),
        (["config", "show", "mini_gsm8k_fixed", "--model", ""], "as `dlmlen list models` shows them"),
        (["config", "show", "mini_gsm8k_fixed", "--policy", "tau=0.9"], "--policy: found 'tau=0.9'; allowed: a name"),
        (
            ["run", "study_mini", "--policy", "smartcrop"],
            "policy=smartcrop: the study study_mini has each run's policy in",
        ),
        (["run", "study_mini", "benchmark=gsm8k"], "allowed: benchmark.FIELD=VALUE, which applies to every run"),
        (
            ["run", "mini_gsm8k_fixed", "mini_gsm8k_daedal"],
            "allowed: one config. An override has the form FIELD=VALUE.",
        ),
    ],
)
def test_usage_errors_name_the_nearest(dlmlen: CommandLine, arguments: list[str], told: str) -> None:
    done = dlmlen(*arguments)
    assert done.code == 2
    assert told in done.stderr


def test_version(dlmlen: CommandLine) -> None:
    assert dlmlen("--version") == (0, f"dlmlen {dlm_length.__version__}\n", "")


def test_the_schema_is_json(dlmlen: CommandLine) -> None:
    assert json.loads(dlmlen("config", "schema").stdout)["title"] == "dlmlen run config"
