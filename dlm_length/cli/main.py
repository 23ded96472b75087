"""The command line `dlmlen`: its commands, and how errors are reported.

A command lives in a module of its own and imports what it needs when it runs, so that help comes at once.
"""

import errno
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from dlm_length import __version__
from dlm_length.cli import calibrate as calibrate_command
from dlm_length.cli import compare as compare_command
from dlm_length.cli import config, listings
from dlm_length.cli import doctor as doctor_command
from dlm_length.cli import export as export_command
from dlm_length.cli import fit_bias as fit_bias_command
from dlm_length.cli import lm_eval as lm_eval_command
from dlm_length.cli import merge as merge_command
from dlm_length.cli import probe as probe_command
from dlm_length.cli import report as report_command
from dlm_length.cli import reproduce as reproduce_command
from dlm_length.cli import run as run_command
from dlm_length.cli import score as score_command
from dlm_length.cli import sweep as sweep_command
from dlm_length.cli import trace as trace_command
from dlm_length.cli import watch as watch_command
from dlm_length.cli.interrupts import INTERRUPTED, explain, interruptible, was_interrupted
from dlm_length.cli.typer_classes import Command, CommandGroup
from dlm_length.common import UserError, printable

PROGRAM = "dlmlen"

app = typer.Typer(
    name=PROGRAM,
    cls=CommandGroup,
    help="""Benchmark adaptive answer length in diffusion language models.

    \b
    dlmlen run mini_gsm8k_smartcrop --limit 10   try the model that ships
    dlmlen list configs                          see what else can be run
    """,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.add_typer(config.app, name="config")
_COMMANDS: dict[str, Callable[..., None]] = {
    "calibrate": calibrate_command.calibrate,
    "compare": compare_command.compare,
    "doctor": doctor_command.doctor,
    "export": export_command.export,
    "fit-bias": fit_bias_command.fit_bias,
    "list": listings.show,
    "merge": merge_command.merge,
    "probe": probe_command.probe,
    "report": report_command.report,
    "reproduce": reproduce_command.reproduce,
    "run": run_command.run,
    "score": score_command.score,
    "sweep": sweep_command.sweep,
    "trace": trace_command.trace,
    "watch": watch_command.watch,
}
for name, command in _COMMANDS.items():
    app.command(name, cls=Command)(command)
app.command("lm-eval", context_settings=lm_eval_command.CONTEXT)(lm_eval_command.lm_eval)


_MACHINE = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG),
        *(errno.EIO, errno.EMFILE, errno.ENFILE),
    }
)
"""Failures of a file system, which are no bug of a program."""


def run() -> None:
    """Entry point. What a user can fix is reported in a sentence; anything else is a bug and keeps its traceback."""
    # Records have the command; started by `python -c` or `python -m`, the process has another name.
    sys.argv[0] = PROGRAM
    try:
        with interruptible():
            app(prog_name=PROGRAM)
    except Exception as error:
        if was_interrupted(error):
            _interrupted()
        if isinstance(error, UserError):
            _fail(str(error), error.exit_code)
        if isinstance(error, OSError) and error.errno in _MACHINE:
            where = f"{error.filename}: " if error.filename is not None else ""
            _fail(f"{where}cannot be read or written ({error.strerror}).", UserError.exit_code)
        raise
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as end:
        if was_interrupted(end):  # typer ends a command that is interrupted without a word
            _interrupted()
        raise


def _interrupted() -> NoReturn:
    explain("Interrupted.")
    raise SystemExit(INTERRUPTED) from None


def _fail(sentence: str, exit_code: int) -> NoReturn:
    from rich.console import Console
    from rich.text import Text

    # Never wrapped or marked up: paths and brackets in the message stay as they are.
    message = Text.assemble(("Error: ", "bold red"), printable(sentence))
    Console(stderr=True).print(message, soft_wrap=True, highlight=False)
    sys.exit(exit_code)


def _version(given: bool) -> None:
    if given:
        typer.echo(f"dlmlen {__version__}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that stand before the command."""
