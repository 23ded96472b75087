"""One run: plan, resume, execute, score, record."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_length.runner.execution import Finished, Progress, run
    from dlm_length.runner.planning import Plan, plan

__all__ = ["Finished", "Plan", "Progress", "plan", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{'planning' if name in ('Plan', 'plan') else 'execution'}"), name)
