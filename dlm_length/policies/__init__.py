"""Length policies: one file a method."""

import sys
from typing import Any

from pydantic import ValidationError

from dlm_length.common import ConfigError, catalogue, faults_of, listing, suggestion
from dlm_length.policies.base import Policy

__all__ = ["Policy", "build_policy", "policies"]


def policies() -> dict[str, type[Policy]]:
    """Every policy by name."""
    return catalogue(sys.modules[__name__], Policy)  # type: ignore[type-abstract]  # python/mypy#4717


def build_policy(name: str, **parameters: Any) -> Policy:
    """The policy of that name with its parameters as in the YAML.

    Raises ConfigError for an unknown name, an unknown parameter or a value out of its range.
    """
    known = policies()
    if name not in known:
        raise ConfigError(f"policy: no policy is named {name!r}; there are {listing(known)}.{suggestion(name, known)}")
    try:
        return known[name](**parameters)
    except ValidationError as error:
        raise ConfigError(f"policy {name!r}: {faults_of(known[name], error)}.") from error
