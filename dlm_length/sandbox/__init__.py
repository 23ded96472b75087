"""Running code that a model wrote."""

from dlm_length.sandbox.base import Outcome, Sandbox, Status
from dlm_length.sandbox.process_limits import ProcessLimits

__all__ = ["Outcome", "ProcessLimits", "Sandbox", "Status", "strongest"]


def strongest() -> Sandbox:
    """The strongest sandbox there is for this machine."""
    return ProcessLimits()
