"""One run: plan, resume, execute, score, record."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_length.runner.plan import Plan, plan
    from dlm_length.runner.run import Finished, Progress, run

__all__ = ["Finished", "Plan", "Progress", "plan", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{'plan' if name in ('Plan', 'plan') else 'run'}")
    return getattr(module, name)
