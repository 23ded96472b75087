"""dlmlen: adaptive answer length in diffusion language models, measured.

from dlm_length import Engine, build_policy, load_model, load_runs
"""

from typing import TYPE_CHECKING, Any

from dlm_length._version import __version__

if TYPE_CHECKING:
    from dlm_length.analysis import Analysis, load_runs
    from dlm_length.engine import Engine, Generation
    from dlm_length.models import MaskPredictor, load_model
    from dlm_length.policies import build_policy

__all__ = [
    "Analysis",
    "Engine",
    "Generation",
    "MaskPredictor",
    "__version__",
    "build_policy",
    "load_model",
    "load_runs",
]

_MODULES = {
    "Analysis": "analysis",
    "Engine": "engine",
    "Generation": "engine",
    "MaskPredictor": "models",
    "build_policy": "policies",
    "load_model": "models",
    "load_runs": "analysis",
}


def __getattr__(name: str) -> Any:
    """Names of the public API are imported when first used, so that `import dlm_length` is fast."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
