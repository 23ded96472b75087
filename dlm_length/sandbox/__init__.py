"""Running code that a model wrote, in a sandbox."""

from typing import Literal

from dlm_length.sandbox.base import Outcome, Sandbox, Status
from dlm_length.sandbox.bubblewrap import Bubblewrap
from dlm_length.sandbox.process_limits import ProcessLimits

__all__ = ["Bubblewrap", "Isolation", "Outcome", "ProcessLimits", "Sandbox", "Status", "sandbox"]

Isolation = Literal["bubblewrap", "process_limits"]


def sandbox(isolation: Isolation) -> Sandbox:
    """The sandbox of that name. Raises UserError where this machine does not allow it; no other one is used instead."""
    return Bubblewrap.found() if isolation == "bubblewrap" else ProcessLimits()
