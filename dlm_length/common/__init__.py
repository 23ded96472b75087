"""What every package may use: reporting a user's mistake, declaring parameters, finding plugins."""

from dlm_length.common.digests import file_digest
from dlm_length.common.errors import ConfigError, UserError, first_few, listing, nearest, suggestion
from dlm_length.common.parameters import MOST_TOKENS, Named, Parameters, Probability, TokenCount, catalogue, faults_of
from dlm_length.common.printable import printable
from dlm_length.common.selection import SELECTION
from dlm_length.common.tokens import SpecialTokens
from dlm_length.common.units import GIB

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
    "faults_of",
    "file_digest",
    "first_few",
    "listing",
    "nearest",
    "printable",
    "suggestion",
]
