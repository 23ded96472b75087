"""Runs: plan, resume, execute, score, record; one, or many that share work."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_length.runner.execution import Finished, Progress, Together, run, run_together
    from dlm_length.runner.planning import Plan, plan
    from dlm_length.runner.studying import Studied, StudiedBlock, run_study

_MODULES = {
    **dict.fromkeys(("Finished", "Progress", "Together", "run", "run_together"), "execution"),
    **dict.fromkeys(("Plan", "plan"), "planning"),
    **dict.fromkeys(("Studied", "StudiedBlock", "run_study"), "studying"),
}

__all__ = [
    "Finished",
    "Plan",
    "Progress",
    "Studied",
    "StudiedBlock",
    "Together",
    "plan",
    "run",
    "run_study",
    "run_together",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
