"""The batched denoising core. torch is imported with the first engine, not with this package."""

from typing import TYPE_CHECKING

from dlm_length.common.lazy import lazy_names

if TYPE_CHECKING:
    from dlm_length.engine.engine import Engine, Step
    from dlm_length.engine.generation import Generation
    from dlm_length.engine.ledger import Cost, Ledger
    from dlm_length.engine.request import Request

__all__ = ["Cost", "Engine", "Generation", "Ledger", "Request", "Step"]

# The ledger and requests do not need torch.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "engine": ("Engine", "Step"),
        "generation": ("Generation",),
        "ledger": ("Cost", "Ledger"),
        "request": ("Request",),
    },
)
