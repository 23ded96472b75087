"""The batched denoising core. torch is imported with the first engine, not with this package."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlm_length.engine.engine import Engine, Step
    from dlm_length.engine.generation import Generation
    from dlm_length.engine.ledger import Cost, Ledger
    from dlm_length.engine.request import Request

__all__ = ["Cost", "Engine", "Generation", "Ledger", "Request", "Step"]

_MODULES = {
    "Cost": "ledger",
    "Engine": "engine",
    "Generation": "generation",
    "Ledger": "ledger",
    "Request": "request",
    "Step": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
