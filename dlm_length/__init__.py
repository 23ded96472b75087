"""dlmlen: adaptive answer length in diffusion language models, measured.

from dlm_length import Engine, build_policy, load_model, load_runs
"""

from typing import TYPE_CHECKING

from dlm_length._version import __version__
from dlm_length.common.lazy import lazy_names

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

# So that `import dlm_length` is fast.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "analysis": ("Analysis", "load_runs"),
        "engine": ("Engine", "Generation"),
        "models": ("MaskPredictor", "load_model"),
        "policies": ("build_policy",),
    },
)
