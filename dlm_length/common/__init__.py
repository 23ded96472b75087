"""Used by every package: errors for users, classes that declare parameters, plugins."""

from typing import TYPE_CHECKING, Any

from dlm_length.common.digests import file_digest
from dlm_length.common.errors import (
    ConfigError,
    UserError,
    counted,
    first_few,
    first_line,
    listing,
    nearest,
    suggestion,
)
from dlm_length.common.printable import printable
from dlm_length.common.selection import SELECTION
from dlm_length.common.tokens import SpecialTokens
from dlm_length.common.units import GIB

if TYPE_CHECKING:
    from dlm_length.common.parameters import (
        MOST_TOKENS,
        Named,
        Parameters,
        Probability,
        TokenCount,
        catalogue,
        faults_of,
    )

__all__ = [
    "GIB",
    "MOST_TOKENS",
    "SELECTION",
    "ConfigError",
    "Named",
    "Parameters",
    "Probability",
    "SpecialTokens",
    "TokenCount",
    "UserError",
    "catalogue",
    "counted",
    "faults_of",
    "file_digest",
    "first_few",
    "first_line",
    "listing",
    "nearest",
    "printable",
    "suggestion",
]


def __getattr__(name: str) -> Any:
    """Names of `parameters`, imported when first used, as the command line's help does not need pydantic."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.parameters"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
