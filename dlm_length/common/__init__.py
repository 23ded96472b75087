"""Used by every package: errors for users, classes that declare parameters, plugins."""

from typing import TYPE_CHECKING

from dlm_length.common.digests import file_digest
from dlm_length.common.errors import (
    ConfigError,
    UserError,
    brief,
    counted,
    first_few,
    first_line,
    listing,
    nearest,
    suggestion,
)
from dlm_length.common.lazy import lazy_names
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
    "brief",
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

# The command line's help does not need pydantic.
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "parameters": (
            *("MOST_TOKENS", "Named", "Parameters", "Probability", "TokenCount"),
            *("catalogue", "faults_of"),
        )
    },
)
