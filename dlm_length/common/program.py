"""The running program: version, commit, and the command that started it."""

import shlex
import subprocess
import sys
from pathlib import Path

from dlm_length._version import __version__

STEPS_LOGGER = "dlm_length.steps"
"""Name of the logger of what a policy's code does before a run begins, whose warnings are shown as notices."""
LOGGER = "dlm_length"
"""Name of the logger; its level sets how much a run shows: DEBUG a line per sample, WARNING no progress."""


def package_version() -> str:
    """Version of this package, installed or as a source tree."""
    return __version__


def git_commit() -> str | None:
    """The commit of the source tree, followed by `+` if files were changed; None for an installed package."""
    tree = Path(__file__).parents[2]
    if not (tree / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=40", "--exclude=*"],
            cwd=tree,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip()


def command_line() -> str:
    """How this process was started, as it would be typed: `dlmlen run ...`, `python -m package`, `study.py`.

    Without the code of `python -c`.
    """
    program = Path(sys.argv[0])
    match program.name:
        case "":
            begin = ["python"]
        case "-c":
            begin = ["python", "-c"]
        case "__main__.py":
            begin = ["python", "-m", program.parent.name]
        case name:
            begin = [name]
    return shlex.join([*begin, *sys.argv[1:]])
